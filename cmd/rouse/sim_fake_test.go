package main

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-im/rouse/simulations/bubble"
)

// A run in which nothing moves is left, and leaves its stacks.
func TestStandstill(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		v := &simVerb{Out: t.TempDir(), Patience: time.Minute}
		var said bytes.Buffer
		began := time.Now()
		x := v.await(&call{errs: &said}, &plot{length: time.Hour}, &bubble.Progress{}, nil, make(chan played))
		var still *standstill
		if !errors.As(x.err, &still) || !strings.Contains(x.err.Error(), "nothing has moved for 1m0s") {
			t.Errorf("%v", x.err)
		}
		if took := time.Since(began); took < time.Minute || took > time.Minute+time.Second {
			t.Errorf("it took %v", took)
		}
		stacks, err := os.ReadFile(filepath.Join(v.Out, "stacks.txt"))
		if err != nil || !bytes.Contains(stacks, []byte("TestStandstill")) {
			t.Errorf("%v: %d bytes of stacks", err, len(stacks))
		}
	})
}

// Seeds that run count as far as they say they are.
func TestSeedsSayWhenTheyEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		half, judging := &lastLine{}, &lastLine{}
		began := time.Now()
		tally := &tally{of: 8, done: 2, began: began, running: map[uint64]*lastLine{3: half, 4: judging}}
		for l, text := range map[*lastLine]string{half: "50 %  Mon 12:00:00  7 events\n", judging: "98 %  Mon 23:59:00  9 events\njudging\n"} {
			if _, err := l.Write([]byte(text)); err != nil {
				t.Fatal(err)
			}
		}
		<-time.After(35 * time.Minute)
		want := "2 of 8 seeds, 0 failed, done at about " + began.Add(80*time.Minute).Format("15:04") + "; seed 3: 50 %  Mon 12:00:00  7 events; seed 4: judging"
		if got := tally.line(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	})
}

// A process that says nothing any more is called; one that talks is not.
func TestSilentSeedIsCalled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		said, called := &lastLine{at: time.Now()}, make(chan time.Time, 1)
		began := time.Now()
		go said.silence(t.Context(), 10*time.Minute, func() { called <- time.Now() })
		for range 30 {
			<-time.After(time.Minute)
			if _, err := said.Write([]byte("x")); err != nil {
				t.Fatal(err)
			}
		}
		at := <-called
		if silent := at.Sub(began) - 30*time.Minute; silent < 10*time.Minute || silent > 11*time.Minute {
			t.Errorf("called after %v of silence", silent)
		}
	})
}
