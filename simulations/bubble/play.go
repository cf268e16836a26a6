package bubble

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/rouse-im/rouse/simulations"
)

// Progress of a run, for somebody outside of the bubble.
type Progress struct {
	at, events atomic.Int64
	moves      atomic.Int64
	stage      atomic.Pointer[string]
}

// Now tells the stage ("playing", "settling", "judging"), the time that is
// played, and how many events were told.
func (p *Progress) Now() (stage string, at simulations.Offset, events int64) {
	stage = "starting"
	if s := p.stage.Load(); s != nil {
		stage = *s
	}
	return stage, simulations.Offset(p.at.Load()), p.events.Load()
}

// Moves rises as long as the run gets on. One in which it does not has come to
// a standstill, as when somebody waits for a mutex and the clock with him.
func (p *Progress) Moves() int64 { return p.moves.Load() }

func (p *Progress) enter(stage string) {
	p.stage.Store(&stage)
	p.moves.Add(1)
}

// Play runs the steps in fake time, for programs: they have no test to make a
// bubble of. ctx ends a run between two steps.
//
// A T that belongs to no run of tests is enough for a bubble, as long as nothing
// is reported by it: it has no output. It brings none of the flags of tests.
// TestPlay says so of each version of Go. What panics in a bubble, and a bubble in
// which nothing can go on, end the process.
func Play(ctx context.Context, o Options) (r *Result, err error) {
	if o.Dir == "" {
		if o.Dir, err = os.MkdirTemp("", "rouse-sim-"); err != nil {
			return nil, fmt.Errorf("bubble: %w", err)
		}
		defer func() { err = errors.Join(err, os.RemoveAll(o.Dir)) }()
	}
	var end func()
	o.Steps, end = ahead(ctx, o.Steps)
	defer end()
	synctest.Test(new(testing.T), func(*testing.T) { r, err = Run(o) })
	if stopped := context.Cause(ctx); stopped != nil {
		return nil, stopped
	}
	return r, err
}

// Steps are made so many at a time, and as many pieces ahead of who plays them.
const (
	pieceSteps  = 256
	piecesAhead = 4
)

// ahead makes the steps in a goroutine outside of the bubble, while those before
// are played; end waits for it. Who waits for steps within the bubble waits for the
// world outside, so that its clock stands still meanwhile.
func ahead(ctx context.Context, steps iter.Seq[simulations.Step]) (made iter.Seq[simulations.Step], end func()) {
	pieces, over := make(chan []simulations.Step, piecesAhead), make(chan struct{})
	var maker sync.WaitGroup
	maker.Go(func() {
		defer close(pieces)
		var piece []simulations.Step
		for s := range steps {
			if ctx.Err() != nil {
				return
			}
			if piece = append(piece, s); len(piece) < pieceSteps {
				continue
			}
			select {
			case pieces <- piece:
				piece = make([]simulations.Step, 0, pieceSteps)
			case <-over:
				return
			}
		}
		select {
		case pieces <- piece:
		case <-over:
		}
	})
	made = func(yield func(simulations.Step) bool) {
		for piece := range pieces {
			for _, s := range piece {
				if ctx.Err() != nil || !yield(s) {
					return
				}
			}
		}
	}
	return made, func() { close(over); maker.Wait() }
}
