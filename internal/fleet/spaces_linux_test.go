package fleet

import (
	"context"
	"errors"
	"testing"
	"time"
)

// spaces makes a network, or skips with the reason why there is none.
func spaces(t *testing.T, n int) *Spaces {
	t.Helper()
	s, err := NewSpaces(n)
	if errors.Is(err, ErrNoSpaces) {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// serve takes connections in the namespace, and closes them.
func (s *Space) serve(t *testing.T) string {
	t.Helper()
	l, err := s.listen(s.IP + ":0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			c.Close()
		}
	}()
	return l.Addr().String()
}

func (s *Space) reaches(address string) bool {
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	c, err := s.dial(ctx, "tcp", address)
	if err != nil {
		return false
	}
	c.Close()
	return true
}

func TestSpacesCutAndHeal(t *testing.T) {
	if testing.Short() {
		t.Skip("makes network namespaces")
	}
	t.Parallel()
	s := spaces(t, 3)
	at := [3]string{}
	for i, n := range s.nodes {
		at[i] = n.serve(t)
	}
	expect := func(when string, from, to int, want bool) {
		t.Helper()
		if got := s.nodes[from].reaches(at[to]); got != want {
			t.Errorf("%s: node %d reaches node %d: %v, want %v", when, from, to, got, want)
		}
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	expect("whole", 0, 1, true)
	expect("whole", 2, 0, true)
	must(s.Split([]int{0}, []int{1, 2}))
	expect("split", 0, 1, false)
	expect("split", 2, 0, false)
	expect("split", 1, 2, true)
	must(s.Heal())
	expect("healed", 0, 1, true)
	must(s.Lose(1, 0.999))
	expect("all lost at 1", 0, 1, false)
	expect("all lost at 1", 0, 2, true)
	must(s.Heal())
	must(s.LoseLarge(1, 20))
	expect("no packet is that small", 0, 1, false)
	must(s.Break([]Link{{From: 0, To: 2, Loss: 1}, {From: 1, To: 2, Loss: 0.999}, {From: 2, To: 1}}))
	expect("broken", 0, 2, false)
	expect("broken", 1, 2, false)
	expect("broken", 0, 1, true)
	must(s.Break([]Link{{From: 1, To: 0, Loss: 1}}))
	expect("only the last", 0, 2, true)
	expect("only the last", 1, 0, false)
	must(s.Heal())
	expect("healed again", 1, 0, true)
}
