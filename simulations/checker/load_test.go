package checker

import (
	"strings"
	"testing"

	"github.com/rouse-im/rouse/simulations"
)

// A write without an answer may come true late, or never; only what is read tells.
func TestWritesWithoutAnAnswer(t *testing.T) {
	write := func(value string, call, back int64) Register {
		return Register{Key: "ann", Write: true, Value: value, Call: simulations.Offset(call), Return: simulations.Offset(back)}
	}
	read := func(value string, call, back int64) Register {
		return Register{Key: "ann", Client: 1, Value: value, Call: simulations.Offset(call), Return: simulations.Offset(back)}
	}
	unknown := func(r Register) Register { r.Unknown = true; return r }
	for _, x := range []struct {
		name string
		all  []Register
		fits bool
	}{
		{"late", []Register{write("a", 1, 2), unknown(write("b", 3, 4)), read("a", 5, 6), read("b", 7, 8)}, true},
		{"never", []Register{write("a", 1, 2), unknown(write("b", 3, 4)), read("a", 5, 6)}, true},
		{"back again", []Register{write("a", 1, 2), unknown(write("b", 3, 4)), read("b", 5, 6), read("a", 7, 8)}, false},
		{"before it was asked", []Register{write("a", 1, 2), read("b", 3, 4), unknown(write("b", 5, 6))}, false},
	} {
		if got := linearizable(x.all); got != x.fits {
			t.Errorf("%s: fits %v, want %v", x.name, got, x.fits)
		}
	}
}

// The finding names the read at which it went wrong, not one of those after it.
func TestFirstMisfit(t *testing.T) {
	h := &History{Registers: []Register{
		{Key: "ann", Write: true, Value: "a", Call: 1, Return: 2},
		{Key: "ann", Write: true, Value: "b", Call: 3, Return: 4},
		{Key: "ann", Client: 1, Value: "b", Call: 5, Return: 6},
		{Key: "ann", Client: 2, Value: "a", Call: 7, Return: 8},
		{Key: "ann", Client: 1, Value: "a", Call: 9, Return: 10},
	}}
	err := Broken(h.Run())
	if err == nil || !strings.Contains(err.Error(), `client 2, between 7 and 8 ms, read "a"`) {
		t.Errorf("found: %v", err)
	}
}
