package fake

import (
	"testing"
	"time"
)

func TestRate(t *testing.T) {
	start := time.Unix(1_700_000_000, 0)
	r := newRate(5, time.Second)
	for i, tt := range []struct {
		n    int
		at   time.Duration
		want bool
	}{
		{3, 0, true},
		{3, 0, false}, // what is refused leaves room for less
		{2, 999 * time.Millisecond, true},
		{1, 999 * time.Millisecond, false},
		{5, time.Second, true},
		{1, 1500 * time.Millisecond, false},
		{6, 3 * time.Second, false},
	} {
		if got := r.spend(tt.n, start.Add(tt.at)); got != tt.want {
			t.Errorf("step %d: %d at %v: %v", i, tt.n, tt.at, got)
		}
	}
	r.set(1)
	if !r.spend(1, start.Add(3*time.Second)) || r.spend(1, start.Add(3*time.Second)) {
		t.Error("a new bound did not hold at once")
	}
	r.set(0)
	if !r.spend(1<<40, start.Add(3*time.Second)) {
		t.Error("a bound after it was ended")
	}
	minute := newRate(600, time.Minute)
	minute.set(2)
	if !minute.spend(120, start) || minute.spend(1, start.Add(59*time.Second)) || !minute.spend(1, start.Add(time.Minute)) {
		t.Error("2 per second are 120 per minute")
	}
}
