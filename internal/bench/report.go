package bench

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// Report of a run.
type Report struct {
	Machine Machine  `json:"machine"`
	Size    Size     `json:"size"`
	Results []Result `json:"results"`
	// Others is the share of the machine's CPU time that other programs had
	// during the run; negative = unknown.
	Others float64 `json:"others"`
}

// Result is one number. Reach, if any, is the goal for it.
type Result struct {
	Workload string  `json:"workload"`
	What     string  `json:"what"`
	Value    float64 `json:"value"`
	Unit     string  `json:"unit"`
	Reach    *Reach  `json:"reach,omitempty"`
	// Spread is the lowest and the highest of the rounds. Value is their median, or
	// that of all of them taken together.
	Spread *[2]float64 `json:"spread,omitempty"`
}

// Reach is a goal: a bound from below, from above, or both.
type Reach struct {
	Least *float64 `json:"least,omitempty"`
	Most  *float64 `json:"most,omitempty"`
}

func atLeast(v float64) *Reach { return &Reach{Least: &v} }

func atMost(v float64) *Reach { return &Reach{Most: &v} }

func within(low, high float64) *Reach { return &Reach{Least: &low, Most: &high} }

// Met says whether v is where it should be.
func (r *Reach) Met(v float64) bool {
	return (r.Least == nil || v >= *r.Least) && (r.Most == nil || v <= *r.Most)
}

func (r *Reach) String() string {
	var parts []string
	if r.Least != nil {
		parts = append(parts, "≥ "+number(*r.Least))
	}
	if r.Most != nil {
		parts = append(parts, "≤ "+number(*r.Most))
	}
	return strings.Join(parts, ", ")
}

// add keeps one number.
func (r *runner) add(workload, what string, value float64, unit string, reach *Reach) {
	r.keep(Result{Workload: workload, What: what, Value: value, Unit: unit, Reach: reach})
}

// median keeps the median of several rounds.
func (r *runner) median(workload, what string, rounds []float64, unit string, reach *Reach) {
	r.keep(Result{
		Workload: workload, What: what, Value: middle(slices.Sorted(slices.Values(rounds))), Unit: unit, Reach: reach,
		Spread: spread(rounds),
	})
}

// whole keeps the number of several rounds taken together.
func (r *runner) whole(workload, what string, value float64, rounds []float64, unit string) {
	r.keep(Result{Workload: workload, What: what, Value: value, Unit: unit, Spread: spread(rounds)})
}

func spread(rounds []float64) *[2]float64 { return &[2]float64{slices.Min(rounds), slices.Max(rounds)} }

func (r *runner) keep(x Result) {
	r.report.Results = append(r.report.Results, x)
	r.say("  %s: %s %s", x.What, number(x.Value), x.Unit)
}

func middle(sorted []float64) float64 {
	n := len(sorted)
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

// Markdown is the report as text that is a table too.
func (r *Report) Markdown() string {
	var b strings.Builder
	m := r.Machine
	fmt.Fprintf(&b, "%s, commit %s, %s, %s/%s, %d CPUs (%s), GOMAXPROCS %d.\n", m.Date.Format(time.DateOnly), m.Commit, m.Go, m.OS, m.Arch, m.CPUs, m.Model, m.Procs)
	if r.Others >= 0 {
		fmt.Fprintf(&b, "Other programs had %.0f %% of the machine's CPU time during the run.\n", 100*r.Others)
	}
	fmt.Fprintf(&b, "\n| workload | what | measured | rounds | to reach | |\n| --- | --- | --- | --- | --- | --- |\n")
	for _, x := range r.Results {
		spread, reach, met := "", "", ""
		if x.Spread != nil {
			spread = number(x.Spread[0]) + " to " + number(x.Spread[1])
		}
		if x.Reach != nil {
			reach, met = x.Reach.String(), "falls short"
			if x.Reach.Met(x.Value) {
				met = "reached"
			}
		}
		value := strings.TrimSpace(number(x.Value) + " " + x.Unit)
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s |\n", x.Workload, x.What, value, spread, reach, met)
	}
	return b.String()
}

// number writes three significant digits, and whole numbers from 100 on.
func number(v float64) string {
	switch a := max(v, -v); {
	case a >= 100:
		return fmt.Sprintf("%.0f", v)
	case a >= 10:
		return fmt.Sprintf("%.1f", v)
	}
	return fmt.Sprintf("%.2f", v)
}

// marks enclose the table of a family of workloads in a document.
type marks struct{ begin, end string }

const end = "<!-- end of what was measured -->"

var (
	ofEngine  = marks{"<!-- measured: written by rouse bench -->\n", end}
	ofCluster = marks{"<!-- measured: written by rouse bench cluster -->\n", end}
)

// Refresh replaces what stands between the marks of a document: for one engine,
// for clusters, or for both, whatever was measured.
func (r *Report) Refresh(doc string) (string, error) {
	for _, m := range []marks{ofEngine, ofCluster} {
		part := *r
		part.Results = slices.DeleteFunc(slices.Clone(r.Results), func(x Result) bool {
			return strings.HasPrefix(x.Workload, ofClusters+"-") != (m == ofCluster)
		})
		if len(part.Results) == 0 {
			continue
		}
		head, rest, ok := strings.Cut(doc, m.begin)
		_, tail, ok2 := strings.Cut(rest, m.end)
		if !ok || !ok2 {
			return "", fmt.Errorf("bench: the document lacks the line %q, or %q behind it", strings.TrimSpace(m.begin), m.end)
		}
		doc = head + m.begin + "\n" + part.Markdown() + "\n" + m.end + tail
	}
	return doc, nil
}
