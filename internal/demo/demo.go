// Package demo plays a day of a small IM against a real node: fake push
// vendors over real TLS, an app made through the public API, IM nodes that use
// the client package, and at the end a check that nothing was lost or doubled.
package demo

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/rouse-im/rouse/internal/app"
	"github.com/rouse-im/rouse/internal/config"
)

// day is the day that is played; written by go run ./internal/demo/generate.
//
//go:embed day.jsonl
var day string

// settleTimeout is how long the end of all pushes is waited for. The longest
// outage of the day ends with a probe of a lane's breaker, within 10 s.
const settleTimeout = time.Minute

// leaseTTL of the IM nodes is short, so that the death of one is not a long wait.
const leaseTTL = 3 * time.Second

// Options of a run; the zero value plays the whole day in silence.
type Options struct {
	// Lines plays only the first lines of the day; 0 = all.
	Lines int
	// Progress hears of the stages; nil = nobody does. It is called from
	// several goroutines, one at a time.
	Progress func(Step)
	// Logger of the node; nil = silent.
	Logger *slog.Logger
}

// Stage of a run.
type Stage string

// Stages, in order.
const (
	Starting  Stage = "starting"
	Replaying Stage = "replaying" // counts lines of the day
	Settling  Stage = "settling"  // counts users without a push under way
	Verifying Stage = "verifying"
)

// Step is how far a run is.
type Step struct {
	Stage       Stage
	Done, Total int
}

// Run plays the day and reports. The error is about what kept it from being
// played; what the check has found is in the report. Nothing stays on disk.
func Run(ctx context.Context, o Options) (*Report, error) {
	began := time.Now()
	lines, err := parse(strings.NewReader(day))
	if err != nil {
		return nil, err
	}
	if o.Lines > 0 {
		lines = lines[:min(o.Lines, len(lines))]
	}
	p, err := play(ctx, o, lines)
	if err != nil {
		return nil, err
	}
	r := p.report(lines)
	r.Took = time.Since(began)
	return r, nil
}

// play runs the node for as long as the day takes and keeps what was seen.
func play(ctx context.Context, o Options, lines []Line) (p *played, err error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Progress == nil {
		o.Progress = func(Step) {}
	}
	o.Progress(Step{Stage: Starting})
	dir, err := os.MkdirTemp("", "rouse-demo-")
	if err != nil {
		return nil, fmt.Errorf("a directory for the demo: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	seen := newLedger()
	public := &proxy{}
	fakes, err := StartVendors(VendorsOptions{Pushed: seen.push, Receipts: public})
	if err != nil {
		return nil, err
	}
	defer fakes.Close()
	node, err := startNode(dir, o.Logger)
	if err != nil {
		return nil, err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 10*time.Second)
		defer cancel()
		if fault := node.Stop(ctx); fault != nil && err == nil {
			err = fmt.Errorf("stopping the node: %w", fault)
		}
	}()
	public.host = node.HTTPAddr()
	w, err := openWorld(ctx, dir, node, fakes)
	if err != nil {
		return nil, err
	}
	defer w.close()
	return w.play(ctx, lines, seen, o.Progress)
}

func startNode(dir string, log *slog.Logger) (*app.Node, error) {
	c := config.Default()
	c.Data.Dir = dir
	c.Data.MinFreeDisk = 64 * config.MiB
	c.Data.BlockCache, c.Data.Memtable = 32*config.MiB, 16*config.MiB
	c.GRPC.Listen, c.HTTP.Listen = "127.0.0.1:0", "127.0.0.1:0"
	c.Lease.TTL = leaseTTL
	c.Receipts.PublicURL = publicURL
	node, err := app.Start(app.Options{Config: c, Logger: log})
	if err != nil {
		return nil, fmt.Errorf("starting a node: %w", err)
	}
	return node, nil
}
