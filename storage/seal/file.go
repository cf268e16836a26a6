package seal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
)

// ErrExposed refuses a key file that others than its owner may read.
var ErrExposed = errors.New("seal: key file is readable by others")

// Load reads a key file, see Parse for its form. Its mode must give nothing to
// group and others.
func Load(path string) (*Ring, error) {
	m, err := read(path)
	if err != nil {
		return nil, err
	}
	r, err := m.ring()
	if err == nil {
		r.file = path
	}
	return r, err
}

// Generate creates a key file with a new index key and the sealing key 1. An
// existing file is left alone and reported as fs.ErrExist.
func Generate(path string) error {
	m := material{index: newSecret(), keys: []key{{1, newSecret()}}}
	// A link, unlike a rename, never replaces a file.
	return write(path, m, func(temp string) error { return os.Link(temp, path) })
}

// Copy writes the keys of one key file to another, with mode 0600. It never
// replaces a file: then the error matches os.ErrExist.
func Copy(from, to string) error {
	m, err := read(from)
	if err != nil {
		return err
	}
	return write(to, m, func(temp string) error { return os.Link(temp, to) })
}

// Rotate adds a new sealing key to a key file, makes it the current one and
// returns its id. Rings that are loaded already keep sealing with theirs; all
// nodes must have the new file before one of them seals with the new key. They
// need not have read it: a ring looks into its file for a key that it lacks.
func Rotate(path string) (id uint32, err error) {
	m, err := read(path)
	if err != nil {
		return 0, err
	}
	if m, err = m.rotated(); err != nil {
		return 0, err
	}
	return m.keys[0].id, write(path, m, func(temp string) error { return os.Rename(temp, path) })
}

func read(path string) (material, error) {
	f, err := os.Open(path)
	if err != nil {
		return material{}, fmt.Errorf("seal: key file: %w", err)
	}
	defer f.Close() //nolint:errcheck // opened for reading
	info, err := f.Stat()
	if err != nil {
		return material{}, fmt.Errorf("seal: key file: %w", err)
	}
	if !info.Mode().IsRegular() {
		return material{}, fmt.Errorf("%w: %s is no regular file", ErrBadKeys, path)
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return material{}, fmt.Errorf("%w: %s has mode %04o; run chmod 600 %s", ErrExposed, path, mode, path)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxTextBytes+1))
	if err != nil {
		return material{}, fmt.Errorf("seal: key file: %w", err)
	}
	m, err := parse(string(text))
	if err != nil {
		return material{}, fmt.Errorf("key file %s: %w", path, err)
	}
	return m, nil
}

// write puts the material in place in one step: after a crash the file is the
// old one or the new one, whole.
func write(path string, m material, place func(temp string) error) error {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".keys-*") // created with mode 0600
	if err != nil {
		return fmt.Errorf("seal: key file: %w", err)
	}
	defer os.Remove(f.Name()) //nolint:errcheck // renamed away, or a second name
	_, err = f.WriteString(m.text())
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = place(f.Name())
	}
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		return fmt.Errorf("seal: key file: %w", err)
	}
	return nil
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
