package app

import (
	"testing"
	"time"
)

// What is heard must stay otherwise for a while before a node says so.
func TestHearingHasHysteresis(t *testing.T) {
	at := time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)
	var h hearing
	for _, step := range []struct {
		at    int // seconds
		hears bool
		deaf  bool
	}{
		{0, true, false},
		{1, false, false},
		{5, false, false},
		{6, true, false}, // begins again
		{7, false, false},
		{11, false, false},
		{12, false, true},
		{13, true, true},
		{17, true, true},
		{18, true, false},
		{19, false, false},
	} {
		before := h.deaf.Load()
		changed := h.look(step.hears, at.Add(time.Duration(step.at)*time.Second), 5*time.Second)
		if deaf := h.deaf.Load(); deaf != step.deaf || changed != (deaf != before) {
			t.Errorf("after %d s: deaf %t, changed %t", step.at, deaf, changed)
		}
	}
}
