package memnet

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
)

func ports(t *testing.T, n *Net) (a, b *Gossip) {
	t.Helper()
	var err error
	if a, err = n.Host("a").Gossip(":7946"); err != nil {
		t.Fatal(err)
	}
	if b, err = n.Host("b").Gossip(":7946"); err != nil {
		t.Fatal(err)
	}
	return a, b
}

func send(t *testing.T, from, to *Gossip, s string) {
	t.Helper()
	if _, err := from.WriteTo([]byte(s), to.h.Addr(7946)); err != nil {
		t.Fatal(err)
	}
}

// arrived takes what is there after d.
func arrived(g *Gossip, d time.Duration) (got []string) {
	<-time.After(d)
	synctest.Wait()
	for {
		select {
		case p := <-g.PacketCh():
			got = append(got, string(p.Buf))
		default:
			return got
		}
	}
}

func TestPackets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Options{Latency: 10 * ms})
		a, b := ports(t, n)
		send(t, a, b, "one")
		if got := arrived(b, 9*ms); got != nil {
			t.Fatalf("%q came too early", got)
		}
		if got := arrived(b, ms); len(got) != 1 || got[0] != "one" {
			t.Fatalf("got %q", got)
		}
		n.Cut("a", "b")
		send(t, a, b, "lost")
		send(t, b, a, "other way")
		if got := arrived(a, 10*ms); len(got) != 1 {
			t.Fatalf("a got %q", got)
		}
		n.Heal()
		if got := arrived(b, time.Second); got != nil {
			t.Fatalf("a cut packet came: %q", got)
		}
		n.Clog("a", "b")
		for i := range maxHeldPackets + 10 {
			send(t, a, b, fmt.Sprint(i))
		}
		if got := arrived(b, time.Hour); got != nil {
			t.Fatalf("%d packets passed a clogged link", len(got))
		}
		n.Heal()
		if got := arrived(b, time.Second); len(got) != maxHeldPackets {
			t.Fatalf("%d packets came, want the %d that a clogged link holds", len(got), maxHeldPackets)
		}
	})
}

func TestPacketsLostByChance(t *testing.T) {
	run := func(seed uint64) (count int) {
		synctest.Test(t, func(t *testing.T) {
			n := New(Options{Seed: seed, Loss: 0.2})
			a, b := ports(t, n)
			for range 1000 {
				send(t, a, b, "x")
			}
			count = len(arrived(b, time.Second))
			n.Loss("a", "b", 1)
			send(t, a, b, "x")
			if got := arrived(b, time.Second); got != nil {
				t.Errorf("%q", got)
			}
		})
		return count
	}
	if a, b := run(1), run(1); a != b || a < 750 || a > 850 {
		t.Errorf("%d and %d of 1000 arrived under one seed, want twice the same, about 800", a, b)
	}
	if a, b := run(1), run(2); a == b {
		t.Errorf("%d arrived under both seeds", a)
	}
}

// Nobody reads: packets and connections pile up to their bound, and the sender
// never waits.
func TestDeadReaderHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := New(Options{})
		a, b := ports(t, n)
		start := time.Now()
		for range 3 * packetQueue {
			send(t, a, b, "x")
		}
		after(t, start, 0)
		if got := arrived(b, time.Second); len(got) != packetQueue {
			t.Fatalf("%d packets wait, want %d", len(got), packetQueue)
		}
		refused := 0
		for range backlog + 10 {
			if _, err := a.DialTimeout(b.h.Addr(7946), time.Second); err != nil {
				refused++
			}
		}
		if refused != 10 {
			t.Errorf("%d connections refused, want 10", refused)
		}
		n.Crash("b")
		send(t, a, b, "x")
		if _, err := b.WriteTo([]byte("x"), "a:7946"); err == nil {
			t.Error("a crashed host sends")
		}
		next, err := n.Host("b").Gossip(":7946")
		if err != nil {
			t.Fatal(err)
		}
		send(t, a, next, "again")
		if got := arrived(next, time.Second); len(got) == 0 {
			t.Error("the next run hears nothing")
		}
		if err := next.Shutdown(); err != nil {
			t.Fatal(err)
		}
		if _, err := n.Host("b").Gossip(":7946"); err != nil {
			t.Errorf("port of a closed transport: %v", err)
		}
	})
}
