package storage

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"
)

// faultVariable and faultDirVariable turn the test binary into a process whose
// disk fails, since the end of a process is what is tested.
const (
	faultVariable    = "ROUSE_STORAGE_TEST_FAULT"
	faultDirVariable = "ROUSE_STORAGE_TEST_DIR"
	acksBeforeFault  = 50
)

type fault struct {
	kind errorfs.OpKind
	err  error
}

var faults = map[string]fault{
	"sync fails":   {errorfs.OpFileSyncData, syscall.EIO},
	"disk is full": {errorfs.OpFileWrite, syscall.ENOSPC},
}

func TestMain(m *testing.M) {
	if f, ok := faults[os.Getenv(faultVariable)]; ok {
		runUntilFault(f, os.Getenv(faultDirVariable))
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// runUntilFault prints one line for each acknowledged entry; its log's disk
// fails after acksBeforeFault of them.
func runUntilFault(f fault, dir string) {
	var failing atomic.Bool
	fs := errorfs.Wrap(vfs.Default, errorfs.InjectorFunc(func(op errorfs.Op) error {
		if failing.Load() && op.Kind == f.kind && filepath.Ext(op.Path) == ".log" {
			return f.err
		}
		return nil
	}))
	s, err := Open(dir, Options{FS: fs})
	if err != nil {
		fmt.Println("open:", err)
		return
	}
	for n := range 2 * acksBeforeFault {
		failing.Store(n >= acksBeforeFault)
		if err := put(s, 1, set(AppendUserKey(nil, 1, "a", fmt.Sprint(n)), "v")); err != nil {
			fmt.Println("refused", n, err)
			continue
		}
		fmt.Println("ack", n)
	}
}

// TestDiskFaultEndsTheProcess: when the log cannot be written any more the
// process ends without another acknowledgement, and a new one recovers.
func TestDiskFaultEndsTheProcess(t *testing.T) {
	for name := range faults {
		t.Run(name, func(t *testing.T) {
			dir := filepath.Join(t.TempDir(), "store")
			child := exec.CommandContext(t.Context(), os.Args[0])
			child.Env = append(os.Environ(), faultVariable+"="+name, faultDirVariable+"="+dir)
			var stderr bytes.Buffer
			child.Stderr = &stderr
			out, err := child.Output()
			var exit *exec.ExitError
			if !errors.As(err, &exit) || exit.ExitCode() != 1 {
				t.Fatalf("want exit code 1, got %v; stdout %s", err, out)
			}
			if !strings.Contains(stderr.String(), "the disk failed or is full") {
				t.Errorf("stderr does not say why: %s", &stderr)
			}
			acks := 0
			s, err := Open(dir, Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close() //nolint:errcheck // read only
			for lines := bufio.NewScanner(bytes.NewReader(out)); lines.Scan(); acks++ {
				var n int
				if _, err := fmt.Sscanf(lines.Text(), "ack %d", &n); err != nil {
					t.Fatalf("unexpected line %q", lines.Text())
				}
				if _, err := s.Get(AppendUserKey(nil, 1, "a", fmt.Sprint(n))); err != nil {
					t.Errorf("entry %d was acknowledged: %v", n, err)
				}
			}
			if acks != acksBeforeFault {
				t.Errorf("%d acknowledged, want %d: none after the fault", acks, acksBeforeFault)
			}
		})
	}
}
