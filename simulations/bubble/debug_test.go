package bubble_test

import (
	"encoding/json"
	"flag"
	"fmt"
	"slices"
	"testing"

	"github.com/rouse-im/rouse/simulations"
)

var about = flag.String("sim.user", "", "shows all of a user")

func TestShow(t *testing.T) {
	if *about == "" {
		t.Skip("for people: name a user with -sim.user")
	}
	o, _ := script(t, *which, *first)
	r := play(t, o)
	h := r.History
	mine := map[uint64]bool{}
	toks := map[string]bool{}
	for _, e := range h.Events {
		if slices.Contains(e.Users(), *about) {
			mine[e.N] = true
			if e.Kind == simulations.Bind {
				toks[e.Token] = true
			}
			short := *e
			short.To = nil
			b, _ := json.Marshal(short)
			fmt.Println(e.At, string(b))
		} else if e.Kind == simulations.Dead && toks[e.Token] || e.Kind == simulations.IMDown || e.Kind == simulations.IMUp {
			b, _ := json.Marshal(e)
			fmt.Println(e.At, string(b))
		}
	}
	for _, a := range h.Acks {
		if mine[a.Event] {
			fmt.Printf("ack %+v\n", a)
		}
	}
	for _, p := range h.Outcomes {
		if p.User == *about {
			b, _ := json.Marshal(p)
			fmt.Println(string(b))
		}
	}
	for _, p := range h.Pushes {
		if toks[p.Token] {
			b, _ := json.Marshal(p)
			fmt.Println(p.At, string(b))
		}
	}
	fmt.Println(r.Err())
}
