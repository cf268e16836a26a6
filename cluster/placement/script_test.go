package placement

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write the transcripts anew")

// The transcripts show every step of every group, a line each: letters are
// nodes, * leads, + learns, < voted before.
func TestScripts(t *testing.T) {
	for name, play := range map[string]func(m *model, settle func()){
		"grow_and_shrink": func(m *model, settle func()) {
			for _, id := range []uint64{2, 3} {
				m.join(id, "")
				settle()
			}
			m.join(4, "")
			m.join(5, "")
			settle()
			m.leave(1)
			settle()
			m.leave(2)
			settle()
			m.leave(3)
			settle()
			m.leave(4)
			settle()
		},
		"replace": func(m *model, settle func()) {
			for id := range uint64(3) {
				m.join(id+2, "")
			}
			settle()
			m.setAlive(1, false)
			for range 240 { // others lead, no replica moves
				m.second()
			}
			settle()
			m.setAlive(1, true)
			settle()
		},
		"drain": func(m *model, settle func()) {
			m.join(2, "")
			m.join(3, "")
			settle()
			m.drain(2, true)
			settle()
			m.drain(2, false)
			settle()
		},
	} {
		t.Run(name, func(t *testing.T) {
			var b strings.Builder
			m := newModel(5, t.Errorf)
			m.say = func(format string, args ...any) {
				fmt.Fprintf(&b, "%5.0f  %s\n", m.now.Sub(epoch).Seconds(), strings.TrimRight(fmt.Sprintf(format, args...), " "))
			}
			play(m, func() {
				m.settle(1000)
				m.finished()
				m.say("settled: leads %v", m.loads())
			})
			path := filepath.Join("testdata", name+".txt")
			if *update {
				if err := os.WriteFile(path, []byte(b.String()), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(strings.Split(string(want), "\n"), strings.Split(b.String(), "\n")); d != "" {
				t.Error(d)
			}
		})
	}
}
