package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/simulations"
	"github.com/rouse-im/rouse/simulations/checker"
	"github.com/rouse-im/rouse/simulations/report"
	"github.com/rouse-im/rouse/simulations/trace"
)

func (v *simVerb) flash(c *call) (*plot, error) {
	file, err := os.Open(v.Flash)
	if err != nil {
		return nil, err
	}
	defer func() { _ = file.Close() }() // it was read
	f, err := trace.ReadFlash(file, trace.FlashOptions{})
	if err != nil {
		return nil, fmt.Errorf("%s: %w", v.Flash, err)
	}
	for _, b := range f.Bad {
		if err := c.say("device %.40q, %v", b.Device, b.Bad); err != nil {
			return nil, err
		}
	}
	if err := c.say("%d devices, %d lines, %d of them skipped", f.Devices, f.Lines, f.Skipped); err != nil {
		return nil, err
	}
	if len(f.Events) == 0 {
		return nil, fmt.Errorf("%s: no device changes its presence", v.Flash)
	}
	length := f.Events[len(f.Events)-1].At.Duration() + time.Minute
	events := func() iter.Seq[simulations.Event] { return slices.Values(f.Events) }
	return &plot{
		header: trace.Header{Scenario: "flash", Commit: version(), Start: f.Start},
		run: report.Run{
			Scenario: "flash", About: "Device states of " + filepath.Base(v.Flash), Start: f.Start, Length: length, History: &checker.History{},
			Replay: "rouse sim --flash " + v.Flash + v.flags(),
		},
		length: length, app: &rousev1.AppSettings{}, steps: simulations.Merge(simulations.Plain(events()), nil), events: events,
		ended: func() error { return nil },
	}, nil
}

// recorded is a trace. It is read while it is played.
func (v *simVerb) recorded(c *call) (*plot, error) {
	length, err := v.lengthOf()
	if err != nil {
		return nil, err
	}
	file, err := os.Open(v.Trace)
	if err != nil {
		return nil, err
	}
	r, err := trace.NewReader(file, trace.Options{})
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", v.Trace, err), file.Close())
	}
	var fault error
	return &plot{
		header: r.Header,
		run: report.Run{
			Scenario: cmp.Or(r.Header.Scenario, "trace"), About: "Played from " + filepath.Base(v.Trace), Seed: r.Header.Seed, Start: r.Header.Start, Length: length,
			History: &checker.History{}, Replay: "rouse sim --trace " + v.Trace + v.flags(),
		},
		length: length, app: &rousev1.AppSettings{},
		steps: func(yield func(simulations.Step) bool) {
			for {
				s, err := r.Next()
				if err != nil {
					if !errors.Is(err, io.EOF) {
						fault = err
					}
					return
				}
				if !yield(s) {
					return
				}
			}
		},
		ended: func() error {
			for _, b := range r.Bad {
				fault = errors.Join(fault, c.say("%v", b))
			}
			return errors.Join(fault, file.Close())
		},
	}, nil
}

// lengthOf a trace is known at its end only.
func (v *simVerb) lengthOf() (time.Duration, error) {
	file, err := os.Open(v.Trace)
	if err != nil {
		return 0, err
	}
	defer func() { _ = file.Close() }() // it was read
	r, err := trace.NewReader(file, trace.Options{})
	if err != nil {
		return 0, fmt.Errorf("%s: %w", v.Trace, err)
	}
	last := simulations.Offset(0)
	for {
		s, err := r.Next()
		if errors.Is(err, io.EOF) {
			return last.Duration() + time.Second, nil
		}
		if err != nil {
			return 0, fmt.Errorf("%s: %w", v.Trace, err)
		}
		last = s.At
	}
}
