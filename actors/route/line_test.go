package route

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/rouse-im/rouse/actors"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// standing is the way to an address where whoever sends stands still.
type standing struct{ until chan struct{} }

func (s standing) SendUserMessage(*actor.PID, any) { <-s.until }

func (s standing) SendSystemMessage(*actor.PID, any) {}

func (s standing) Stop(*actor.PID) {}

// lines is a log that tests read.
type lines struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(b)
}

func (l *lines) all() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// Whoever sends to one address stands still: requests are answered in time all the
// same, other addresses and the local shard are served, nobody who asks is held up,
// and the log says it once.
func TestSenderStandsStill(t *testing.T) {
	between(t, Options{}, func(t *testing.T, p *pair) {
		log := &lines{}
		p.router.o.Logger = slog.New(slog.NewTextHandler(log, nil))
		way := standing{make(chan struct{})}
		all := p.sys.ProcessRegistry.RemoteHandlers
		p.sys.ProcessRegistry.RemoteHandlers = append([]actor.AddressResolver{func(to *actor.PID) (actor.Process, bool) {
			return way, to.Address == p.net.Host("b").Addr(9000)
		}}, all...)
		c := p.shard("c", accept)

		p.lead("b")
		start := time.Now()
		first, second := p.route("m1"), p.route("m2")
		if took := time.Since(start); took != 0 {
			t.Errorf("who asks was held up for %s", took)
		}
		<-time.After(100 * ms)
		p.lead("c") // of the same shard
		wait(t, p.route("m3"), start, 102*ms, 0)
		p.lead("b")
		p.router.Tell(1, accept(nil))
		wait(t, p.route("m4"), start.Add(102*ms), 5*time.Second, rousev1.ErrorCode_ERROR_CODE_UNAVAILABLE)
		if len(first) != 1 || len(second) != 1 {
			t.Error("the first ones have no answer")
		}

		p.route("m5")
		<-time.After(10 * ms)
		p.mu.Lock()
		p.local = true
		p.mu.Unlock()
		start = time.Now()
		p.router.Wake(1)
		wait(t, p.route("m6"), start, 0, 0)
		if n := strings.Count(log.all(), "\n"); n != 1 || !strings.Contains(log.all(), "stage=sending shard=1 to="+p.net.Host("b").Addr(9000)) {
			t.Errorf("the log says %q", log.all())
		}
		close(way.until)
		c.Shutdown()
	})
}

// What waits for a sender who stands still is bounded.
func TestLinesAreBounded(t *testing.T) {
	between(t, Options{Window: 8}, func(t *testing.T, p *pair) {
		way := standing{make(chan struct{})}
		p.sys.ProcessRegistry.RemoteHandlers = []actor.AddressResolver{func(*actor.PID) (actor.Process, bool) { return way, true }}
		p.lead("b")
		for range 10 {
			var answers []<-chan actors.Reply
			for range 20 {
				answers = append(answers, p.route("m"))
			}
			for _, c := range answers {
				if r := <-c; r.Err == nil {
					t.Error("an answer from nowhere")
				}
			}
		}
		p.router.mu.Lock()
		if n := len(p.router.out[p.net.Host("b").Addr(9000)].effects); n > 8 {
			t.Errorf("%d sends wait", n)
		}
		p.router.mu.Unlock()
		close(way.until)
	})
}
