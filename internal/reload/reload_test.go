package reload

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"testing/synctest"
	"time"
)

func TestFiles(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		path := filepath.Join(t.TempDir(), "f")
		stamp := time.Now()
		write := func(text string) {
			t.Helper()
			stamp = stamp.Add(time.Second)
			if err := errors.Join(os.WriteFile(path, []byte(text), 0o600), os.Chtimes(path, stamp, stamp)); err != nil {
				t.Fatal(err)
			}
		}
		reads := 0
		read := func() (string, error) {
			reads++
			b, err := os.ReadFile(path)
			if string(b) == "damaged" {
				return "", errors.New("damaged")
			}
			return string(b), err
		}
		if _, err := New(read, path); err == nil {
			t.Fatal("a value was read from a file that is not there")
		}
		write("one")
		f, err := New(read, path)
		if err != nil {
			t.Fatal(err)
		}
		is := func(want string, wantReads int) {
			t.Helper()
			if got, err := f.Get(); err != nil || got != want {
				t.Errorf("got %q, %v; want %q", got, err, want)
			}
			if reads != wantReads {
				t.Errorf("%d reads, want %d", reads, wantReads)
			}
			reads = 0
		}
		is("one", 1)
		write("two")
		is("one", 0) // looked at less than a second ago
		<-time.After(every)
		is("two", 1)
		<-time.After(every)
		is("two", 0) // not changed
		write("damaged")
		<-time.After(every)
		is("two", 1)
		if err := os.Remove(path); err != nil {
			t.Fatal(err)
		}
		<-time.After(every)
		is("two", 0)
		write("three")
		<-time.After(every)
		is("three", 1)
	})
}
