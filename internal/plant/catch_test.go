//go:build plant

package plant_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// A server as it is shipped knows no fault: the compiler left out all sites, with
// the names.
func TestServersHaveNone(t *testing.T) {
	program := filepath.Join(t.TempDir(), "roused")
	build := exec.Command("go", "build", "-tags", "", "-o", program, "./cmd/roused")
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	text, err := os.ReadFile(program)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range faults(t) {
		if strings.Contains(string(text), f.name) {
			t.Errorf("the server holds the text %q", f.name)
		}
	}
}
