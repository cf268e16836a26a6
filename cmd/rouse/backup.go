package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/rouse-im/rouse/actors/shard"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/backup"
	"github.com/rouse-im/rouse/internal/rpc"
	"github.com/rouse-im/rouse/storage"
	"github.com/rouse-im/rouse/storage/seal"
)

type backupVerb struct {
	remote
	Data       string `help:"Data directory of a node that is stopped. Without it the server is asked." placeholder:"DIR"`
	Archive    string `help:"File that is written." placeholder:"FILE" xor:"to" required:""`
	Checkpoint string `help:"Directory that becomes a copy of the data directory, by links on the same file system." placeholder:"DIR" xor:"to" required:""`
	Seal       string `help:"File with the sealing keys, for their fingerprint; seal.key in the data directory by default. Keys are never in a backup." placeholder:"FILE"`
}

// Help teaches by example.
func (*backupVerb) Help() string {
	return `An archive holds all that the cluster keeps, and can be restored with any number of shards and nodes. A checkpoint is the directory of a stopped node as it is. Neither has the sealing keys: keep seal.key apart from it, and keep it safe, for without it tokens and credentials are lost.

Examples:

    rouse backup --archive rouse-1126.backup
    rouse backup --data rouse-data --archive rouse-1126.backup
    rouse backup --data rouse-data --checkpoint rouse-copy`
}

// Run writes the backup.
func (v *backupVerb) Run(c *call) error {
	if v.Data == "" {
		return v.ask(c)
	}
	s, err := openStopped(v.Data)
	if err != nil {
		return err
	}
	if v.Checkpoint != "" {
		if err := errors.Join(s.Checkpoint(v.Checkpoint), s.Close()); err != nil {
			return err
		}
		return c.say("%s is a copy of %s, but for seal.key.", v.Checkpoint, v.Data)
	}
	m, err := v.write(c, s)
	if err := errors.Join(err, s.Close()); err != nil {
		return err
	}
	return v.tell(c, m)
}

// ask takes the archive from a running server, and checks what arrived.
func (v *backupVerb) ask(c *call) error {
	if v.Checkpoint != "" || v.Seal != "" {
		return errors.New("--checkpoint and --seal are for a stopped node: name its --data")
	}
	v.App = "" // it is no matter of an app
	services, err := v.open()
	if err != nil {
		return err
	}
	defer services.Close()
	var m backup.Manifest
	err = writeWhole(v.Archive, func(f *os.File) (err error) {
		if err = v.receive(c, services, f); err != nil {
			return err
		}
		if _, err = f.Seek(0, io.SeekStart); err != nil {
			return err
		}
		m, err = backup.Read(f, nil)
		return err
	})
	if err != nil {
		return err
	}
	return v.tell(c, m)
}

func (v *backupVerb) receive(c *call, services *rpc.Services, f *os.File) error {
	in, err := services.Backup.Backup(c.ctx, &rousev1.BackupRequest{})
	if err != nil {
		return v.explain(err)
	}
	bar := newBar(c, -1, "bytes received")
	for in.Receive() {
		bar.add(len(in.Msg().GetData()))
		if _, err := f.Write(in.Msg().GetData()); err != nil {
			return errors.Join(err, in.Close())
		}
	}
	bar.end()
	if err := in.Err(); err != nil {
		return v.explain(err)
	}
	return in.Close()
}

func (v *backupVerb) tell(c *call, m backup.Manifest) error {
	var keys, bytes uint64
	for _, g := range m.Groups {
		keys, bytes = keys+g.Keys, bytes+g.Bytes
	}
	return c.say("%s holds %d keys of %d shards, %d bytes. The sealing keys are not in it.", v.Archive, keys, m.Shards, bytes)
}

func (v *backupVerb) write(c *call, s *storage.Store) (backup.Manifest, error) {
	path := v.Seal
	if path == "" {
		path = filepath.Join(v.Data, "seal.key")
	}
	fingerprint, err := sealPrint(path)
	if err != nil && (v.Seal != "" || !errors.Is(err, fs.ErrNotExist)) {
		return backup.Manifest{}, err
	}
	bar := newBar(c, int64(s.Shards())+1, "groups written")
	var m backup.Manifest
	err = writeWhole(v.Archive, func(f *os.File) (err error) {
		m, err = backup.Write(f, s, backup.Options{Seal: fingerprint, Now: time.Now(), Progress: func(backup.Group) { bar.add(1) }})
		return err
	})
	bar.end()
	return m, err
}

// writeWhole makes a new file that is there as a whole or not at all.
func writeWhole(path string, write func(*os.File) error) error {
	if _, err := os.Lstat(path); err == nil {
		return fmt.Errorf("%s exists; choose another name", path)
	}
	partial := path + ".partial"
	f, err := os.OpenFile(partial, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	err = errors.Join(write(f), f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(partial, path)
	}
	if err == nil {
		err = syncDir(filepath.Dir(path))
	}
	if err != nil {
		return errors.Join(err, os.Remove(partial))
	}
	return nil
}

func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// openStopped opens the store of a node that is not running, and makes none.
func openStopped(dir string) (*storage.Store, error) {
	stored, err := filepath.Glob(filepath.Join(dir, "MANIFEST-*"))
	if err != nil {
		return nil, err
	}
	if len(stored) == 0 {
		return nil, fmt.Errorf("%s holds no store; name the data.dir of a node", dir)
	}
	return openStore(dir, 0)
}

func openStore(dir string, shards uint16) (*storage.Store, error) {
	s, err := storage.Open(dir, storage.Options{Shards: shards, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return nil, fmt.Errorf("%w; stop the node that uses it", err)
	}
	return s, nil
}

// sealPrint is the fingerprint of a file with sealing keys.
func sealPrint(path string) (string, error) {
	ring, err := seal.Load(path)
	if err != nil {
		return "", err
	}
	return backup.Fingerprint(ring), nil
}

type restoreVerb struct {
	Archive string `required:"" help:"File that rouse backup wrote." type:"existingfile" placeholder:"FILE"`
	Data    string `required:"" help:"Data directory of the new node; it must be missing or empty." placeholder:"DIR"`
	Shards  uint16 `help:"Number of shards of the new cluster, 1-1024; that of the archive by default."`
	Seal    string `help:"File with the sealing keys of the old cluster; it is copied into the data directory." type:"existingfile" placeholder:"FILE"`
}

// Help teaches by example.
func (*restoreVerb) Help() string {
	return `The whole archive is checked before anything is written. The node that starts on the directory founds a new cluster; add others to it as usual. Nodes of the old cluster cannot join it.

Examples:

    rouse restore --archive rouse-1126.backup --data rouse-data --seal seal.key
    rouse restore --archive rouse-1126.backup --data rouse-data --seal seal.key --shards 256`
}

// Run restores.
func (v *restoreVerb) Run(c *call) error {
	if names, err := os.ReadDir(v.Data); err == nil && len(names) > 0 {
		return fmt.Errorf("%s is not empty: a backup is restored into a directory of its own", v.Data)
	}
	if v.Shards > storage.MaxShards {
		return fmt.Errorf("%d shards; choose 1..%d", v.Shards, storage.MaxShards)
	}
	f, err := os.Open(v.Archive)
	if err != nil {
		return err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	m, err := backup.Read(f, nil)
	if err != nil {
		return fmt.Errorf("%s: %w", v.Archive, err)
	}
	if err := v.checkSeal(m); err != nil {
		return err
	}
	if _, err := f.Seek(0, 0); err != nil {
		return err
	}
	if err := v.fill(c, f, m); err != nil {
		return err
	}
	return c.say("%s holds what was kept at %s. Start roused on it: it founds a new cluster.", v.Data, m.Taken.Format(time.RFC3339))
}

func (v *restoreVerb) checkSeal(m backup.Manifest) error {
	if v.Seal == "" {
		return nil
	}
	got, err := sealPrint(v.Seal)
	if err != nil {
		return err
	}
	if m.Seal != "" && got != m.Seal {
		return fmt.Errorf("%s has other keys (%s) than those that sealed the archive (%s)", v.Seal, got, m.Seal)
	}
	return nil
}

// fill restores beside the directory, so that a broken restoration is not taken
// for a node's data.
func (v *restoreVerb) fill(c *call, f *os.File, m backup.Manifest) error {
	beside := filepath.Clean(v.Data) + ".restoring"
	if err := os.RemoveAll(beside); err != nil {
		return err
	}
	shards := v.Shards
	if shards == 0 {
		shards = m.Shards
	}
	s, err := openStore(beside, shards)
	if err != nil {
		return err
	}
	var total int64
	for _, g := range m.Groups {
		total += int64(g.Bytes)
	}
	bar := newBar(c, total, "bytes restored")
	_, err = backup.Restore(f, s, shard.IntentHome, func(bytes uint64) { bar.set(int64(bytes)) })
	bar.end()
	if err := errors.Join(err, s.Close()); err != nil {
		return errors.Join(err, os.RemoveAll(beside))
	}
	if v.Seal != "" {
		if err := copyKeys(v.Seal, filepath.Join(beside, "seal.key")); err != nil {
			return err
		}
	}
	if err := os.Remove(v.Data); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(beside, v.Data); err != nil {
		return err
	}
	return syncDir(filepath.Dir(filepath.Clean(v.Data)))
}

func copyKeys(from, to string) error {
	b, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return writeWhole(to, func(f *os.File) error { _, err := f.Write(b); return err })
}

// bar shows on a terminal how far something is.
type bar struct{ b *progressbar.ProgressBar }

func newBar(c *call, total int64, what string) *bar {
	if !isTerminal(c.errs) {
		return &bar{}
	}
	return &bar{progressbar.NewOptions64(total, progressbar.OptionSetWriter(c.errs), progressbar.OptionSetDescription(what),
		progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionSetWidth(30), progressbar.OptionClearOnFinish())}
}

// A bar that cannot be drawn is no loss.
func (b *bar) add(n int) {
	if b.b != nil {
		_ = b.b.Add(n)
	}
}

func (b *bar) set(n int64) {
	if b.b != nil {
		_ = b.b.Set64(n)
	}
}

func (b *bar) end() {
	if b.b != nil {
		_ = b.b.Finish()
	}
}
