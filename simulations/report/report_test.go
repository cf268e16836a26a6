package report

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"io"
	"iter"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rouse-im/rouse/simulations"
	"github.com/rouse-im/rouse/simulations/checker"
	"github.com/rouse-im/rouse/simulations/model"
	"github.com/rouse-im/rouse/simulations/scenarios"
	"github.com/rouse-im/rouse/simulations/world"
)

var (
	rewrite = flag.Bool("rewrite", false, "write golden files anew")
	keep    = flag.String("keep", "", "directory to leave the report of the test in")
	name    = flag.String("scenario", "small", "scenario that the report is of")
)

// ideal is a run of an engine that answers at once and by the rules.
func ideal(t *testing.T, scenario string, seed uint64) Run {
	t.Helper()
	s, err := scenarios.Load(scenario)
	if err != nil {
		t.Fatal(err)
	}
	w, err := world.New(s, seed)
	if err != nil {
		t.Fatal(err)
	}
	faults, err := s.Schedule()
	if err != nil {
		t.Fatal(err)
	}
	m := model.New(model.Options{Start: s.Start, Lease: 10 * time.Second, Release: time.Second})
	h := &checker.History{Limits: checker.Limits{Start: s.Start, Handover: 1000}, Faults: faults}
	told := map[uint64]simulations.Offset{}
	brands := map[string]string{}
	kept := &keeper{devices: map[[2]string]*checker.Stored{}, owner: map[[2]string]*checker.Stored{}}
	for step := range simulations.Merge(world.Disturb(s, seed, w.Events()), faults) {
		if step.Fault != nil {
			for i := range 4 {
				h.Gauges = append(h.Gauges, checker.Gauge{At: step.At + simulations.Offset(5000*i), Node: "node-0", Name: "queue-age", Value: float64((3 - i) * 5), Bound: 60})
			}
			continue
		}
		e := step.Delivery.Event
		h.Events = append(h.Events, e)
		h.Acks = append(h.Acks, checker.Ack{Event: e.N, Sent: step.At, Answered: step.At, Status: "accepted"})
		m.Tell(model.Call{Event: e, Sent: step.At, Answered: step.At})
		if _, ok := told[e.N]; !ok {
			told[e.N] = step.At
		}
		kept.take(e)
		if e.Kind == simulations.Bind {
			brands[e.User+e.Device] = e.Notifier
		}
	}
	said := map[[2]string]bool{}
	for _, x := range m.Expect() {
		key := [2]string{x.User, x.Message}
		if len(x.Either) == 0 || said[key] {
			continue // of whom nothing is known, nothing is remembered either
		}
		said[key] = true
		for _, d := range x.Either[0] {
			o := checker.Outcome{Event: x.Event, User: x.User, Message: x.Message, Device: d.Device, Status: "suppressed", Decided: told[x.Event], Ended: told[x.Event]}
			o.Reason = strings.TrimPrefix(d.Reason.String(), "REASON_")
			if d.Reason.String() == "REASON_QUEUED" || d.Reason.String() == "REASON_DELAYED" {
				o.Status, o.Reason, o.PushID, o.Badge = "accepted", "DELIVERED_TO_VENDOR", x.Message+"/"+x.User+"/"+d.Device, &d.Badge
				o.Notifier = brands[x.User+d.Device]
				o.Ended += simulations.Offset(5 + x.Event%7)
				h.Pushes = append(h.Pushes, checker.Push{At: o.Ended, Vendor: vendorOf(o.Notifier), Notifier: o.Notifier, Token: o.PushID, PushID: o.PushID, Badge: o.Badge, Answer: "accepted"})
			}
			h.Outcomes = append(h.Outcomes, o)
		}
	}
	for _, d := range kept.devices {
		h.Stored = append(h.Stored, *d)
	}
	return Run{
		Scenario: s.Name, About: s.About, Seed: seed, Commit: "0123abc", Engine: "fake time", Nodes: 3, Start: s.Start, Length: s.Length,
		Replay: "rouse sim --scenario " + s.Name + " --seed 1", History: h, Results: h.Run(),
	}
}

func vendorOf(notifier string) string {
	switch notifier {
	case "ios", "ios-voip":
		return "apns"
	case "android":
		return "fcm"
	}
	return notifier
}

// keeper is what the store of that engine has at the end.
type keeper struct {
	devices map[[2]string]*checker.Stored
	owner   map[[2]string]*checker.Stored // by notifier and token
}

func (k *keeper) take(e *simulations.Event) {
	if e.Kind != simulations.Presence && e.Kind != simulations.Bind {
		return
	}
	key := [2]string{e.User, e.Device}
	d := k.devices[key]
	if d == nil {
		d = &checker.Stored{User: e.User, Device: e.Device, Tokens: map[string]string{}}
		k.devices[key] = d
	}
	switch {
	case e.Kind == simulations.Bind:
		token := [2]string{e.Notifier, e.Token}
		if former := k.owner[token]; former != nil && former != d {
			delete(former.Tokens, e.Notifier)
		}
		k.owner[token] = d
		d.Tokens[e.Notifier] = e.Token
	case e.Session > d.Session || e.Session == d.Session && e.Step > d.Step:
		d.Session, d.Step = e.Session, e.Step
		if e.Unbind {
			clear(d.Tokens)
		}
	}
}

// The same run makes the same report.
func TestGolden(t *testing.T) {
	dir := t.TempDir()
	if *keep != "" {
		dir = *keep
	}
	r := ideal(t, *name, 1)
	s, err := Write(dir, r)
	if err != nil {
		t.Fatal(err)
	}
	if *name != "small" {
		t.Skip("written to " + dir)
	}
	if len(s.Charts) != 9 {
		t.Errorf("%d charts, want 9", len(s.Charts))
	}
	for _, c := range s.Charts {
		for i := range c.Lines {
			c.Lines[i].Points = nil // the page shows them
		}
	}
	figures, err := json.MarshalIndent(s, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "figures.json"), append(figures, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"figures.json", "index.html", "presence.svg"} {
		got, err := os.ReadFile(filepath.Join(dir, file))
		if err != nil {
			t.Fatal(err)
		}
		golden := filepath.Join("testdata", file)
		if *rewrite {
			if err := os.WriteFile(golden, got, 0o644); err != nil {
				t.Fatal(err)
			}
		}
		want, err := os.ReadFile(golden)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(got, want) {
			t.Errorf("%s is not what %s says; if that is meant, run go test ./simulations/report -rewrite", file, golden)
		}
	}
	again := t.TempDir()
	if _, err := Write(again, ideal(t, "small", 1)); err != nil {
		t.Fatal(err)
	}
	for _, file := range []string{"transcript.txt", "latency.svg", "index.html"} {
		a, _ := os.ReadFile(filepath.Join(dir, file))
		b, _ := os.ReadFile(filepath.Join(again, file))
		if len(a) == 0 || !bytes.Equal(a, b) {
			t.Errorf("%s differs from run to run, or is empty", file)
		}
	}
}

// The page needs nothing from elsewhere, and says everything in two languages.
func TestPageStandsAlone(t *testing.T) {
	s := Summarize(ideal(t, "small", 2))
	drawn := map[string]string{}
	for _, c := range s.Charts {
		svg, err := draw(c, ideal(t, "small", 2))
		if err != nil {
			t.Fatal(err)
		}
		drawn[c.ID] = svg
		if strings.Contains(svg, "#FEDCB") || strings.Contains(svg, "Liberation") {
			t.Errorf("%s: the page's colours and fonts are not used", c.ID)
		}
		if err := wellFormed(standalone(svg)); err != nil {
			t.Errorf("%s.svg: %v", c.ID, err)
		}
	}
	text, err := page(s, drawn)
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range regexp.MustCompile(`(?:src|href)="([^"]*)"|url\(([^)]*)\)|@import`).FindAllString(string(text), -1) {
		if !strings.Contains(m, "www.w3.org") {
			t.Errorf("the page wants %s", m)
		}
	}
	en, zh := strings.Count(string(text), `<span lang="en">`), strings.Count(string(text), `<span lang="zh">`)
	if en != zh || en < 50 {
		t.Errorf("%d texts in English, %d in Chinese", en, zh)
	}
	for _, c := range s.Charts {
		if !strings.Contains(string(text), `aria-labelledby="`+c.ID+`-title"`) || !strings.Contains(string(text), `id="`+c.ID+`-title"`) {
			t.Errorf("the plot of %s has no name for those who do not see it", c.ID)
		}
	}
}

func wellFormed(text string) error {
	d := xml.NewDecoder(strings.NewReader(text))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func TestBrokenRunSaysSo(t *testing.T) {
	r := ideal(t, "small", 1)
	r.History.Stops = append(r.History.Stops, checker.Stop{Node: `<script>alert(1)</script>`, Asked: 1})
	r.Results = r.History.Run()
	r.Wrong = []Wrong{{At: time.Minute, Event: 9, Text: "event 9: badge 3, want 2"}}
	dir := t.TempDir()
	s, err := Write(dir, r)
	if err != nil {
		t.Fatal(err)
	}
	if s.Held {
		t.Error("a broken run is said to hold")
	}
	text, _ := os.ReadFile(filepath.Join(dir, "index.html"))
	for _, want := range []string{"Broken:", "never did", "event 9: badge 3, want 2", "orderly-stop"} {
		if !strings.Contains(string(text), want) {
			t.Errorf("the page does not say %q", want)
		}
	}
	if strings.Contains(string(text), "<script>alert") {
		t.Error("a name from a log is a part of the page")
	}
	script, _ := os.ReadFile(filepath.Join(dir, "transcript.txt"))
	if !strings.Contains(string(script), "BROKEN 1 times") {
		t.Error("the transcript does not say what is broken")
	}
	var back Summary
	figures, _ := os.ReadFile(filepath.Join(dir, "summary.json"))
	if err := json.Unmarshal(figures, &back); err != nil || len(back.Wrong) != 1 {
		t.Errorf("summary.json: %v, wrong %v", err, back.Wrong)
	}
}

// A preview claims nothing that was not looked at.
func TestPreview(t *testing.T) {
	r := ideal(t, "small", 1)
	events, n := r.events(), len(r.History.Events)
	r.Events = func() iter.Seq[simulations.Event] { return events }
	r.History, r.Results = &checker.History{}, nil
	dir := t.TempDir()
	s, err := Write(dir, r)
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Figures) != 4 || int(s.Figures[0].Value) != n || len(s.Charts) != 2 {
		t.Errorf("figures %v, %d charts", s.Figures, len(s.Charts))
	}
	text, _ := os.ReadFile(filepath.Join(dir, "index.html"))
	if !strings.Contains(string(text), "A preview") || strings.Contains(string(text), "All invariants hold") {
		t.Error("the page does not say that it is a preview")
	}
	if _, err := os.Stat(filepath.Join(dir, "transcript.txt")); err == nil {
		t.Error("a preview has a transcript")
	}
}

// A run without anything still makes a page.
func TestEmptyRun(t *testing.T) {
	s, err := Write(t.TempDir(), Run{Scenario: "none", Length: time.Hour, History: &checker.History{}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range s.Charts {
		for _, l := range c.Lines {
			for _, p := range l.Points {
				if p[1] != 0 {
					t.Errorf("%s: %v", c.ID, p)
				}
			}
		}
	}
}

// Every promise is told in Chinese too.
func TestPromisesInChinese(t *testing.T) {
	for _, c := range checker.Checks {
		if promises[c.Name] == "" {
			t.Errorf("%s has no words in Chinese", c.Name)
		}
	}
	if len(promises) != len(checker.Checks) {
		t.Errorf("%d promises, %d checks", len(promises), len(checker.Checks))
	}
}

func TestNoTokensInTheTranscript(t *testing.T) {
	r := ideal(t, "small", 3)
	text := Transcript(r)
	for i := range r.History.Events {
		if e := r.History.Events[i]; e.Token != "" && bytes.Contains(text, []byte(e.Token)) {
			t.Fatalf("a token of event %d is in the transcript", e.N)
		}
	}
}

func TestClockTicks(t *testing.T) {
	ticks := clock{time.Date(2026, 3, 2, 7, 30, 0, 0, time.FixedZone("", 8*3600))}.Ticks(0, 24*60)
	if ticks[0].Label != "09:00" && ticks[0].Label != "12:00" || len(ticks) > 9 {
		t.Errorf("got %v", ticks)
	}
	if n := len((clock{}).Ticks(0, 1e9)); n > 61 {
		t.Errorf("%d ticks", n)
	}
}
