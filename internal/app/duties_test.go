package app

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func TestDutiesFollowTheTerms(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var said []string
		d := newDuties(2)
		d.take = func(group uint16, term uint64) { said = append(said, fmt.Sprintf("take %d in %d", group, term)) }
		d.lay = func(group uint16, term uint64) { said = append(said, fmt.Sprintf("lay %d of %d", group, term)) }
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { d.run(ctx); close(ended) }()

		d.lead(1, 5)
		synctest.Wait()
		d.lose(1, 5)
		d.lead(1, 7)
		synctest.Wait()
		d.lead(2, 3) // comes and goes before anybody looks
		d.lose(2, 3)
		synctest.Wait()
		d.lose(1, 5) // late
		synctest.Wait()
		d.lose(1, 7)
		synctest.Wait()
		cancel()
		<-ended
		want := []string{"take 1 in 5", "lay 1 of 5", "take 1 in 7", "lay 1 of 7"}
		if diff := cmp.Diff(want, said); diff != "" {
			t.Fatal(diff)
		}
	})
}

// TestDutiesEndWhereTheReplicasAre: whatever comes between looks, what is taken
// at the end is what is led, and each taking has one laying.
func TestDutiesEndWhereTheReplicasAre(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		const groups = 3
		d := newDuties(groups - 1)
		var led, held [groups]uint64
		d.take = func(group uint16, term uint64) {
			if held[group] != 0 || term == 0 {
				t.Fatalf("group %d taken in %d while held in %d", group, term, held[group])
			}
			held[group] = term
		}
		d.lay = func(group uint16, term uint64) {
			if held[group] != term {
				t.Fatalf("group %d laid down of %d while held in %d", group, term, held[group])
			}
			held[group] = 0
		}
		term := uint64(0)
		for range rapid.IntRange(0, 40).Draw(t, "changes") {
			g := rapid.IntRange(0, groups-1).Draw(t, "group")
			if led[g] == 0 {
				term++
				led[g] = term
				d.lead(uint16(g), term)
			} else {
				d.lose(uint16(g), led[g])
				led[g] = 0
			}
		}
		ctx, cancel := context.WithCancel(context.Background())
		cancel()
		d.run(ctx) // ends when nothing is left to hand on
		if held != led {
			t.Fatalf("held %v, led %v", held, led)
		}
	})
}
