package live

import (
	"maps"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/fleet"
	"github.com/rouse-im/rouse/simulations"
	"github.com/rouse-im/rouse/simulations/checker"
	"github.com/rouse-im/rouse/simulations/model"
	"github.com/rouse-im/rouse/simulations/scenarios"
	"github.com/rouse-im/rouse/simulations/world"
)

func TestPace(t *testing.T) {
	p := pace{60}
	for _, test := range []struct{ life, at, lasts time.Duration }{
		{time.Hour, time.Minute, time.Minute},
		{10 * time.Minute, 10 * time.Second, 10 * time.Second},
		{time.Minute, time.Second, 5 * time.Second},
		{3 * time.Second, 50 * time.Millisecond, 3 * time.Second},
	} {
		if got := p.at(simulations.At(test.life)).Duration(); got != test.at {
			t.Errorf("%v comes at %v, want %v", test.life, got, test.at)
		}
		if got := p.lasting(simulations.At(test.life)).Duration(); got != test.lasts {
			t.Errorf("a fault of %v lasts %v, want %v", test.life, got, test.lasts)
		}
	}
}

// Quantiles are right to an eighth.
func TestLatencies(t *testing.T) {
	var l latencies
	for i := 1; i <= 10_000; i++ {
		l.add(time.Duration(i) * 37 * time.Microsecond)
	}
	for _, q := range []float64{0.01, 0.5, 0.9, 0.99, 1} {
		want := time.Duration(q*10_000) * 37 * time.Microsecond
		if got := l.quantile(q); got < want-50*time.Microsecond || got > want*9/8+time.Microsecond {
			t.Errorf("quantile %g is %v, want %v", q, got, want)
		}
	}
	var none latencies
	if none.quantile(0.5) != 0 {
		t.Error("nothing took some time")
	}
}

func TestParseMetrics(t *testing.T) {
	m := parseMetrics(strings.NewReader("# HELP a b\nrouse_lane_queued{app=\"sim\",notifier=\"ios\"} 3\nrouse_lane_queued{notifier=\"oppo\"} 4\nprocess_cpu_seconds_total 1.5e2\nbad\n"))
	if sum(m["rouse_lane_queued"]) != 7 || sum(m["process_cpu_seconds_total"]) != 150 || len(m) != 2 {
		t.Errorf("got %v", m)
	}
	for labels := range m["rouse_lane_queued"] {
		if got := label(labels, "notifier"); got != "ios" && got != "oppo" {
			t.Errorf("label of %s is %q", labels, got)
		}
	}
}

func TestCompare(t *testing.T) {
	queued, online := rousev1.Reason_REASON_QUEUED, rousev1.Reason_REASON_DEVICE_ONLINE
	badge := func(n int) *int { return &n }
	x := model.Expectation{User: "u", Message: "m", Either: [][]model.Decision{{{Device: "a", Reason: queued, Badge: 2}, {Device: "b", Reason: online, Badge: -1}}}}
	pushed := checker.Outcome{Device: "a", Status: "accepted", Reason: "delivered-to-vendor", PushID: "1", Badge: badge(2)}
	quiet := checker.Outcome{Device: "b", Status: "suppressed", Reason: "device-online"}
	with := func(o checker.Outcome, change func(*checker.Outcome)) *checker.Outcome { change(&o); return &o }
	for _, test := range []struct {
		name string
		got  []*checker.Outcome
		ok   bool
	}{
		{"right", []*checker.Outcome{&pushed, &quiet}, true},
		{"badge", []*checker.Outcome{with(pushed, func(o *checker.Outcome) { o.Badge = badge(3) }), &quiet}, false},
		{"badge of one that never left", []*checker.Outcome{with(pushed, func(o *checker.Outcome) { o.Status, o.Badge = "cancelled", nil }), &quiet}, true},
		{"a device less", []*checker.Outcome{&pushed}, false},
		{"pushed instead", []*checker.Outcome{&pushed, with(pushed, func(o *checker.Outcome) { o.Device = "b" })}, false},
		{"another reason", []*checker.Outcome{&pushed, with(quiet, func(o *checker.Outcome) { o.Reason = "kicked" })}, false},
	} {
		if err := compare(x, test.got); (err == nil) != test.ok {
			t.Errorf("%s: %v", test.name, err)
		}
	}
}

// Faults break the links that they name, and together the most of each.
func TestLinks(t *testing.T) {
	fault := func(kind simulations.FaultKind, rate float64, nodes ...int) simulations.Fault {
		return simulations.Fault{Kind: kind, Nodes: nodes, Rate: rate}
	}
	for _, test := range []struct {
		name string
		cuts []simulations.Fault
		want map[[2]int]float64
	}{
		{"none", nil, map[[2]int]float64{}},
		{"partition", []simulations.Fault{fault(simulations.Partition, 0, 3)}, map[[2]int]float64{{0, 1}: 1, {1, 0}: 1, {0, 2}: 1, {2, 0}: 1}},
		{"not heard", []simulations.Fault{fault(simulations.OneWay, 0, 1)}, map[[2]int]float64{{1, 0}: 1, {1, 2}: 1}},
		{"loss", []simulations.Fault{fault(simulations.Loss, 0.1, 2)}, map[[2]int]float64{{2, 0}: 0.1, {2, 1}: 0.1, {0, 2}: 0.1, {1, 2}: 0.1}},
		{"both", []simulations.Fault{fault(simulations.Loss, 0.1, 2), fault(simulations.OneWay, 0, 2)}, map[[2]int]float64{{2, 0}: 1, {2, 1}: 1, {0, 2}: 0.1, {1, 2}: 0.1}},
	} {
		got := map[[2]int]float64{}
		for _, l := range links(test.cuts, 3) {
			got[[2]int{l.From, l.To}] = l.Loss
		}
		if !maps.Equal(got, test.want) {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
}

// Only what a fault may have kept from its sender counts as unknown.
func TestUnknown(t *testing.T) {
	push := func(at simulations.Offset, id string) checker.Push {
		return checker.Push{At: at, Vendor: "apns", PushID: id, Token: "t", Answer: "accepted"}
	}
	h := &checker.History{
		Faults: []simulations.Fault{{At: 10_000, For: 1000, Nodes: []int{0}}, {At: 50_000, For: 1000, Vendor: "fcm"}},
		Moved:  []checker.Moved{{Node: "n1", From: 30_000, To: 31_000}},
		Pushes: []checker.Push{push(9500, "in the fault"), push(12_000, "in the fault"), push(13_500, "after"), push(14_000, "after"), push(20_000, "twice"), push(21_000, "twice"), push(28_500, "moved"), push(33_500, "moved"), push(50_100, "of another"), push(50_200, "of another")},
	}
	h.Doubt(simulations.At(handover))
	var got []string
	for _, p := range h.Pushes {
		got = append(got, p.Answer)
	}
	if want := []string{"none", "accepted", "accepted", "accepted", "accepted", "accepted", "none", "accepted", "accepted", "accepted"}; !slices.Equal(got, want) {
		t.Errorf("got %v", got)
	}
}

// Users of whom nothing is under way are forgotten, the others are not.
func TestForget(t *testing.T) {
	p := &player{last: map[string]chan struct{}{}}
	done, busy := make(chan struct{}), make(chan struct{})
	close(done)
	for i := range manyUsers {
		p.last[strconv.Itoa(i)] = done
	}
	p.last["busy"] = busy
	p.forget()
	if len(p.last) != 1 || p.last["busy"] != busy || p.kept != 1 {
		t.Errorf("%d are left, %d counted", len(p.last), p.kept)
	}
}

// A process that lost leaderships is told of once for each time; another one
// counts anew.
func TestLostLeaderships(t *testing.T) {
	rec := newRecorder(Options{})
	w := &watcher{rec: rec, lost: map[string]lostLeaderships{}}
	for i, count := range []float64{0, 3, 3, 0, 2} {
		w.leaderships("n1", count, simulations.Offset(1000*i))
	}
	want := []checker.Moved{{Node: "n1", From: 0, To: 1000}, {Node: "n1", From: 3000, To: 4000}}
	if !slices.Equal(rec.h.Moved, want) || w.moved != 2 {
		t.Errorf("%d times: %v", w.moved, rec.h.Moved)
	}
}

// Only a recall that may have come first explains that nothing was pushed.
func TestEarlyRecalls(t *testing.T) {
	tell := func(kind simulations.Kind, message string, sent, answered simulations.Offset) call {
		return call{event: &simulations.Event{Kind: kind, Message: message}, sent: sent, answered: answered}
	}
	got := earlyRecalls([]call{
		tell(simulations.Message, "slow", 10, 3000), tell(simulations.Recall, "slow", 2000, 2100),
		tell(simulations.Message, "quick", 10, 20), tell(simulations.Recall, "quick", 2000, 2100), tell(simulations.Recall, "never", 5, 6),
	})
	if !got["slow"] || len(got) != 1 {
		t.Errorf("got %v", got)
	}
	early := &checker.Outcome{Status: "suppressed", Reason: "recalled"}
	if !recalled([]*checker.Outcome{early}) || recalled([]*checker.Outcome{early, {PushID: "1", Reason: "recalled"}}) {
		t.Error("a push is none that a recall kept back")
	}
}

// live plays a short life of a small world on three servers.
func live(t *testing.T, scenario string, spaces bool) *Result {
	t.Helper()
	if testing.Short() {
		t.Skip("starts processes")
	}
	t.Parallel() // it waits most of the time
	server := filepath.Join(t.TempDir(), "roused")
	if out, err := exec.Command("go", "build", "-ldflags=-s -w", "-o", server, "github.com/rouse-im/rouse/cmd/roused").CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	s, err := scenarios.Parse("x.yaml", []byte("like: small\nlength: 20m\ngroups: {large: []}\n"+scenario))
	if err != nil {
		t.Fatal(err)
	}
	faults, err := s.Schedule()
	if err != nil {
		t.Fatal(err)
	}
	w, err := world.New(s, 3)
	if err != nil {
		t.Fatal(err)
	}
	r, err := Run(t.Context(), Options{
		Steps: simulations.Merge(world.Disturb(s, 3, w.Events()), faults), Length: s.Length, Speed: 60, Nodes: 3, Settings: &rousev1.AppSettings{}, Spaces: spaces,
		Server: func(flags ...string) *exec.Cmd { return exec.Command(server, flags...) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := checker.Broken(r.Results); err != nil {
		t.Error(err)
	}
	for _, w := range r.Wrong {
		t.Error(w.Text)
	}
	if r.Judged < 50 || r.Figures.Nodes[1].CPUSeconds == 0 {
		t.Errorf("%d judged, figures %+v", r.Judged, r.Figures)
	}
	return r
}

// A kill, and a vendor that leaves pushes without an answer.
func TestThreeServers(t *testing.T) {
	r := live(t, "faults: [{kind: kill, at: 8m, nodes: [1], for: 5s}, {kind: vendor-cut, vendor: apns, at: 10m, for: 2m, rate: 0.3}, {kind: disk-slow, at: 9m, for: 1s, delay: 1s, nodes: [0]}]\nim: {outages: [{at: 12m, node: 1, for: 1m}]}", false)
	if len(r.Skipped) != 1 {
		t.Errorf("skipped %v", r.Skipped)
	}
}

// The network between servers is cut while IM nodes and vendors reach all of them.
func TestCuts(t *testing.T) {
	r := live(t, "faults: [{kind: partition, at: 5m, nodes: [0], for: 6s}, {kind: one-way, at: 9m, nodes: [1], for: 5s}, {kind: loss, at: 13m, nodes: [2], for: 5s, rate: 0.2}]\nim: {outages: []}", true)
	if len(r.Skipped) > 0 && strings.Contains(r.Skipped[0], fleet.ErrNoSpaces.Error()) {
		t.Skip(r.Skipped)
	}
	if len(r.Skipped) > 0 || len(r.History.Faults) != 3 {
		t.Errorf("skipped %v, of faults happened %v", r.Skipped, r.History.Faults)
	}
	longest := time.Duration(0)
	for _, x := range r.Figures.Times {
		longest = max(longest, x.Most)
	}
	if longest < 500*time.Millisecond { // a new leader takes longer
		t.Errorf("nobody waited for longer than %v: was the network cut?", longest)
	}
}

func TestRunRefuses(t *testing.T) {
	if _, err := Run(t.Context(), Options{Speed: 0.5}); err == nil || !strings.Contains(err.Error(), "at least 1") {
		t.Errorf("got %v", err)
	}
}
