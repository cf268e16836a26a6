package transport

import (
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
)

func testProgram(t *testing.T) string {
	t.Helper()
	path, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestNodesAnswerEachOther(t *testing.T) {
	s := newSecrets(t)
	a := spawn(t, testProgram(t), s.dir, "a", "127.0.0.1:0")
	b := spawn(t, testProgram(t), s.dir, "b", "127.0.0.1:0")
	a.tell("ask", b.address, "shard-1", "chat", "ann", "5s")
	a.hear("answered")
	b.tell("ask", a.address, "shard-1", "chat", "bob", "5s")
	b.hear("answered")
	// An actor that is not there is told at once.
	a.tell("ask", b.address, "shard-9", "chat", "ann", "20s")
	if l := a.hear("unanswered"); !strings.Contains(l, "dead letter") {
		t.Error(l)
	}
	a.tell("drop", b.address)
	a.hear("dropped")
	for tries := 1; ; tries++ { // what was sent before the end is noticed got lost
		a.tell("ask", b.address, "shard-1", "chat", "ann", "500ms")
		if l := a.hear(""); strings.HasPrefix(l, "answered") {
			break
		} else if tries == 20 {
			t.Fatal(l)
		}
	}
	a.tell("close")
	a.hear("closed")
	b.tell("ask", a.address, "shard-1", "chat", "ann", "300ms")
	b.hear("unanswered")
}

// Batches are cut so that many long messages arrive, and one that is too long is
// told to its sender.
func TestLongMessages(t *testing.T) {
	s := newSecrets(t)
	a := spawn(t, testProgram(t), s.dir, "a", "127.0.0.1:0")
	b := spawn(t, testProgram(t), s.dir, "b", "127.0.0.1:0")
	a.tell("flood", b.address, "2000", "50000")
	if l := a.hear("flooded"); l != "flooded 2000 0" {
		t.Error(l)
	}
	a.tell("flood", b.address, "3", strconv.Itoa(MaxMessage-1000))
	if l := a.hear("flooded"); l != "flooded 3 0" {
		t.Error(l)
	}
	a.tell("flood", b.address, "3", strconv.Itoa(MaxMessage+1))
	if l := a.hear("flooded"); l != "flooded 0 3" {
		t.Error(l)
	}
	if got := a.stat()["too_long"]; got != "3" {
		t.Errorf("%s are counted as too long", got)
	}
}

// Whoever sends to a peer, as actors do in their turns, waits neither for a
// connection to it nor for room: all is sent before the first message is given up,
// which takes seconds.
func TestSendersDoNotWait(t *testing.T) {
	s := newSecrets(t)
	a := spawn(t, testProgram(t), s.dir, "a", "127.0.0.1:0")
	for what, silent := range map[string]bool{"a peer that says nothing": true, "nobody": false} {
		l, err := net.Listen("tcp", "127.0.0.1:0") // the kernel accepts, and nobody reads
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		if !silent {
			l.Close()
		}
		a.tell("outrun", l.Addr().String(), strconv.Itoa(4*queueInitial))
		if l := a.hear("outrun"); l != "outrun true" {
			t.Errorf("%s: %s", what, l)
		}
	}
}

// A peer that restarts at its address is found again without the library's 2 s.
func TestQuickRedial(t *testing.T) {
	s := newSecrets(t)
	a := spawn(t, testProgram(t), s.dir, "a", "127.0.0.1:0")
	for range 3 {
		b := spawn(t, testProgram(t), s.dir, "b", "127.0.0.1:0")
		a.tell("ask", b.address, "shard-1", "chat", "ann", "5s")
		a.hear("answered")
		if err := b.cmd.Process.Kill(); err != nil {
			t.Fatal(err)
		}
		for range b.lines { // until it is dead
		}
		a.tell("ask", b.address, "shard-1", "chat", "ann", "10ms") // notices
		a.hear("unanswered")
		began := time.Now()
		again := spawn(t, testProgram(t), s.dir, "b", b.address)
		took := time.Since(began)
		a.tell("ask", again.address, "shard-1", "chat", "ann", "10s")
		l := a.hear("answered")
		ms, err := strconv.Atoi(strings.Fields(l)[1])
		if err != nil || ms > 1500 {
			t.Errorf("answered after %d ms, %v", ms, err)
		}
		t.Logf("restarted in %v, answered %d ms later", took, ms)
	}
}

// A release that sends messages of a new type does not harm the one before it:
// both are up while nodes are replaced one by one.
func TestRollingUpgrade(t *testing.T) {
	if testing.Short() {
		t.Skip("builds another program")
	}
	next := filepath.Join(t.TempDir(), "next")
	if out, err := exec.CommandContext(t.Context(), "go", "test", "-c", "-tags", "nextrelease", "-o", next, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	s := newSecrets(t)
	a := spawn(t, testProgram(t), s.dir, "a", "127.0.0.1:0")
	b := spawn(t, next, s.dir, "b", "127.0.0.1:0")
	for range 3 {
		b.tell("newer", a.address)
		b.hear("sent")
		b.tell("ask", a.address, "shard-1", "chat", "ann", "5s")
		b.hear("answered")
		a.tell("ask", b.address, "shard-1", "chat", "ann", "5s")
		a.hear("answered")
	}
	if got := a.stat()["dropped type"]; got != "3" {
		t.Errorf("%q messages were dropped, not 3", got)
	}
}

func TestStartErrors(t *testing.T) {
	s := newSecrets(t)
	id := s.node(t, s.dir, "a")
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	all := func(string) bool { return true }
	for name, o := range map[string]Options{
		"nothing":      {},
		"no port":      {Listen: "127.0.0.1", Identity: id, Target: all},
		"a named port": {Listen: "127.0.0.1:http", Identity: id, Target: all},
		"everywhere":   {Listen: "0.0.0.0:0", Identity: id, Target: all},
		"taken":        {Listen: taken.Addr().String(), Identity: id, Target: all},
	} {
		sys := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))
		if _, err := Start(sys, o); err == nil {
			t.Errorf("%s: started", name)
		}
		sys.Shutdown()
	}
}
