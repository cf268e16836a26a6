package seal

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func TestGenerateLoadRotate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "keys")
	if err := Generate(path); err != nil {
		t.Fatal(err)
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Fatalf("mode %v, %v", info.Mode(), err)
	}
	before, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := Generate(path); !errors.Is(err, fs.ErrExist) {
		t.Fatalf("a second Generate answers %v", err)
	}
	for want := uint32(2); want < 4; want++ {
		if id, err := Rotate(path); err != nil || id != want {
			t.Fatalf("rotated to %d, %v", id, err)
		}
	}
	after, err := Load(path)
	if err != nil || after.current != 3 {
		t.Fatalf("current key %d, %v", after.current, err)
	}
	if got, err := after.Open(nil, nil, before.Seal(nil, nil, []byte("x"))); err != nil || string(got) != "x" {
		t.Errorf("got %q, %v", got, err)
	}
	if before.Sum("d") != after.Sum("d") {
		t.Error("the index key changed")
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	left, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestLoadRefuses(t *testing.T) {
	dir := t.TempDir()
	open := filepath.Join(dir, "open")
	if err := os.WriteFile(open, []byte(oldRing), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, mode := range []os.FileMode{0o640, 0o604, 0o620, 0o601} {
		if err := os.Chmod(open, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := Load(open); !errors.Is(err, ErrExposed) || !strings.Contains(err.Error(), "chmod 600") {
			t.Errorf("mode %o: %v", mode, err)
		}
	}
	if err := os.Chmod(open, 0o400); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(open); err != nil {
		t.Errorf("mode 0400: %v", err)
	}
	if _, err := Load(filepath.Join(dir, "none")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no file: %v", err)
	}
	if _, err := Load(dir); err == nil {
		t.Error("a directory was loaded")
	}
	if err := Generate(filepath.Join(dir, "none", "keys")); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("no directory: %v", err)
	}
}

func TestParse(t *testing.T) {
	for name, text := range map[string]string{
		"file":     "# a comment, with commas: 1:2\n\n index: " + secret(9) + " \r\n 7 : " + secret(1) + "\n",
		"variable": "index:" + secret(9) + ",7:" + secret(1),
		"any order": "7:" + secret(1) + "\n3:" + secret(2) + "\nindex:" +
			secret(9),
	} {
		if r, err := Parse(text); err != nil || r.current != 7 {
			t.Errorf("%s: %v, %v", name, r, err)
		}
	}
	index, one := "index:"+secret(9)+"\n", "1:"+secret(1)+"\n"
	for name, c := range map[string]struct{ text, says string }{
		"empty":             {"", "no index key"},
		"no index":          {one, "no index key"},
		"no key":            {index, "no sealing key"},
		"two indexes":       {index + "index:" + secret(8) + "\n" + one, "line 2: a second index key"},
		"two of one id":     {index + one + "1:" + secret(2), "line 3: a second key 1"},
		"one key, two ids":  {index + one + "2:" + secret(1), "line 3: the same key stands twice"},
		"index as key":      {index + "1:" + secret(9), "line 2: the same key"},
		"id zero":           {index + "0:" + secret(1), "line 2: want a key id"},
		"id too large":      {index + "4294967296:" + secret(1), "want a key id"},
		"id not decimal":    {index + "0x1:" + secret(1), "want a key id"},
		"no colon":          {index + one + secret(3), "line 3: want <id>:<base64>"},
		"short key":         {index + "1:AAAA", "want 32 bytes"},
		"not base64":        {index + "1:" + strings.Repeat("!", 44), "want 32 bytes"},
		"loose base64 tail": {index + "1:" + strings.Repeat("A", 42) + "B=", "want 32 bytes"},
		"too long":          {index + one + strings.Repeat("#", maxTextBytes), "more than"},
	} {
		_, err := Parse(c.text)
		if !errors.Is(err, ErrBadKeys) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: got %v, want %q", name, err, c.says)
		}
		for b := range byte(10) {
			if err != nil && strings.Contains(err.Error(), secret(b)) {
				t.Errorf("%s: the error shows a key", name)
			}
		}
	}
}

func TestRotationHasAnEnd(t *testing.T) {
	m, err := parse("index:" + secret(9) + "\n4294967295:" + secret(1))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := m.rotated(); !errors.Is(err, ErrBadKeys) {
		t.Fatalf("got %v", err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add(oldRing)
	f.Add(newRing)
	f.Add("index:,1:")
	f.Fuzz(func(t *testing.T, text string) {
		m, err := parse(text)
		if err != nil {
			if !errors.Is(err, ErrBadKeys) {
				t.Errorf("untyped error %v", err)
			}
			return
		}
		if again, err := parse(m.text()); err != nil || again.text() != m.text() {
			t.Errorf("text of a ring does not parse back: %v", err)
		}
	})
}

// A node that runs opens what another one seals after the keys were rotated: once
// it has the file.
func TestARingLooksForKeysThatItLacks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path, copied := filepath.Join(t.TempDir(), "seal.key"), filepath.Join(t.TempDir(), "seal.key")
		if err := Generate(path); err != nil {
			t.Fatal(err)
		}
		give := func(text []byte) {
			if err := os.WriteFile(copied, text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		before := textOf(t, path)
		give(before)
		running := mustLoad(t, copied)
		if _, err := Rotate(path); err != nil {
			t.Fatal(err)
		}
		sealed := mustLoad(t, path).Seal(nil, nil, []byte("x"))

		if _, err := running.Open(nil, nil, sealed); !errors.Is(err, ErrUnknownKey) {
			t.Fatalf("without the file: %v", err)
		}
		give(textOf(t, path))
		if _, err := running.Open(nil, nil, sealed); !errors.Is(err, ErrUnknownKey) {
			t.Fatalf("it reads the file for every value: %v", err)
		}
		<-time.After(lookEvery)
		if plain, err := running.Open(nil, nil, sealed); err != nil || string(plain) != "x" {
			t.Fatalf("with the file: %q %v", plain, err)
		}
		if again := running.Seal(nil, nil, []byte("y")); again[4] != 1 {
			t.Errorf("it seals with key %d before its restart", again[4])
		}
		old := running.Seal(nil, nil, []byte("y"))
		give(before) // a key is never forgotten
		if _, err := running.Open(nil, nil, sealed); err != nil {
			t.Error(err)
		}
		if _, err := mustLoad(t, path).Open(nil, nil, old); err != nil {
			t.Error(err)
		}
	})
}

// A file of another ring is none of its own.
func TestARingTakesNoKeysOfAnother(t *testing.T) {
	path, other := filepath.Join(t.TempDir(), "seal.key"), filepath.Join(t.TempDir(), "seal.key")
	if err := errors.Join(Generate(path), Generate(other)); err != nil {
		t.Fatal(err)
	}
	running := mustLoad(t, path)
	if _, err := Rotate(other); err != nil {
		t.Fatal(err)
	}
	sealed := mustLoad(t, other).Seal(nil, nil, []byte("x"))
	if err := os.Rename(other, path); err != nil {
		t.Fatal(err)
	}
	if _, err := running.Open(nil, nil, sealed); !errors.Is(err, ErrUnknownKey) {
		t.Errorf("got %v", err)
	}
}

func textOf(t *testing.T, path string) []byte {
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func mustLoad(t *testing.T, path string) *Ring {
	r, err := Load(path)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// The keys of a node go to its cluster, and whoever has later ones is akin.
func TestCopiedKeysAreAkin(t *testing.T) {
	dir := t.TempDir()
	from, to, other := filepath.Join(dir, "from"), filepath.Join(dir, "to"), filepath.Join(dir, "other")
	for _, path := range []string{from, other} {
		if err := Generate(path); err != nil {
			t.Fatal(err)
		}
	}
	load := func(path string) *Ring {
		t.Helper()
		r, err := Load(path)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if err := Copy(from, to); err != nil {
		t.Fatal(err)
	}
	if _, err := Rotate(to); err != nil {
		t.Fatal(err)
	}
	if err := Copy(other, to); !errors.Is(err, fs.ErrExist) {
		t.Errorf("it replaces keys: %v", err)
	}
	if err := Copy(filepath.Join(dir, "none"), filepath.Join(dir, "new")); !errors.Is(err, fs.ErrNotExist) {
		t.Error(err)
	}
	if !load(from).Akin(load(to)) || load(from).Akin(load(other)) {
		t.Error("rings are akin by their index key and nothing else")
	}
	if info, err := os.Stat(to); err != nil || info.Mode().Perm() != 0o600 {
		t.Error(info, err)
	}
}
