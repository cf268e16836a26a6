package app

import (
	"testing"
	"time"

	"github.com/rouse-im/rouse/storage"
)

func TestRoomHasHysteresis(t *testing.T) {
	at := time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)
	r := room{needed: 800}
	for _, step := range []struct {
		at   int // seconds
		free uint64
		low  bool
	}{
		{0, 800, false},
		{1, 799, true},
		{2, 800, true},    // no more than is needed
		{60, 899, true},   // not enough of it
		{61, 900, true},   // just now
		{90, 900, true},   // for less than 30 s
		{90, 880, true},   // begins again
		{91, 2000, true},  //
		{120, 2000, true}, //
		{121, 2000, false},
		{122, 801, false}, // there still is room
		{123, 0, true},    // full
		{124, 2000, true},
		{153, 2000, true},
		{154, 2000, false},
	} {
		var full error
		if step.free < r.needed {
			full = &storage.DiskLowError{FreeBytes: step.free, NeededBytes: r.needed}
		}
		before := r.low.Load()
		changed := r.look(step.free, full, at.Add(time.Duration(step.at)*time.Second))
		if low := r.low.Load(); low != step.low || changed != (low != before) {
			t.Errorf("after %d s with %d free: low %t, changed %t", step.at, step.free, low, changed)
		}
	}
}

// A file system that does not say what is free has room.
func TestRoomOfASilentDisk(t *testing.T) {
	at := time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)
	r := room{needed: 800}
	if r.look(0, nil, at) || r.low.Load() {
		t.Error("low")
	}
}
