package link

import (
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// wait lets fake time pass.
func wait(d time.Duration) { <-time.After(d) }

func bubble(t *testing.T, f func(t *testing.T, w *wires)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) { f(t, newWires()) })
}

func expect(t *testing.T, what string, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("%s: got %q, want %q", what, got, want)
	}
}

func TestFramesInOrder(t *testing.T) {
	bubble(t, func(t *testing.T, w *wires) {
		a, b := w.pair(t)
		defer stop(t, a, b)
		expect(t, "a", a.told(), "up2")
		expect(t, "b", b.told(), "up1")
		var want []string
		for i := range 1000 {
			f := fmt.Sprint("frame ", i)
			if err := a.Send(2, []byte(f)); err != nil {
				t.Fatal(err)
			}
			want = append(want, "1:"+f)
		}
		if err := b.Send(1, []byte("back")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		expect(t, "b", b.got(), want...)
		expect(t, "a", a.got(), "2:back")
		if n := value(t, a.metrics.flushes); n > 100 {
			t.Errorf("1000 frames took %v writes", n)
		}
	})
}

func TestIdleConnectionsStay(t *testing.T) {
	bubble(t, func(t *testing.T, w *wires) {
		a, b := w.pair(t)
		defer stop(t, a, b)
		dials := w.dialled()
		wait(10 * time.Minute)
		if n := w.dialled(); n != dials {
			t.Errorf("%d connections were made while nothing happened", n-dials)
		}
		expect(t, "a", a.told(), "up2")
	})
}

func TestSendToNobody(t *testing.T) {
	bubble(t, func(t *testing.T, w *wires) {
		a := w.start(t, 1)
		defer stop(t, a)
		a.SetPeers(map[uint64]string{2: w.addr(2)})
		for _, to := range []uint64{1, 2, 3} {
			if err := a.Send(to, []byte("x")); !errors.Is(err, ErrDown) {
				t.Errorf("to %d: %v", to, err)
			}
		}
		if _, err := a.Open(t.Context(), 3); !errors.Is(err, ErrDown) {
			t.Errorf("bulk: %v", err)
		}
		if n := value(t, a.metrics.dropped.WithLabelValues(dropDown)); n != 3 {
			t.Errorf("%v frames counted as dropped", n)
		}
	})
}

// What is longer than the receiver takes is refused here, where it can be told.
func TestFrameLengths(t *testing.T) {
	bubble(t, func(t *testing.T, w *wires) {
		lengths := make(chan int, 1)
		a, b := w.pair(t, func(o *Options) { o.Receive = func(_ uint64, f []byte) { lengths <- len(f) } })
		defer stop(t, a, b)
		for _, n := range []int{0, MaxFrame + 1} {
			if err := a.Send(2, make([]byte, n)); !errors.Is(err, ErrTooLong) {
				t.Errorf("%d bytes: %v", n, err)
			}
		}
		for _, n := range []int{1, 64 << 10, 64<<10 + 1, MaxFrame} {
			if err := a.Send(2, make([]byte, n)); err != nil {
				t.Fatal(err)
			}
			if got := <-lengths; got != n {
				t.Errorf("%d bytes arrived as %d", n, got)
			}
			synctest.Wait()
		}
	})
}

func TestQueueIsBounded(t *testing.T) {
	const frames, size, long = 16, 100, 200 << 10
	for name, c := range map[string]struct {
		change func(*Options)
		want   int
	}{
		"frames": {func(o *Options) { o.QueueFrames = frames }, frames - 1},
		"bytes":  {func(o *Options) { o.QueueBytes = long + 5*size }, 5},
		"long":   {func(o *Options) { o.QueueBytes = size }, 0},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *wires) {
				gate := make(chan struct{})
				a, b := w.pair(t, c.change, func(o *Options) { o.Receive = func(uint64, []byte) { <-gate } })
				// The second one is too long for the buffers on the way.
				for _, n := range []int{1, long} {
					if err := a.Send(2, make([]byte, n)); err != nil {
						t.Fatal(err)
					}
					synctest.Wait()
				}
				sent := 0
				for range 100 {
					if err := a.Send(2, make([]byte, size)); err == nil {
						sent++
					} else if !errors.Is(err, ErrFull) {
						t.Fatal(err)
					}
				}
				if sent != c.want {
					t.Errorf("%d frames were queued, want %d", sent, c.want)
				}
				if n := value(t, a.metrics.dropped.WithLabelValues(dropFull)); n != float64(100-c.want) {
					t.Errorf("%v counted as dropped", n)
				}
				close(gate)
				synctest.Wait()
				if err := a.Send(2, make([]byte, size)); err != nil {
					t.Errorf("when there is room again: %v", err)
				}
				stop(t, a, b)
			})
		})
	}
}

// The death of a process is known at once, and so is its return.
func TestDownAtOnce(t *testing.T) {
	bubble(t, func(t *testing.T, w *wires) {
		a, b := w.pair(t)
		defer stop(t, a)
		a.told()
		began := time.Now()
		stop(t, b)
		synctest.Wait()
		expect(t, "a", a.told(), "down2")
		if took := time.Since(began); took != 0 {
			t.Errorf("it took %v", took)
		}
		if err := a.Send(2, []byte("x")); !errors.Is(err, ErrDown) {
			t.Error(err)
		}
		wait(time.Minute)
		expect(t, "a, later", a.told())
		b = w.start(t, 2)
		defer stop(t, b)
		began = time.Now()
		b.SetPeers(map[uint64]string{1: w.addr(1)})
		synctest.Wait()
		expect(t, "a, after the return", a.told(), "up2")
		if took := time.Since(began); took != 0 {
			t.Errorf("the return took %v", took)
		}
	})
}

func TestBrokenConnectionsComeBack(t *testing.T) {
	bubble(t, func(t *testing.T, w *wires) {
		a, b := w.pair(t)
		defer stop(t, a, b)
		a.told()
		w.cut()
		synctest.Wait()
		w.settle()
		expect(t, "a", a.told(), "down2", "up2")
		if err := a.Send(2, []byte("again")); err != nil {
			t.Fatal(err)
		}
		synctest.Wait()
		expect(t, "b", b.got(), "1:again")
	})
}

// A peer that says nothing for 3 s is down: cables are cut without a word.
func TestSilenceIsDown(t *testing.T) {
	bubble(t, func(t *testing.T, w *wires) {
		a, b := w.pair(t)
		defer stop(t, a, b)
		a.told()
		b.told()
		w.freeze(true)
		wait(silence - keepalive - time.Millisecond)
		expect(t, "a, before", a.told())
		wait(keepalive + 2*time.Millisecond)
		synctest.Wait()
		expect(t, "a", a.told(), "down2")
		expect(t, "b", b.told(), "down1")
		w.freeze(false)
		wait(2*silence + longestPause)
		expect(t, "a, after", a.told(), "up2")
	})
}

// Where only long packets get lost, short frames do not keep a connection up: a
// leader would be heard whose entries never come.
func TestLongPacketsLost(t *testing.T) {
	bubble(t, func(t *testing.T, w *wires) {
		a, b := w.pair(t)
		defer stop(t, a, b)
		wait(2 * keepalive)
		a.told()
		b.told()
		w.loseLong(1400)
		for range 60 { // heartbeats of groups
			wait(100 * time.Millisecond)
			_ = a.Send(2, []byte("beat"))
			_ = b.Send(1, []byte("beat"))
		}
		if e := a.told(); len(e) == 0 || e[0] != "down2" {
			t.Errorf("a was told %v", e)
		}
		if e := b.told(); len(e) == 0 || e[0] != "down1" {
			t.Errorf("b was told %v", e)
		}
		w.loseLong(0)
		wait(2*silence + longestPause)
		b.got()
		if err := a.Send(2, []byte("again")); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		expect(t, "b", b.got(), "1:again")
	})
}

// Attempts grow rarer up to one a second, and SetPeers makes one at once.
func TestRedialling(t *testing.T) {
	bubble(t, func(t *testing.T, w *wires) {
		a := w.start(t, 1)
		defer stop(t, a)
		peers := map[uint64]string{2: w.addr(2)}
		a.SetPeers(peers)
		synctest.Wait()
		if n := w.dialled(); n != 1 {
			t.Errorf("%d attempts at once", n)
		}
		wait(time.Second)
		if n := w.dialled(); n < 5 || n > 9 {
			t.Errorf("%d attempts in the first second", n)
		}
		before := w.dialled()
		wait(time.Minute)
		if n := w.dialled() - before; n < 58 || n > 122 {
			t.Errorf("%d attempts a minute", n)
		}
		before = w.dialled()
		a.SetPeers(peers)
		synctest.Wait()
		if n := w.dialled() - before; n != 1 {
			t.Errorf("SetPeers made %d attempts", n)
		}
	})
}

// A new node that dials before it is admitted gets through once it is.
func TestStrangerIsRefusedUntilAdmitted(t *testing.T) {
	bubble(t, func(t *testing.T, w *wires) {
		a, b := w.start(t, 1), w.start(t, 2)
		defer stop(t, a, b)
		b.SetPeers(map[uint64]string{1: w.addr(1)})
		wait(5 * time.Second)
		expect(t, "a", a.told())
		expect(t, "b", b.told())
		if n := value(t, a.metrics.refused.WithLabelValues("not_admitted")); n < 5 {
			t.Errorf("%v refusals were counted", n)
		}
		a.SetPeers(map[uint64]string{2: w.addr(2)})
		synctest.Wait()
		expect(t, "a, after", a.told(), "up2")
		expect(t, "b, after", b.told(), "up1")
	})
}

// journal is a log that is read while it is written.
type journal struct {
	mu sync.Mutex
	b  strings.Builder
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}

// Of two nodes that meet, one always hears of the other first: that it is refused for
// a moment is no news. A peer that does not come to know it is told of, once.
func TestStrangerIsToldOfIfItLasts(t *testing.T) {
	for name, c := range map[string]struct {
		after time.Duration // is it admitted; 0 = never
		want  int
	}{"met": {strangeFor - 100*time.Millisecond, 0}, "not met": {0, 1}} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *wires) {
				log := &journal{}
				info := slog.New(slog.NewTextHandler(log, nil))
				a, b := w.start(t, 1, func(o *Options) { o.Logger = info }), w.start(t, 2, func(o *Options) { o.Logger = info })
				defer stop(t, a, b)
				b.SetPeers(map[uint64]string{1: w.addr(1)})
				if c.after > 0 {
					wait(c.after)
					a.SetPeers(map[uint64]string{2: w.addr(2)})
					wait(10 * time.Second)
					expect(t, "a", a.told(), "up2")
				} else {
					wait(time.Minute)
				}
				if got := log.String(); strings.Count(got, "level=WARN") != c.want || strings.Count(got, "\n") != c.want {
					t.Errorf("%d warnings wanted, and nothing else: %s", c.want, got)
				}
			})
		})
	}
}

func TestRefusals(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*Options)
		peer   uint64 // whom node 1 takes node 2 for
		want   string
	}{
		"another cluster": {func(o *Options) { o.Cluster = "other" }, 2, "other_cluster"},
		"another node":    {nil, 3, "other_node"},
	} {
		t.Run(name, func(t *testing.T) {
			bubble(t, func(t *testing.T, w *wires) {
				a := w.start(t, 1)
				b := w.start(t, 2, func(o *Options) {
					if c.change != nil {
						c.change(o)
					}
				})
				defer stop(t, a, b)
				b.SetPeers(map[uint64]string{1: w.addr(1)})
				a.SetPeers(map[uint64]string{c.peer: w.addr(2)})
				wait(time.Second)
				expect(t, "a", a.told())
				expect(t, "b", b.told())
				if n := value(t, b.metrics.refused.WithLabelValues(c.want)); n < 3 {
					t.Errorf("%v refusals were counted", n)
				}
			})
		})
	}
}

// Removing a peer ends its connections, and another address moves them.
func TestSetPeers(t *testing.T) {
	bubble(t, func(t *testing.T, w *wires) {
		a, b := w.pair(t)
		defer stop(t, a, b)
		a.told()
		b.told()
		a.SetPeers(nil)
		expect(t, "a", a.told(), "down2") // SetPeers tells before it returns
		synctest.Wait()
		expect(t, "b", b.told(), "down1")
		if err := a.Send(2, []byte("x")); !errors.Is(err, ErrDown) {
			t.Error(err)
		}
		a.SetPeers(map[uint64]string{2: w.addr(2)})
		w.settle()
		expect(t, "a, admitted again", a.told(), "up2")

		stop(t, b)
		synctest.Wait()
		b = w.start(t, 2, func(o *Options) { o.Listener = w.listen("elsewhere") })
		defer stop(t, b)
		b.SetPeers(map[uint64]string{1: w.addr(1)})
		wait(5 * time.Second)
		expect(t, "a, peer gone", a.told(), "down2")
		a.SetPeers(map[uint64]string{2: "elsewhere"})
		synctest.Wait()
		expect(t, "a, peer moved", a.told(), "up2")
	})
}

// Down is told once for both connections, and Up and Down take turns.
func TestUpAndDownTakeTurns(t *testing.T) {
	bubble(t, func(t *testing.T, w *wires) {
		a, b := w.pair(t)
		defer stop(t, a, b)
		for range 50 {
			w.cut()
			wait(7 * time.Millisecond)
		}
		w.settle()
		for i, e := range a.told() {
			if want := [2]string{"up2", "down2"}[i%2]; e != want {
				t.Fatalf("event %d is %s", i, e)
			}
		}
	})
}

func TestClose(t *testing.T) {
	bubble(t, func(t *testing.T, w *wires) {
		r := prometheus.NewRegistry()
		a, b := w.pair(t, func(o *Options) {
			if o.Self == 1 {
				o.Metrics = r
			}
		})
		a.told()
		var both sync.WaitGroup
		for range 2 {
			both.Go(func() { stop(t, a) })
		}
		both.Wait()
		expect(t, "a", a.told()) // its node is stopping: nothing to decide
		if err := a.Send(2, []byte("x")); !errors.Is(err, ErrDown) {
			t.Error(err)
		}
		a.SetPeers(map[uint64]string{2: w.addr(2)})
		if fs, err := r.Gather(); err != nil || len(fs) != 0 {
			t.Errorf("%d metrics are left, %v", len(fs), err)
		}
		stop(t, b)
	})
}

func TestOptionsAreChecked(t *testing.T) {
	for _, o := range []Options{
		{}, {Self: 1}, {Self: 1, Cluster: strings.Repeat("x", 256)},
	} {
		if _, err := Start(o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}

// Frames that come while others are written, with pauses between, stay whole and
// in order.
func TestFramesUnderway(t *testing.T) {
	bubble(t, func(t *testing.T, w *wires) {
		a, b := w.pair(t)
		defer stop(t, a, b)
		var want []string
		for i := range 3000 {
			f := fmt.Sprint(i)
			if err := a.Send(2, []byte(f)); err != nil {
				t.Fatal(err)
			}
			want = append(want, "1:"+f)
			switch {
			case i%7 == 0:
				synctest.Wait()
			case i%11 == 0:
				wait(time.Millisecond)
			case i%3 == 0:
				runtime.Gosched()
			}
		}
		synctest.Wait()
		if got := b.got(); !slices.Equal(got, want) {
			t.Errorf("%d frames, not as they were sent", len(got))
		}
		p := a.peer(2)
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.frames != 0 || p.bytes != 0 {
			t.Errorf("%d frames of %d bytes are counted when none is left", p.frames, p.bytes)
		}
	})
}

// A node that takes no frames is as good as dead, and its peer's queue must not
// wait for it.
func TestStuckReceiverIsDown(t *testing.T) {
	bubble(t, func(t *testing.T, w *wires) {
		gate := make(chan struct{})
		a, b := w.pair(t, func(o *Options) { o.Receive = func(uint64, []byte) { <-gate } })
		a.told()
		for range 3 {
			if err := a.Send(2, make([]byte, 200<<10)); err != nil {
				t.Fatal(err)
			}
		}
		wait(silence + time.Millisecond)
		synctest.Wait()
		expect(t, "a", a.told(), "down2")
		if n := value(t, a.metrics.dropped.WithLabelValues(dropBroken)); n < 2 {
			t.Errorf("%v frames are counted as dropped", n)
		}
		close(gate)
		wait(time.Second)
		expect(t, "a, later", a.told(), "up2")
		stop(t, a, b)
	})
}
