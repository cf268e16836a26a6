package memnet

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

const ms = time.Millisecond

// pair connects a to b: x is a's end, y b's.
func pair(t *testing.T, n *Net) (x, y net.Conn) {
	t.Helper()
	l, err := n.Host("b").Listen(":0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	x, err = n.Host("a").Dial(context.Background(), l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	y, err = l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	return x, y
}

func read(t *testing.T, c net.Conn, want string) {
	t.Helper()
	b := make([]byte, len(want))
	if _, err := io.ReadFull(c, b); err != nil || string(b) != want {
		t.Fatalf("read %q, %v, want %q", b, err, want)
	}
}

func write(t *testing.T, c net.Conn, s string) {
	t.Helper()
	if _, err := c.Write([]byte(s)); err != nil {
		t.Fatal(err)
	}
}

func after(t *testing.T, start time.Time, want time.Duration) {
	t.Helper()
	if got := time.Since(start); got != want {
		t.Fatalf("took %v, want %v", got, want)
	}
}

func TestConnTakesTheTimeOfTheLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Options{Latency: 10 * ms})
		start := time.Now()
		x, y := pair(t, n)
		after(t, start, 20*ms)
		start = time.Now()
		write(t, x, "hello")
		after(t, start, 0)
		read(t, y, "hello")
		after(t, start, 10*ms)
		n.Latency("a", "b", 50*ms, 0)
		write(t, y, "back")
		read(t, x, "back")
		after(t, start, 60*ms)
	})
}

func TestConnBandwidth(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Options{Latency: 10 * ms, Bandwidth: 100_000})
		x, y := pair(t, n)
		start := time.Now()
		write(t, x, string(make([]byte, 100_000)))
		if _, err := io.CopyN(io.Discard, y, 100_000); err != nil {
			t.Fatal(err)
		}
		after(t, start, time.Second+10*ms)
	})
}

func TestConnKeepsOrderUnderJitter(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Options{Seed: 7, Latency: 5 * ms, Jitter: 20 * ms})
		x, y := pair(t, n)
		r := rand.New(rand.NewPCG(1, 2))
		sent := make([]byte, 3<<20)
		for i := range sent {
			sent[i] = byte(r.Uint32())
		}
		go func() {
			for b := sent; len(b) > 0; {
				k := min(len(b), 1+r.IntN(100_000))
				if _, err := x.Write(b[:k]); err != nil {
					t.Error(err)
				}
				b = b[k:]
			}
			if err := x.Close(); err != nil {
				t.Error(err)
			}
		}()
		got, err := io.ReadAll(y)
		if err != nil || sha256.Sum256(got) != sha256.Sum256(sent) {
			t.Fatalf("%d bytes of %d, same %v, %v", len(got), len(sent), bytes.Equal(got, sent), err)
		}
	})
}

func TestConnWriterWaitsForReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y := pair(t, New(Options{}))
		if err := x.SetWriteDeadline(time.Now().Add(time.Minute)); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		n, err := x.Write(make([]byte, 2*window))
		if n != window || !errors.Is(err, os.ErrDeadlineExceeded) {
			t.Fatalf("wrote %d, %v; want one window of %d and a time-out", n, err, window)
		}
		after(t, start, time.Minute)
		if _, err := io.CopyN(io.Discard, y, window); err != nil {
			t.Fatal(err)
		}
		if err := x.SetWriteDeadline(time.Time{}); err != nil {
			t.Fatal(err)
		}
		write(t, x, "more")
		read(t, y, "more")
	})
}

func TestConnDeadlineWakesReader(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, _ := pair(t, New(Options{}))
		start := time.Now()
		time.AfterFunc(time.Second, func() { _ = x.SetReadDeadline(time.Now().Add(time.Second)) })
		_, err := x.Read(make([]byte, 1))
		var ne net.Error
		if !errors.As(err, &ne) || !ne.Timeout() {
			t.Fatalf("%v is no time-out", err)
		}
		after(t, start, 2*time.Second)
	})
}

// What arrives before a deadline leaves its timer alone: a later one holds all the
// same, and so does a sooner one.
func TestConnDeadlinesFollowEachOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y := pair(t, New(Options{}))
		for _, next := range []time.Duration{5 * time.Second, time.Second} {
			time.AfterFunc(time.Second/2, func() { write(t, y, "a") })
			if err := x.SetReadDeadline(time.Now().Add(3 * time.Second)); err != nil {
				t.Fatal(err)
			}
			read(t, x, "a")
			start := time.Now()
			if err := x.SetReadDeadline(start.Add(next)); err != nil {
				t.Fatal(err)
			}
			if n, err := x.Read(make([]byte, 1)); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("read %d bytes, %v", n, err)
			}
			after(t, start, next)
		}
	})
}

func TestConnCutStallsUntilHealed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Options{Latency: ms})
		x, y := pair(t, n)
		n.Cut("a", "b")
		start := time.Now()
		write(t, x, "late")
		write(t, y, "other way")
		read(t, x, "other way")
		after(t, start, ms)
		time.AfterFunc(time.Hour, n.Heal)
		read(t, y, "late")
		after(t, start, time.Hour+2*ms)
	})
}

// What is under way when the link is cut was not delivered: it waits too.
func TestConnCutCatchesWhatIsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Options{Latency: 10 * ms})
		x, y := pair(t, n)
		start := time.Now()
		write(t, x, "late")
		time.AfterFunc(5*ms, func() { n.Cut("a", "b") })
		time.AfterFunc(time.Second, func() { n.Mend("a", "b") })
		read(t, y, "late")
		after(t, start, time.Second+10*ms)
	})
}

func TestConnCrashResets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Options{Latency: 10 * ms})
		x, y := pair(t, n)
		start := time.Now()
		n.Crash("b")
		if _, err := y.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
			t.Fatalf("the dead host writes: %v", err)
		}
		if _, err := x.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Fatalf("read %v, want a reset", err)
		}
		after(t, start, 10*ms)
		if _, err := x.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) {
			t.Fatalf("write %v, want a reset", err)
		}
	})
}

func TestConnCloseIsEndOfFile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		x, y := pair(t, New(Options{}))
		write(t, x, "last")
		if err := x.Close(); err != nil {
			t.Fatal(err)
		}
		read(t, y, "last")
		if _, err := y.Read(make([]byte, 1)); err != io.EOF {
			t.Fatalf("read %v, want the end", err)
		}
		write(t, y, "nobody reads")
		synctest.Wait()
		if err := y.SetReadDeadline(time.Now().Add(time.Second)); err != nil {
			t.Fatal(err)
		}
		_, _ = y.Read(make([]byte, 1)) // gives the reset the time to come
		<-time.After(time.Second)
		if _, err := y.Write([]byte("x")); !errors.Is(err, syscall.ECONNRESET) {
			t.Fatalf("write %v, want a reset by who had closed", err)
		}
		if _, err := x.Read(make([]byte, 1)); !errors.Is(err, net.ErrClosed) {
			t.Fatalf("read after close: %v", err)
		}
	})
}

func TestDialFaults(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Options{Latency: 10 * ms})
		a, b := n.Host("a"), n.Host("b")
		start := time.Now()
		if _, err := a.Dial(context.Background(), b.Addr(7)); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("closed port: %v", err)
		}
		after(t, start, 20*ms)
		if _, err := a.Dial(context.Background(), "nowhere:7"); err == nil {
			t.Fatal("dialled a host that does not exist")
		}

		if _, err := b.Listen(":7"); err != nil {
			t.Fatal(err)
		}
		n.Cut("a", "b")
		start = time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), 3*time.Second)
		defer cancel()
		_, err := a.Dial(ctx, "b:7")
		var ne net.Error
		if !errors.As(err, &ne) || !ne.Timeout() {
			t.Fatalf("cut link: %v", err)
		}
		after(t, start, 3*time.Second)
		n.Heal()

		n.Crash("b")
		if _, err := a.Dial(context.Background(), "b:7"); !errors.Is(err, syscall.ECONNREFUSED) {
			t.Fatalf("crashed host: %v", err)
		}
		if _, err := b.Listen(":7"); err == nil {
			t.Fatal("a crashed host listens")
		}
		l, err := n.Host("b").Listen(b.Addr(7))
		if err != nil {
			t.Fatalf("the next run at the same address: %v", err)
		}
		c, err := a.Dial(context.Background(), "b:7")
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := n.Host("b").Listen(":7"); err == nil {
			t.Fatal("opened a port twice")
		}
		_ = l.Close()
		if _, err := l.Accept(); !errors.Is(err, net.ErrClosed) {
			t.Fatalf("accept of a closed port: %v", err)
		}
		if _, err := c.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Fatalf("connection that was never accepted: %v", err)
		}
	})
}

// A dial ends with the host that dials, whatever the link does.
func TestDialEndsWithItsHost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Options{})
		a := n.Host("a")
		n.Host("b")
		n.Cut("a", "b")
		time.AfterFunc(time.Second, func() { n.Crash("a") })
		start := time.Now()
		if _, err := a.Dial(context.Background(), "b:7"); !errors.Is(err, net.ErrClosed) {
			t.Fatalf("%v", err)
		}
		after(t, start, time.Second)
	})
}

func TestFrozenHostIsSilent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Options{Latency: ms})
		x, y := pair(t, n)
		n.Freeze("b")
		start := time.Now()
		write(t, x, "in")
		write(t, y, "out")
		time.AfterFunc(25*time.Second, func() { n.Thaw("b") })
		read(t, x, "out")
		after(t, start, 25*time.Second+ms)
		read(t, y, "in")

		// A machine without power resets nobody until it is back.
		n.Freeze("b")
		start = time.Now()
		time.AfterFunc(time.Minute, func() { n.Crash("b"); n.Host("b") })
		if _, err := x.Read(make([]byte, 1)); !errors.Is(err, syscall.ECONNRESET) {
			t.Fatalf("%v", err)
		}
		after(t, start, time.Minute+ms)
	})
}

func TestPartition(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Options{})
		for _, h := range []string{"a", "b", "c", "d"} {
			if _, err := n.Host(h).Listen(":7"); err != nil {
				t.Fatal(err)
			}
		}
		reach := func(from, to string) bool {
			ctx, cancel := context.WithTimeout(context.Background(), time.Second)
			defer cancel()
			c, err := n.Host(from).Dial(ctx, to+":7")
			if err == nil {
				_ = c.Close()
			}
			return err == nil
		}
		n.Partition([]string{"a", "b"}, []string{"c"})
		for _, c := range []struct {
			from, to string
			want     bool
		}{{"a", "b", true}, {"b", "a", true}, {"a", "c", false}, {"c", "a", false}, {"c", "b", false}, {"a", "d", true}, {"c", "d", true}} {
			if got := reach(c.from, c.to); got != c.want {
				t.Errorf("%s reaches %s: %v, want %v", c.from, c.to, got, c.want)
			}
		}
		n.Heal()
		if !reach("a", "c") || !reach("c", "a") {
			t.Error("not healed")
		}
	})
}
