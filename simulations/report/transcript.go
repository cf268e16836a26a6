package report

import (
	"bytes"
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/rouse-im/rouse/simulations"
)

// maxTranscript bounds the lines; those in the middle are left out, because the
// beginning and the end say most.
const maxTranscript = 200_000

type said struct {
	at   simulations.Offset
	rank int // order at the same time
	text string
}

// Transcript tells what happened in order of time.
func Transcript(r Run) []byte {
	h := r.History
	var all []said
	add := func(at simulations.Offset, rank int, format string, args ...any) {
		all = append(all, said{at, rank, fmt.Sprintf(format, args...)})
	}
	for _, f := range h.Faults {
		add(f.At, 0, "fault    #%d %s%s for %v", f.N, f.Kind, target(f), f.For.Duration())
	}
	for _, e := range h.Events {
		add(e.At, 1, "event    #%d %s", e.N, happened(e))
	}
	for _, a := range h.Acks {
		if a.Status != "accepted" || a.Answered-a.Sent > 1000 {
			add(a.Answered, 2, "answer   #%d %s after %v", a.Event, a.Status, (a.Answered - a.Sent).Duration())
		}
	}
	for _, o := range h.Outcomes {
		add(max(o.Decided, o.Ended), 3, "outcome  #%d %s for %s %s: %s %s%s", o.Event, o.Message, o.User, cmp.Or(o.Device, "-"), o.Status, o.Reason, badge(o.Badge))
	}
	for _, p := range h.Pushes {
		add(p.At, 2, "push     %s to %s: %s%s", p.PushID, p.Vendor, p.Answer, badge(p.Badge))
	}
	slices.SortStableFunc(all, func(a, b said) int { return cmp.Or(cmp.Compare(a.at, b.at), cmp.Compare(a.rank, b.rank)) })
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s, seed %d, commit %s, %s, %d nodes\n", r.Scenario, r.Seed, r.Commit, r.Engine, r.Nodes)
	for i, l := range all {
		if left := len(all) - maxTranscript; left > 0 && i >= maxTranscript/2 && i < maxTranscript/2+left {
			if i == maxTranscript/2 {
				fmt.Fprintf(&b, "… %d lines are left out\n", left)
			}
			continue
		}
		fmt.Fprintf(&b, "%s  %s\n", l.at, l.text)
	}
	for _, c := range r.Results {
		verdict := "holds"
		switch {
		case c.Breaches > 0:
			verdict = fmt.Sprintf("BROKEN %d times", c.Breaches)
		case c.Examined == 0:
			verdict = "nothing to look at"
		}
		fmt.Fprintf(&b, "check %2d %-20s %s (%d examined)\n", c.Number, c.Name, verdict, c.Examined)
		for _, f := range c.Findings {
			fmt.Fprintf(&b, "         events %v: %s\n", f.Events, f.Text)
		}
	}
	return b.Bytes()
}

func target(f simulations.Fault) string {
	if f.Vendor != "" {
		return " of " + f.Vendor
	}
	return fmt.Sprintf(" of nodes %v", f.Nodes)
}

func badge(n *int) string {
	if n == nil {
		return ""
	}
	return fmt.Sprintf(" badge %d", *n)
}

// happened says an event in a few words; tokens and texts are left out.
func happened(e *simulations.Event) string {
	var words []string
	for _, w := range []string{string(e.Kind), string(e.State), e.User, e.Device, e.Message, e.Group, e.Notifier, e.Vendor, e.Policy, e.Node} {
		if w != "" {
			words = append(words, w)
		}
	}
	if e.Session > 0 {
		words = append(words, fmt.Sprintf("%d.%d", e.Session, e.Step))
	}
	if len(e.To) == 1 {
		words = append(words, "to", e.To[0])
	} else if len(e.To) > 1 {
		words = append(words, fmt.Sprintf("to %d users", len(e.To)))
	}
	if e.Why != "" {
		words = append(words, "("+e.Why+")")
	}
	return strings.Join(words, " ")
}
