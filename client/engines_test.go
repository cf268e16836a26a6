package client

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestEnginesSpread(t *testing.T) {
	given := []string{"a:1", "b:1", "a:1", "c:1"}
	seen := map[string]int{}
	for i := range 30 {
		seen[newEngines(given, float64(i)/30).current()]++
	}
	if diff := cmp.Diff(map[string]int{"a:1": 10, "b:1": 10, "c:1": 10}, seen); diff != "" {
		t.Fatal(diff)
	}
}

func TestEnginesTryAllBeforeTheyWait(t *testing.T) {
	e := newEngines([]string{"a:1", "b:1", "c:1"}, 0)
	var tried []string
	for round := 1; round <= 3; round++ {
		for i := range 3 {
			tried = append(tried, e.current())
			pause := e.next(0.5)
			if last := i == 2; last != (pause >= firstReconnect/2) {
				t.Fatalf("round %d, engine %d: pause %v", round, i, pause)
			}
		}
	}
	if diff := cmp.Diff([]string{"a:1", "b:1", "c:1", "a:1", "b:1", "c:1", "a:1", "b:1", "c:1"}, tried); diff != "" {
		t.Fatal(diff)
	}
	e.worked()
	if pause := e.next(0.999); pause > nextEngine {
		t.Fatalf("after a good connection the pause is %v", pause)
	}
}

func TestOneEngineWaitsAsBefore(t *testing.T) {
	e := newEngines([]string{"a:1"}, 0.9)
	for n := 1; n < 9; n++ {
		if got, want := e.next(0.25), backoff(n, firstReconnect, mostReconnect, 0.25); got != want {
			t.Fatalf("attempt %d: %v, want %v", n, got, want)
		}
	}
}

func TestEnginesLearn(t *testing.T) {
	e := newEngines([]string{"lb:1"}, 0)
	e.learn([]string{"n1:1", "n2:1"})
	if e.current() != "lb:1" {
		t.Fatalf("learning moved the client to %s", e.current())
	}
	e.next(0)
	e.learn([]string{"n3:1"}) // n1 says so: n2 is gone
	if diff := cmp.Diff([]string{"lb:1", "n1:1", "n3:1"}, e.all); diff != "" || e.current() != "n1:1" {
		t.Fatalf("%s at %s", diff, e.current())
	}
	many := make([]string, 200)
	for i := range many {
		many[i] = time.Duration(i).String()
	}
	e.learn(many)
	if len(e.all) != maxEngines || e.current() != "n1:1" {
		t.Fatalf("%d engines, at %s", len(e.all), e.current())
	}
}
