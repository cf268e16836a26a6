package fleet

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// stepper is put into the server: signals move its wall clock by an hour.
const stepper = `package main

import (
	"os"
	"os/signal"
	"syscall"
	"time"
)

func init() {
	signals := make(chan os.Signal, 8)
	signal.Notify(signals, syscall.SIGUSR1, syscall.SIGUSR2)
	go func() {
		for s := range signals {
			if s == syscall.SIGUSR1 {
				time.Step.Add(3600)
			} else {
				time.Step.Add(-3600)
			}
		}
	}()
}
`

// withClocks builds the server with a clock that can be stepped, which the machine's
// own cannot for one process: its wall time, and not the time that has passed, is
// moved in Go's package time.
func withClocks(t *testing.T) func(flags ...string) *exec.Cmd {
	t.Helper()
	out, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		t.Fatal(err)
	}
	root, dir := strings.TrimSpace(string(out)), t.TempDir()
	original := filepath.Join(root, "src", "time", "time.go")
	b, err := os.ReadFile(original)
	if err != nil {
		t.Skip("the sources of Go are not here: ", err)
	}
	source := string(b)
	for old, now := range map[string]string{
		"import (\n":                            "import (\n\t\"sync/atomic\"\n",
		"sec, nsec, mono := runtimeNow()\n\tif": "sec, nsec, mono := runtimeNow()\n\tsec += Step.Load()\n\tif",
	} {
		if strings.Count(source, old) != 1 {
			t.Skip("this release of Go tells the time in another way")
		}
		source = strings.Replace(source, old, now, 1)
	}
	source += "\n// Step is added to the wall clock, in seconds.\nvar Step atomic.Int64\n"
	main, err := filepath.Abs("../../cmd/roused")
	if err != nil {
		t.Fatal(err)
	}
	replace := map[string]string{original: filepath.Join(dir, "time.go"), filepath.Join(main, "step.go"): filepath.Join(dir, "step.go")}
	overlay, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string]string{"time.go": source, "step.go": stepper, "overlay.json": string(overlay)} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	stepped := filepath.Join(dir, "roused")
	if out, err := exec.Command("go", "build", "-overlay", filepath.Join(dir, "overlay.json"), "-o", stepped, main).CombinedOutput(); err != nil { //nolint:gosec // our own program
		t.Fatalf("building roused: %v\n%s", err, out)
	}
	return func(flags ...string) *exec.Cmd { return exec.Command(stepped, flags...) } //nolint:gosec // our own program
}

// step moves the wall clock of a node by an hour, forward or back.
func (n *Node) step(t *testing.T, forward bool) {
	t.Helper()
	s := syscall.SIGUSR2
	if forward {
		s = syscall.SIGUSR1
	}
	if err := n.signal(s); err != nil {
		t.Fatal(err)
	}
}

// TestClockJumps moves the wall clocks of nodes by an hour, there and back: nobody
// is deposed, no lease ends, all users are served all the time, and every push
// arrives once.
func TestClockJumps(t *testing.T) {
	rare(t)
	w := ownTownOf(t, withClocks(t))
	for _, d := range w.doors[1:] {
		if err := d.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.whole(t)
	w.balance(t)
	users := w.everywhere("clock", 1)
	w.imNode(t, w.doors[1], users)
	l := w.busyWith(t, "clocked", 2)
	p := w.startProberAt(t, "clockp", growEvery, w.doors...)
	p.until(t, time.Now())
	before := w.doors[0].commits(t)
	meta := w.metaLeader(t)
	for i, c := range []struct {
		who     *door
		forward bool
	}{{meta, true}, {w.others(meta)[0], false}, {meta, false}, {meta, false}, {w.others(meta)[0], true}, {w.others(meta)[1], true}} {
		c.who.step(t, c.forward)
		stepped := time.Now()
		p.until(t, stepped)
		p.seen(t, stepped, int((leaseTTL+time.Second)/growEvery)) // a lease that is not renewed ends
		l.more(t, 100)
		for _, d := range w.doors {
			if n, err := d.online(t.Context(), users); err != nil || n != len(users) {
				t.Errorf("jump %d: %s takes %d of %d users for online: %v", i, d.Name, n, len(users), err)
			}
		}
	}
	if after := w.doors[0].commits(t); len(after) == len(before) {
		for group, then := range before {
			if after[group].term != then.term {
				t.Errorf("group %d has another leader, in term %d after %d", group, after[group].term, then.term)
			}
		}
	}
	longest, failed, err := p.end()
	t.Logf("six jumps of an hour: longest of %d writes %s, %d failed (%v)", len(p.probes), longest.Round(time.Millisecond), failed, err)
	if failed > 0 || longest > smooth*slack {
		t.Errorf("a jump was felt: %d writes failed (%v), the longest took %s", failed, err, longest)
	}
	p.verify(t, w.doors[1])
	l.end(t)
	l.verify(t, w.doors[1])
	for _, user := range l.users { // the clocks did move
		r, err := w.doors[1].users.ListOutcomes(t.Context(), &rousev1.ListOutcomesRequest{UserId: user, Limit: 1000})
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range r.GetOutcomes() {
			if time.Since(o.GetDecidedAt().AsTime()).Abs() > time.Hour/2 {
				return
			}
		}
	}
	t.Error("no clock was seen to move")
}
