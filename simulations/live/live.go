// Package live plays a scenario against real server processes in real time: they
// are started, killed, frozen and cut off as the scenario says, IM nodes use the
// client package, and the vendors are fakes on loopback. What was answered,
// pushed and stored is then judged by simulations/model and simulations/checker.
//
// People live faster than they do; the engine does not: its clocks, leases and
// retries are those of every server. Times in the logs are therefore the
// engine's, since the beginning of the run, and Speed tells the scenario's.
package live

import (
	"context"
	"errors"
	"fmt"
	"io"
	"iter"
	"log/slog"
	"os"
	"os/exec"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/simulations"
	"github.com/rouse-im/rouse/simulations/checker"
	"github.com/rouse-im/rouse/simulations/report"
)

// LeaseTTL of IM nodes in a run: a death is noticed within it.
const LeaseTTL = 10 * time.Second

// Options of a run.
type Options struct {
	// Steps in order of time, and how long they go on.
	Steps  iter.Seq[simulations.Step]
	Length time.Duration
	// Speed is how many times quicker than life events come; at least 1.
	Speed float64
	// Settings of the app.
	Settings *rousev1.AppSettings
	// Quota of each vendor's day for chat messages; 0 = none. What a run sends
	// must stay below it, or it does not end that day.
	Quota uint64
	// Nodes of the cluster, 1-9. Server makes the command of one; flags are
	// those of roused.
	Nodes  int
	Server func(flags ...string) *exec.Cmd
	// Spaces gives each server a network of its own, so that faults can cut it.
	// Where that is impossible, Skipped says why, and the rest is done.
	Spaces bool
	// Log takes what happened, one checker.Entry a line; nil = nobody.
	Log io.Writer
	// Measure keeps figures only: nothing is judged, for runs with too many
	// events to keep.
	Measure bool
	// Progress is called now and then; nil = nobody.
	Progress func(Progress)
	// Logger is told of what the run's own parts do; nil = nobody.
	Logger *slog.Logger
}

// Progress of a run.
type Progress struct {
	// Stage: "starting", "playing", "settling", "judging".
	Stage string
	// At is the scenario's time that is played.
	At simulations.Offset
	// Events told so far, and how far the run is behind its clock.
	Events int64
	Behind time.Duration
}

// Result of a run.
type Result struct {
	History *checker.History // nil when it was only measured
	Results []checker.Result
	Wrong   []report.Wrong
	// Judged decisions on messages, and Unsure ones of which the model says nothing.
	Judged, Unsure int
	// Skipped are the faults that this engine cannot do here, and why.
	Skipped []string
	Figures Figures
}

// Run the steps. The error is about what kept them from being played; what the
// checks have found is in the result.
func Run(ctx context.Context, o Options) (r *Result, err error) {
	if o.Speed < 1 {
		return nil, fmt.Errorf("live: speed is %g; at least 1", o.Speed)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Progress == nil {
		o.Progress = func(Progress) {}
	}
	o.Progress(Progress{Stage: "starting"})
	dir, err := os.MkdirTemp("", "rouse-sim-")
	if err != nil {
		return nil, fmt.Errorf("live: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	rec := newRecorder(o)
	s, err := openStage(ctx, o, dir, rec)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	rec.begin()
	watch := watch(ctx, s, rec)
	p := newPlayer(s, rec, o)
	err = p.play(ctx)
	if err == nil {
		o.Progress(Progress{Stage: "settling", At: simulations.At(o.Length), Events: rec.told.Load()})
		err = s.settle(ctx, rec)
	}
	watch.end()
	if err != nil {
		return nil, err
	}
	r = &Result{Skipped: append(s.missing, p.faults.skipped...), Figures: rec.figures(s, watch, p)}
	if o.Measure {
		return r, s.stop(ctx, rec)
	}
	o.Progress(Progress{Stage: "judging", At: simulations.At(o.Length), Events: rec.told.Load()})
	if err := s.collect(ctx, rec); err != nil {
		return nil, err
	}
	s.probe(ctx, rec)
	if err := s.stop(ctx, rec); err != nil {
		return nil, err
	}
	if err := s.search(rec); err != nil {
		return nil, err
	}
	r.judge(rec, s)
	return r, rec.failed()
}
