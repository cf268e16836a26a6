// Package report shows a run: figures for programs (summary.json), what happened
// line by line (transcript.txt), plots (*.svg) and all of it on one page
// (index.html) that needs nothing else. The same run always makes the same files.
package report

import (
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
	"time"

	"github.com/rouse-im/rouse/simulations"
	"github.com/rouse-im/rouse/simulations/checker"
)

// Text in English and Chinese.
type Text struct {
	EN string `json:"en"`
	ZH string `json:"zh"`
}

// Run is what a report is made of.
type Run struct {
	Scenario string
	About    string
	Seed     uint64
	Commit   string
	// Engine: "fake time", "real time", or "events only" for a preview.
	Engine string
	Nodes  int
	Start  time.Time
	Length time.Duration
	// Speed is how many times quicker than life the events came; 0 = 1. Times of
	// History are the engine's, Start and Length those of the scenario.
	Speed float64
	// Replay is the command that does it again.
	Replay string

	// Events that happened, in order, for previews of worlds that are too large
	// to keep; nil = those of History. They are gone through more than once.
	Events  func() iter.Seq[simulations.Event]
	History *checker.History
	Results []checker.Result
	// Wrong decisions and badges, as the model found them.
	Wrong []Wrong
}

func (r Run) events() iter.Seq[simulations.Event] {
	if r.Events != nil {
		return r.Events()
	}
	return func(yield func(simulations.Event) bool) {
		for _, e := range r.History.Events {
			if !yield(*e) {
				return
			}
		}
	}
}

// life is the scenario's time of an engine's time.
func (r Run) life(at simulations.Offset) simulations.Offset {
	if r.Speed == 0 {
		return at
	}
	return simulations.Offset(float64(at) * r.Speed)
}

// Wrong is a decision or a badge that the rules do not allow.
type Wrong struct {
	At    time.Duration `json:"at_ns"`
	Event uint64        `json:"event"`
	Text  string        `json:"text"`
}

// Summary of a run.
type Summary struct {
	Scenario string           `json:"scenario"`
	About    string           `json:"about"`
	Seed     uint64           `json:"seed"`
	Commit   string           `json:"commit"`
	Engine   string           `json:"engine"`
	Nodes    int              `json:"nodes"`
	Start    time.Time        `json:"start"`
	LengthMS int64            `json:"length_ms"`
	Speed    float64          `json:"speed,omitempty"`
	Replay   string           `json:"replay"`
	Held     bool             `json:"held"` // nothing was broken
	Figures  []Figure         `json:"figures"`
	Checks   []checker.Result `json:"checks"`
	Wrong    []Wrong          `json:"wrong,omitempty"`
	Charts   []Chart          `json:"charts"`
}

// Figure is one number.
type Figure struct {
	ID    string  `json:"id"`
	Name  Text    `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit,omitempty"`
	// Bad: it should be 0 and is not.
	Bad bool `json:"bad,omitempty"`
}

// Chart of values over the time of the run, or of one value for each name.
type Chart struct {
	ID    string `json:"id"`
	Title Text   `json:"title"`
	// About says what to look for.
	About Text   `json:"about"`
	Unit  string `json:"unit"`
	// Bars have one point for each line; others have points in order of time.
	Bars bool `json:"bars,omitempty"`
	// Log: the axis of values is logarithmic; they are 1 or more.
	Log bool `json:"log,omitempty"`
	// Dots are points without lines between them.
	Dots  bool   `json:"dots,omitempty"`
	Lines []Line `json:"lines"`
}

// Line of a chart. X is in minutes since the start.
type Line struct {
	Name   Text         `json:"name"`
	Points [][2]float64 `json:"points"`
}

// Write the files of a report into a directory, which is made if it is missing.
func Write(dir string, r Run) (Summary, error) {
	s := Summarize(r)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return s, fmt.Errorf("writing a report: %w", err)
	}
	figures, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		return s, fmt.Errorf("writing a report: %w", err)
	}
	files := map[string][]byte{"summary.json": append(figures, '\n')}
	if r.Events == nil {
		files["transcript.txt"] = Transcript(r)
	}
	drawn := map[string]string{}
	for _, c := range s.Charts {
		svg, err := draw(c, r)
		if err != nil {
			return s, err
		}
		drawn[c.ID] = svg
		files[c.ID+".svg"] = []byte(standalone(svg))
	}
	if files["index.html"], err = page(s, drawn); err != nil {
		return s, err
	}
	var faults []error
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o644); err != nil {
			faults = append(faults, fmt.Errorf("writing a report: %w", err))
		}
	}
	return s, errors.Join(faults...)
}
