package checker

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"reflect"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/rouse-im/rouse/simulations"
)

// History of a run, put in order.
type History struct {
	Limits    Limits
	Events    []*simulations.Event
	Faults    []simulations.Fault
	Acks      []Ack
	Outcomes  []Outcome
	Pushes    []Push
	Stored    []Stored
	Dropped   []Dropped
	Commits   []Commit
	Leads     []Lead
	Moved     []Moved
	Registers []Register
	Gauges    []Gauge
	Counters  []Counter
	Probes    []Probe
	Stops     []Stop
	Accesses  []Access
	Canaries  []Canary
	Writes    []Write
	Audits    []Audit

	event   map[uint64]*simulations.Event
	outcome map[string]*Outcome // by push id
}

// maxLogLine bounds a line of a log, in bytes.
const maxLogLine = 1 << 20

// Read logs, each with an entry a line.
func Read(logs ...io.Reader) (*History, error) {
	h := &History{}
	for i, r := range logs {
		s := bufio.NewScanner(r)
		s.Buffer(make([]byte, 0, 64<<10), maxLogLine)
		for n := 1; s.Scan(); n++ {
			d := json.NewDecoder(bytes.NewReader(s.Bytes()))
			d.DisallowUnknownFields()
			var e Entry
			if err := d.Decode(&e); err != nil {
				return nil, fmt.Errorf("log %d, line %d: %w", i+1, n, err)
			}
			if err := h.Add(e); err != nil {
				return nil, fmt.Errorf("log %d, line %d: %w", i+1, n, err)
			}
		}
		if err := s.Err(); err != nil {
			return nil, fmt.Errorf("log %d: %w", i+1, err)
		}
	}
	return h, nil
}

// Add an entry; exactly one of its fields must be set.
func (h *History) Add(e Entry) error {
	set := 0
	for v, i := reflect.ValueOf(e), 0; i < v.NumField(); i++ {
		if !v.Field(i).IsNil() {
			set++
		}
	}
	if set != 1 {
		return fmt.Errorf("an entry of %d things, want one", set)
	}
	if e.Limits != nil {
		h.Limits = *e.Limits
	}
	if e.Event != nil {
		h.Events = append(h.Events, e.Event)
	}
	keep(&h.Faults, e.Fault)
	keep(&h.Acks, e.Ack)
	keep(&h.Outcomes, e.Outcome)
	keep(&h.Pushes, e.Push)
	keep(&h.Stored, e.Stored)
	keep(&h.Dropped, e.Dropped)
	keep(&h.Commits, e.Commit)
	keep(&h.Leads, e.Lead)
	keep(&h.Moved, e.Moved)
	keep(&h.Registers, e.Register)
	keep(&h.Gauges, e.Gauge)
	keep(&h.Counters, e.Counter)
	keep(&h.Probes, e.Probe)
	keep(&h.Stops, e.Stop)
	keep(&h.Accesses, e.Access)
	keep(&h.Canaries, e.Canary)
	keep(&h.Writes, e.Write)
	keep(&h.Audits, e.Audit)
	return nil
}

func keep[T any](to *[]T, v *T) {
	if v != nil {
		*to = append(*to, *v)
	}
}

// Check is one invariant.
type Check struct {
	// Number of the invariant, and its name.
	Number int
	Name   string
	// Promise in a sentence.
	Promise string
	run     func(*History, *verdict)
}

// maxFindings of one check are told; the others are counted.
const maxFindings = 20

// Finding is one breach.
type Finding struct {
	// Events that it is about, by number.
	Events []uint64 `json:"events,omitempty"`
	Text   string   `json:"text"`
}

// Result of a check. One that has looked at nothing has proved nothing.
type Result struct {
	Number   int       `json:"number"`
	Name     string    `json:"name"`
	Promise  string    `json:"promise"`
	Examined int       `json:"examined"`
	Breaches int       `json:"breaches"`
	Findings []Finding `json:"findings,omitempty"`
}

type verdict struct{ Result }

func (v *verdict) look() { v.Examined++ }

func (v *verdict) breach(events []uint64, format string, args ...any) {
	if v.Breaches++; len(v.Findings) < maxFindings {
		v.Findings = append(v.Findings, Finding{events, fmt.Sprintf(format, args...)})
	}
}

// Run all checks, as many at a time as there are CPUs: they only read.
func (h *History) Run() []Result {
	h.index()
	all := make([]Result, len(Checks))
	var next atomic.Int64
	var work sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		work.Go(func() {
			for i := next.Add(1) - 1; int(i) < len(Checks); i = next.Add(1) - 1 {
				c := &Checks[i]
				v := &verdict{Result{Number: c.Number, Name: c.Name, Promise: c.Promise}}
				c.run(h, v)
				all[i] = v.Result
			}
		})
	}
	work.Wait()
	return all
}

// ErrBroken says that an invariant did not hold.
var ErrBroken = errors.New("an invariant does not hold")

// Broken joins what was found; nil = all is well.
func Broken(results []Result) error {
	var all []error
	for _, r := range results {
		for _, f := range r.Findings {
			all = append(all, fmt.Errorf("%w: %d %s: events %v: %s", ErrBroken, r.Number, r.Name, f.Events, f.Text))
		}
	}
	return errors.Join(all...)
}

func (h *History) index() {
	h.event, h.outcome = map[uint64]*simulations.Event{}, map[string]*Outcome{}
	for _, e := range h.Events {
		h.event[e.N] = e
	}
	for i := range h.Outcomes {
		if o := &h.Outcomes[i]; o.PushID != "" {
			h.outcome[o.PushID] = o
		}
	}
	slices.SortStableFunc(h.Pushes, func(a, b Push) int { return int(min(1, max(-1, a.At-b.At))) })
	slices.SortStableFunc(h.Acks, func(a, b Ack) int { return int(min(1, max(-1, a.Answered-b.Answered))) })
	slices.SortStableFunc(h.Leads, func(a, b Lead) int { return int(min(1, max(-1, a.From-b.From))) })
	slices.SortStableFunc(h.Gauges, func(a, b Gauge) int { return int(min(1, max(-1, a.At-b.At))) })
}

// taken are the acknowledged events of a kind, in the order of their answers.
func (h *History) taken(kinds ...simulations.Kind) func(func(*simulations.Event, Ack) bool) {
	return func(yield func(*simulations.Event, Ack) bool) {
		for _, a := range h.Acks {
			e := h.event[a.Event]
			if e == nil || a.Status != "accepted" || !slices.Contains(kinds, e.Kind) {
				continue
			}
			if !yield(e, a) {
				return
			}
		}
	}
}

// led tells whether a run has led a shard all the time between two moments, and
// nobody took it over without its knowledge.
func (h *History) led(by string, shard uint16, from, to simulations.Offset) bool {
	return by != "" && slices.ContainsFunc(h.Leads, func(l Lead) bool {
		return l.By == by && l.Shard == shard && l.From <= from && l.To >= to && h.overtaken(l) > to
	})
}

// overtaken is when another run began to lead in a later term, as far as known.
func (h *History) overtaken(l Lead) simulations.Offset {
	at := endOfTime
	for _, n := range h.Leads {
		if n.Shard == l.Shard && n.Term > l.Term {
			at = min(at, n.From-LeadSlack)
		}
	}
	return at
}

// handover is how long a push may be on its way.
func (h *History) handover() simulations.Offset {
	if h.Limits.Handover > 0 {
		return h.Limits.Handover
	}
	return 5000
}
