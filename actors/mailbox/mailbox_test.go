package mailbox

import (
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/google/go-cmp/cmp"
)

// item counts what became of it.
type item struct {
	name     string
	rejected *atomic.Int64
}

func (i *item) Reject() { i.rejected.Add(1) }

type owedItem struct{ item }

func (*owedItem) Owed() {}

type gate chan struct{}

func newSystem(t testing.TB) *actor.ActorSystem {
	sys := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger {
		return slog.New(slog.DiscardHandler)
	}))
	t.Cleanup(sys.Shutdown)
	return sys
}

// bubble runs f in fake time; the actor system's own log throttle ends within
// the second that passes after f.
func bubble(t *testing.T, f func(*testing.T)) {
	synctest.Test(t, func(t *testing.T) {
		f(t)
		<-time.After(2 * time.Second)
	})
}

// spawn runs an actor that notes the names of its items and waits at gates.
func spawn(sys *actor.ActorSystem, bound int, got *[]string, opts ...actor.PropsOption) *actor.PID {
	opts = append(opts, actor.WithMailbox(Producer(bound)))
	return sys.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		switch m := c.Message().(type) {
		case gate:
			<-m
		case *item:
			if m.name == "panic" {
				panic(m.name)
			}
			*got = append(*got, m.name)
		case *owedItem:
			*got = append(*got, m.name)
		case string:
			c.Respond(m)
		}
	}, opts...))
}

func TestFullBoxRefusesAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys := newSystem(t)
		var got []string
		var rejected atomic.Int64
		pid := spawn(sys, 2, &got)
		g := make(gate)
		sys.Root.Send(pid, g)
		synctest.Wait()
		for _, name := range []string{"a", "b", "c"} {
			sys.Root.Send(pid, &item{name, &rejected})
		}
		if n := rejected.Load(); n != 1 {
			t.Errorf("rejected %d when Send returned, want 1", n)
		}
		sys.Root.Send(pid, &owedItem{item{"owed", &rejected}})
		started := time.Now()
		if _, err := sys.Root.RequestFuture(pid, "question", time.Minute).Result(); err != actor.ErrDeadLetter {
			t.Errorf("a refused request ended with %v, want a dead letter", err)
		}
		if waited := time.Since(started); waited != 0 {
			t.Errorf("a refused request was answered after %v, want at once", waited)
		}
		close(g)
		synctest.Wait()
		if diff := cmp.Diff([]string{"a", "b", "owed"}, got); diff != "" {
			t.Errorf("delivered (-want +got):\n%s", diff)
		}
		if n := rejected.Load(); n != 1 {
			t.Errorf("rejected %d in the end, want 1", n)
		}
	})
}

func TestStopRefusesWhatIsQueued(t *testing.T) {
	stops := map[string]func(*actor.ActorSystem, *actor.PID){
		"stop":   func(sys *actor.ActorSystem, pid *actor.PID) { sys.Root.Stop(pid) },
		"poison": func(sys *actor.ActorSystem, pid *actor.PID) { sys.Root.Poison(pid) },
	}
	for name, stop := range stops {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T) {
				sys := newSystem(t)
				var got []string
				var rejected atomic.Int64
				pid := spawn(sys, 10, &got)
				g := make(gate)
				sys.Root.Send(pid, g)
				synctest.Wait()
				stop(sys, pid)
				asked := sys.Root.RequestFuture(pid, "question", time.Minute)
				sys.Root.Send(pid, &item{"late", &rejected})
				sys.Root.Send(pid, &owedItem{item{"late", &rejected}})
				close(g)
				if _, err := asked.Result(); err != actor.ErrDeadLetter {
					t.Errorf("request behind the stop ended with %v, want a dead letter", err)
				}
				synctest.Wait()
				if len(got) > 0 || rejected.Load() != 2 {
					t.Errorf("delivered %q, rejected %d, want none and 2", got, rejected.Load())
				}
			})
		})
	}
}

// A PID outlives its actor: what is sent to it is refused as well, once.
func TestSentToAnActorThatIsGone(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys := newSystem(t)
		RejectDeadLetters(sys)
		RejectDeadLetters(sys)
		var got []string
		var rejected atomic.Int64
		pid := spawn(sys, 10, &got)
		sys.Root.Stop(pid)
		synctest.Wait()
		sys.Root.Send(pid, &item{"late", &rejected})
		sys.Root.Request(pid, &item{"later", &rejected})
		if n := rejected.Load(); n != 2 {
			t.Errorf("rejected %d, want each once", n)
		}
	})
}

// The box of an actor with children stops only with the last of them, and a new
// actor of the same name does not keep the old box alive.
func TestStopAfterChildrenAndReusedName(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys := newSystem(t)
		childGate := make(gate)
		var rejected atomic.Int64
		props := actor.PropsFromFunc(func(c actor.Context) {
			switch c.Message().(type) {
			case *actor.Started:
				child := c.Spawn(actor.PropsFromFunc(func(c actor.Context) {
					if g, ok := c.Message().(gate); ok {
						<-g
					}
				}, actor.WithMailbox(Producer(1))))
				c.Send(child, childGate)
			case *actor.Stopped:
				_, err := sys.Root.SpawnNamed(actor.PropsFromFunc(func(actor.Context) {}), "name")
				if err != nil {
					t.Error(err)
				}
			}
		}, actor.WithMailbox(Producer(1)))
		pid, err := sys.Root.SpawnNamed(props, "name")
		if err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		process, _ := sys.ProcessRegistry.Get(pid)
		sys.Root.Stop(pid)
		synctest.Wait()
		process.SendUserMessage(pid, &item{"while stopping", &rejected})
		synctest.Wait()
		if rejected.Load() != 0 {
			t.Error("refused while the actor still waits for its child")
		}
		close(childGate)
		synctest.Wait()
		process.SendUserMessage(pid, &item{"after the stop", &rejected})
		if rejected.Load() != 1 {
			t.Errorf("rejected %d after the stop, want 1", rejected.Load())
		}
	})
}

func TestPanicRestartsAndGoesOn(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys := newSystem(t)
		var got []string
		var rejected atomic.Int64
		pid := spawn(sys, 10, &got)
		for _, name := range []string{"a", "panic", "b"} {
			sys.Root.Send(pid, &item{name, &rejected})
		}
		synctest.Wait()
		if diff := cmp.Diff([]string{"a", "b"}, got); diff != "" {
			t.Errorf("delivered (-want +got):\n%s", diff)
		}
	})
}

// While the supervisor thinks, the user messages of a failed actor wait.
func TestSuspendedWhileSupervised(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys := newSystem(t)
		var got []string
		var rejected atomic.Int64
		answer := make(chan struct{})
		deciding := supervisor(func(s actor.Supervisor, child *actor.PID) {
			go func() {
				<-answer
				s.ResumeChildren(child)
			}()
		})
		parent := actor.PropsFromFunc(func(c actor.Context) {
			if _, ok := c.Message().(*actor.Started); ok {
				child := c.Spawn(actor.PropsFromFunc(func(c actor.Context) {
					if m, ok := c.Message().(*item); ok {
						if m.name == "panic" {
							panic(m.name)
						}
						got = append(got, m.name)
					}
				}, actor.WithMailbox(Producer(10))))
				for _, name := range []string{"panic", "a"} {
					c.Send(child, &item{name, &rejected})
				}
			}
		}, actor.WithSupervisor(deciding))
		sys.Root.Spawn(parent)
		synctest.Wait()
		if len(got) > 0 {
			t.Fatalf("delivered %q while suspended", got)
		}
		close(answer)
		synctest.Wait()
		if diff := cmp.Diff([]string{"a"}, got); diff != "" {
			t.Errorf("delivered after the resume (-want +got):\n%s", diff)
		}
	})
}

type supervisor func(actor.Supervisor, *actor.PID)

func (s supervisor) HandleFailure(_ *actor.ActorSystem, v actor.Supervisor, child *actor.PID, _ *actor.RestartStatistics, _, _ any) {
	s(v, child)
}

// A panic of the actor in its Stopped message leaves no message waiting.
func TestPanicInStopped(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys := newSystem(t)
		g := make(gate)
		var rejected atomic.Int64
		pid := sys.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
			switch m := c.Message().(type) {
			case gate:
				<-m
			case *actor.Stopped:
				panic("stopped")
			}
		}, actor.WithMailbox(Producer(10))))
		sys.Root.Send(pid, g)
		synctest.Wait()
		sys.Root.Stop(pid)
		sys.Root.Send(pid, &item{"late", &rejected})
		close(g)
		synctest.Wait()
		if rejected.Load() != 1 {
			t.Errorf("rejected %d, want 1", rejected.Load())
		}
	})
}

// The name is known before the handlers are: such early messages wait.
func TestMessageBeforeStart(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys := newSystem(t)
		var got []string
		var rejected atomic.Int64
		spawn(sys, 10, &got, actor.WithOnInit(func(c actor.Context) {
			c.Send(c.Self(), &item{"early", &rejected})
		}))
		synctest.Wait()
		if diff := cmp.Diff([]string{"early"}, got); diff != "" {
			t.Errorf("delivered (-want +got):\n%s", diff)
		}
	})
}

// Each message posted around a stop is delivered or rejected, exactly once.
func TestStopRace(t *testing.T) {
	for range 50 {
		bubble(t, func(t *testing.T) {
			const posters, each = 8, 200
			sys := newSystem(t)
			var delivered int
			var rejected atomic.Int64
			pid := sys.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
				if _, ok := c.Message().(*item); ok {
					delivered++
				}
			}, actor.WithMailbox(Producer(posters*each/4))))
			process, _ := sys.ProcessRegistry.Get(pid)
			RejectDeadLetters(sys)
			var wg sync.WaitGroup
			for p := range posters {
				wg.Go(func() {
					for i := range each {
						if p%2 == 0 {
							process.SendUserMessage(pid, &item{"", &rejected})
						} else {
							sys.Root.Send(pid, &item{"", &rejected})
						}
						if p == 0 && i == each/2 {
							sys.Root.Stop(pid)
						}
					}
				})
			}
			wg.Wait()
			synctest.Wait()
			if n := delivered + int(rejected.Load()); n != posters*each {
				t.Fatalf("%d delivered + %d rejected, want %d", delivered, rejected.Load(), posters*each)
			}
		})
	}
}

// parcel wants to know why it was not delivered.
type parcel struct{ full, stopped *atomic.Int64 }

func (p parcel) Reject() { p.full.Add(1) }
func (p parcel) Return() { p.stopped.Add(1) }

// A message can tell a full mailbox from an actor that stopped before it, while
// it waited, or long ago.
func TestStoppedIsNotFull(t *testing.T) {
	bubble(t, func(t *testing.T) {
		sys := newSystem(t)
		RejectDeadLetters(sys)
		var got []string
		p := parcel{new(atomic.Int64), new(atomic.Int64)}
		pid := spawn(sys, 1, &got)
		g := make(gate)
		sys.Root.Send(pid, g)
		synctest.Wait()
		sys.Root.Send(pid, p) // waits
		sys.Root.Send(pid, p) // finds it full
		if p.full.Load() != 1 || p.stopped.Load() != 0 {
			t.Errorf("full: %d, stopped: %d", p.full.Load(), p.stopped.Load())
		}
		sys.Root.Stop(pid)
		close(g)
		synctest.Wait()
		sys.Root.Send(pid, p) // gone
		if p.full.Load() != 1 || p.stopped.Load() != 2 {
			t.Errorf("full: %d, stopped: %d", p.full.Load(), p.stopped.Load())
		}
	})
}
