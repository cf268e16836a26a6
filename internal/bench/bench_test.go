package bench

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/storage"
)

const roleEnv = "ROUSE_BENCH_ROLE"

// TestMain plays a role when the test binary is its own child.
func TestMain(m *testing.M) {
	if role := os.Getenv(roleEnv); role != "" {
		if err := Child(role, os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

func testChild(role string) *exec.Cmd {
	c := exec.Command(os.Args[0])
	c.Env = append(os.Environ(), roleEnv+"="+role)
	return c
}

func testRunner(tb testing.TB, s Size) *runner {
	return &runner{Config: Config{Child: testChild, Size: s, Progress: tb.Output()}, report: &Report{}}
}

var tiny = Size{
	Rounds: 1, Users: 50, Pushes: 200, Events: 500, Few: 50, Many: 500, Active: 50, InMemory: 200, Activation: 50,
	Group: 1500, PerSecond: 100, Quiet: 200 * time.Millisecond, Hang: 300 * time.Millisecond, Limit: 300 * time.Millisecond,
	Failures: 1, Moved: 500, Idle: 200 * time.Millisecond,
}

// Every workload runs through, and leaves nothing behind.
func TestWorkloads(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	profiles := t.TempDir()
	var only []string
	for _, w := range Workloads() {
		// One of the clusters: each founds one of three processes, and internal/fleet
		// harms them anyway.
		if !strings.HasPrefix(w.Name, "cluster-") || w.Name == "cluster-rate" {
			only = append(only, w.Name)
		}
	}
	if testing.Short() { // processes are slow to start under the race detector
		only = []string{"push", "coalesce", "activation"}
	}
	r, err := Run(t.Context(), Config{Child: testChild, Size: tiny, Only: only, Progress: t.Output(), Profiles: profiles})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string]bool{}
	for _, x := range r.Results {
		found[x.Workload] = true
		if x.Value < 0 || x.Value == 0 && !strings.Contains(x.What, "refus") && !strings.Contains(x.What, "again") { // where none is
			t.Errorf("%s: %s is %v", x.Workload, x.What, x.Value)
		}
	}
	for _, name := range only {
		if !found[name] && !testing.Short() {
			t.Errorf("%s measured nothing", name)
		}
	}
	for _, file := range []string{"/engine.cpu", "/engine.allocs"} {
		if info, err := os.Stat(profiles + file); err != nil || info.Size() == 0 {
			t.Errorf("no profile of the engine: %v", err)
		}
	}
	left, err := os.ReadDir(os.Getenv("TMPDIR"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestCancelledRunStops(t *testing.T) {
	t.Setenv("TMPDIR", t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Run(ctx, Config{Child: testChild, Size: tiny, Only: []string{"push"}}); err == nil {
		t.Error("no error")
	}
	if left, err := os.ReadDir(os.Getenv("TMPDIR")); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v %v", left, err)
	}
}

func TestUnknownWorkload(t *testing.T) {
	if _, err := Run(t.Context(), Config{Only: []string{"speed"}}); err == nil || !strings.Contains(err.Error(), `"speed"`) {
		t.Errorf("got %v", err)
	}
}

func TestRefreshReplacesTheMiddle(t *testing.T) {
	r := &Report{Machine: Machine{Date: time.Unix(0, 0).UTC(), Commit: "abc"}, Others: -1, Results: []Result{
		{Workload: "push", What: "ratio", Value: 0.654, Reach: atLeast(0.7)},
		{Workload: "scale", What: "many ÷ few", Value: 1.1, Reach: within(0.85, 1.15), Spread: &[2]float64{1, 1234.5}},
	}}
	got, err := r.Refresh("# Title\n" + ofEngine.begin + "old\n" + end + "\nafter\n")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"# Title\n", "\nafter\n", "1970-01-01, commit abc",
		"| push | ratio | 0.65 |  | ≥ 0.70 | falls short |\n",
		"| scale | many ÷ few | 1.10 | 1.00 to 1234 | ≥ 0.85, ≤ 1.15 | reached |\n",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("lacks %q:\n%s", want, got)
		}
	}
	if strings.Contains(got, "old") {
		t.Error("what stood there before is still there")
	}
	if again, err := r.Refresh(got); err != nil || again != got {
		t.Errorf("a second time changes it: %v", err)
	}
	if _, err := r.Refresh("no marks"); err == nil {
		t.Error("no error without marks")
	}
}

// What was not measured stays.
func TestRefreshKeepsTheOtherTable(t *testing.T) {
	doc := ofEngine.begin + "engine\n" + end + "\n" + ofCluster.begin + "cluster\n" + end + "\n"
	r := &Report{Results: []Result{{Workload: clusterIdle, What: "CPUs", Value: 0.05}}}
	got, err := r.Refresh(doc)
	if err != nil || !strings.Contains(got, "engine\n") || strings.Contains(got, "cluster\n"+end) || !strings.Contains(got, "| cluster-idle | CPUs | 0.05 |") {
		t.Errorf("got %v:\n%s", err, got)
	}
	if _, err := r.Refresh(ofEngine.begin + end); err == nil {
		t.Error("no error without the marks of clusters")
	}
}

func TestWordsForWorkloads(t *testing.T) {
	for _, x := range []struct {
		word, workload string
		means          bool
	}{{"push", "push", true}, {"cluster", clusterIdle, true}, {clusterIdle, clusterIdle, true}, {"cluster", "push", false}, {"cluster-", clusterIdle, false}} {
		if got := (Workload{Name: x.workload}).named(x.word); got != x.means {
			t.Errorf("%q means %s: %v", x.word, x.workload, got)
		}
	}
}

// The first call that began after the harm and was answered says when all were served.
func TestJudge(t *testing.T) {
	at := func(ms int) time.Time { return time.Unix(0, int64(ms)*int64(time.Millisecond)) }
	harmed := at(100)
	o := judge([]probe{
		{began: at(0), ended: at(5)},
		{began: at(90), ended: at(150)}, // under way: says nothing of who came after
		{began: at(110), ended: at(400)},
		{began: at(120), ended: at(320), err: context.DeadlineExceeded},
		{began: at(130), ended: at(390)},
	}, harmed)
	if want := (outage{served: 290 * time.Millisecond, slowest: 290 * time.Millisecond, refused: 1}); o != want {
		t.Errorf("got %+v, want %+v", o, want)
	}
}

func TestWitnessesAreOfAllShards(t *testing.T) {
	seen := map[uint16]bool{}
	for _, u := range witnesses() {
		seen[storage.ShardOf(appID, userID(u), storage.DefaultShards)] = true
	}
	if len(seen) != int(storage.DefaultShards) {
		t.Errorf("%d shards", len(seen))
	}
}

func TestIsWhole(t *testing.T) {
	whole := func() *rousev1.GetClusterStatusResponse {
		return &rousev1.GetClusterStatusResponse{
			Totals: &rousev1.ClusterTotals{Alive: 3, Groups: 1},
			Groups: []*rousev1.ClusterGroup{{VoterIds: []string{"a", "b", "c"}, Replicas: []*rousev1.ReplicaLag{{Entries: 3}}}},
		}
	}
	if !isWhole(whole(), 3) {
		t.Error("a whole cluster is not")
	}
	for name, hurt := range map[string]func(*rousev1.GetClusterStatusResponse){
		"dead":    func(s *rousev1.GetClusterStatusResponse) { s.Totals.Alive = 2 },
		"moving":  func(s *rousev1.GetClusterStatusResponse) { s.Totals.Moving = 1 },
		"no lead": func(s *rousev1.GetClusterStatusResponse) { s.Totals.Leaderless = 1 },
		"unheard": func(s *rousev1.GetClusterStatusResponse) { s.Totals.Groups = 2 },
		"learner": func(s *rousev1.GetClusterStatusResponse) {
			s.Groups[0].VoterIds, s.Groups[0].LearnerIds = []string{"a", "b"}, []string{"c"}
		},
		"joint":    func(s *rousev1.GetClusterStatusResponse) { s.Groups[0].OutgoingIds = []string{"a"} },
		"snapshot": func(s *rousev1.GetClusterStatusResponse) { s.Groups[0].Replicas[0].Snapshot = true },
		"behind":   func(s *rousev1.GetClusterStatusResponse) { s.Groups[0].Replicas[0].Entries = lagMost + 1 },
	} {
		s := whole()
		hurt(s)
		if isWhole(s, 3) {
			t.Errorf("%s: whole", name)
		}
	}
}

func BenchmarkPush(b *testing.B) {
	s := Usual()
	s.Users = 2000
	g, err := testRunner(b, s).startRig(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer g.stop()
	b.ResetTimer()
	t, err := g.enginePushes(b.Context(), b.N)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(t.cpu.Nanoseconds()), "cpu-ns/op")
}

func BenchmarkBarePush(b *testing.B) {
	g, err := testRunner(b, tiny).startRig(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	defer g.stop()
	b.ResetTimer()
	t, err := g.barePushes(b.N, defaultStreams)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(t.cpu.Nanoseconds()), "cpu-ns/op")
}

func BenchmarkPresence(b *testing.B) {
	const users = 2000
	n, err := testRunner(b, tiny).startNode(b.Context(), users)
	if err != nil {
		b.Fatal(err)
	}
	defer n.stop()
	b.ResetTimer()
	t, err := n.presence(b.Context(), b.N, users, 1, 0)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(t.cpu.Nanoseconds()), "cpu-ns/op")
}

func BenchmarkActivation(b *testing.B) {
	c, err := openCore(b.N)
	if err != nil {
		b.Fatal(err)
	}
	defer c.close()
	route, stop, err := c.start(nil)
	if err != nil {
		b.Fatal(err)
	}
	defer func() { _ = stop() }()
	b.ResetTimer()
	if _, err := askAll(b.Context(), route, b.N); err != nil {
		b.Fatal(err)
	}
}
