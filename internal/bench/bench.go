// Package bench measures the whole engine: workloads that run it as a user
// would, against the fake vendors, on a real disk, over loopback.
//
// Processes are kept apart, so that getrusage tells the cost of the engine
// alone: the engine, the fake APNs and the bare apns2 loop it is compared with
// are each a child, this process makes the load. What is compared runs in
// turns, so that what else the machine does falls on both alike.
package bench

import (
	"context"
	"fmt"
	"io"
	"os/exec"
	"slices"
	"strings"
	"time"
)

// Config of a run.
type Config struct {
	// Child is the command that calls Child with the given role.
	Child func(role string) *exec.Cmd
	Size  Size
	// Only names the workloads to run, or with "cluster" all of clusters; empty =
	// all of Workloads.
	Only []string
	// Profiles is an existing directory for profiles of the children; empty = none.
	Profiles string
	// Progress gets lines for people; nil = none.
	Progress io.Writer
}

// Size says how much is done; it bounds the time of a run.
type Size struct {
	Rounds     int // of each side of a comparison
	Users      int // with one device each, for pushes and intake
	Pushes     int // in a round
	Events     int // presence events in a round
	Few, Many  int // users on disk of the two stores that are compared
	Active     int // of them, in a round
	InMemory   int // users that are active at a time
	Activation int // users activated one by one
	Group      int // users of the group that a message goes to

	PerSecond int           // messages in the workload hang
	Quiet     time.Duration // of a round of steady load
	Hang      time.Duration // of a vendor
	Limit     time.Duration // above a vendor's limit

	Failures int           // nodes killed, frozen, ended in order
	Moved    int           // users of a replica that is added
	Idle     time.Duration // of a cluster without load
}

// Usual is the size that takes about four minutes, Full the one of the stated
// goals, which takes about six, 4 GiB of memory and of disk.
func Usual() Size {
	return Size{
		Rounds: 3, Users: 10_000, Pushes: 20_000, Events: 100_000,
		Few: 10_000, Many: 200_000, Active: 10_000, InMemory: 200_000, Activation: 10_000,
		Group: 20_000, PerSecond: 600, Quiet: 5 * time.Second, Hang: 20 * time.Second, Limit: 10 * time.Second,
		Failures: 5, Moved: 100_000, Idle: 10 * time.Second,
	}
}

// Full is said above.
func Full() Size {
	s := Usual()
	s.Rounds, s.Pushes, s.Many, s.InMemory, s.Activation = 5, 30_000, 1_000_000, 1_000_000, 100_000
	s.Hang, s.Limit = time.Minute, 15*time.Second
	s.Failures, s.Moved, s.Idle = 20, 1_000_000, 30*time.Second
	return s
}

// Workload is one measurement.
type Workload struct {
	Name, What string
	run        func(ctx context.Context, r *runner) error
}

const ofClusters = "cluster"

// named tells whether a word means the workload.
func (w Workload) named(word string) bool {
	return w.Name == word || word == ofClusters && strings.HasPrefix(w.Name, ofClusters+"-")
}

// Workloads in the order in which they run.
func Workloads() []Workload {
	return []Workload{
		{"push", "messages to an APNs without latency, against a bare apns2 loop", pushes},
		{"latency", "messages to an APNs that answers after 50 ms", slowPushes},
		{"coalesce", "a message to a large group through Huawei, many tokens in a call against one", groups},
		{"limit", "more messages than a vendor takes, which refuses what is above its limit", limits},
		{"delay", "the time from the IM node to the vendor, at 2,000 messages/s", delays},
		{"hang", "the same to all vendors, while one of them does not answer", hang},
		{"intake", "presence events, against raw synced Pebble batches", intake},
		{"scale", "the same events on a small and on a large store", scale},
		{"memory", "bytes of a user in memory", memory},
		{"activation", "users started from disk, one by one", activation},
		{clusterRate, "three replicas against one node: presence events and pushes", replicated},
		{failover, "how long users are not served when a node is killed, or stands still", failovers},
		{clusterDrain, "what IM nodes notice of a node that ends in order", drains},
		{clusterIdle, "CPU time of three nodes without load", idle},
		{catchUp, "how slow the leader is while another node gets all users", catchesUp},
	}
}

// runner is one run.
type runner struct {
	Config
	report *Report
}

// Run measures. An error says which workload failed; the report holds those before.
func Run(ctx context.Context, c Config) (*Report, error) {
	for _, name := range c.Only {
		if !slices.ContainsFunc(Workloads(), func(w Workload) bool { return w.named(name) }) {
			return nil, fmt.Errorf("bench: there is no workload %q", name)
		}
	}
	if c.Progress == nil {
		c.Progress = io.Discard
	}
	r := &runner{Config: c, report: &Report{Machine: describe(), Size: c.Size}}
	meter := startLoad()
	for _, w := range Workloads() {
		if len(c.Only) > 0 && !slices.ContainsFunc(c.Only, w.named) {
			continue
		}
		r.say("%s: %s", w.Name, w.What)
		start := time.Now()
		if err := w.run(ctx, r); err != nil {
			return r.report, fmt.Errorf("bench: %s: %w", w.Name, err)
		}
		r.say("  took %v", time.Since(start).Round(time.Second))
	}
	r.report.Others = meter.others()
	return r.report, nil
}

// say tells people how far the run is.
func (r *runner) say(format string, args ...any) {
	fmt.Fprintf(r.Progress, format+"\n", args...)
}
