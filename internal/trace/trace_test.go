package trace

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rouse-im/rouse/actors/user"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/storage"
)

var now = time.Date(2026, 3, 9, 12, 0, 0, 0, time.UTC)

type world struct {
	testing.TB
	Finder
}

func newWorld(t testing.TB) *world {
	s, err := storage.Open("data", storage.Options{FS: vfs.NewMem(), Shards: 8, Logger: slog.New(slog.DiscardHandler), MinFreeBytes: 1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return &world{t, Finder{Store: s}}
}

func (w *world) put(who string, key, value []byte) {
	w.Helper()
	done := make(chan error, 1)
	w.Store.Propose(w.Store.ShardOf("app", who), []storage.Mutation{{Op: storage.Set, Key: key, Value: value}}, func(err error) { done <- err })
	if err := <-done; err != nil {
		w.Fatal(err)
	}
}

func pushed(message, device string) *user.Pending {
	return &user.Pending{Message: message, Verdicts: []user.Verdict{
		{Device: "never", Status: rousev1.OutcomeStatus_OUTCOME_STATUS_SUPPRESSED},
		{Device: device, Notifier: "apns", Status: rousev1.OutcomeStatus_OUTCOME_STATUS_ACCEPTED},
	}}
}

// steps, outcome and outbox write what a user writes, so many days ago.
func (w *world) steps(days uint16, who, message string) {
	w.put(who, storage.AppendTraceKey(nil, storage.TraceKey{Shard: w.Store.ShardOf("app", who), Day: storage.Day(now) - days, App: "app", Message: message, User: who}), []byte{1})
}

func (w *world) outcome(days uint16, who, message, device string) {
	k := storage.OutcomeKey{Shard: w.Store.ShardOf("app", who), Day: storage.Day(now) - days, App: "app", User: who, Message: message}
	w.put(who, storage.AppendOutcomeKey(nil, k), pushed(message, device).EncodeOutcome(nil))
}

func (w *world) outbox(who, message, device string) {
	k := storage.OutboxKey{Shard: w.Store.ShardOf("app", who), DueMilli: uint64(now.UnixMilli()), App: "app", User: who, Message: message}
	w.put(who, storage.AppendOutboxKey(nil, k), pushed(message, device).EncodeOutbox(nil, nil))
}

func TestRecipientsOfAMessage(t *testing.T) {
	w := newWorld(t)
	for i := range 20 {
		w.steps(uint16(i%8), fmt.Sprint("u", i), "m")
		w.steps(0, fmt.Sprint("u", i), "m2")
		w.steps(0, fmt.Sprint("u", i), "m\x00u")
	}
	w.steps(8, "late", "m")
	w.outbox("u1", "m", "phone")
	w.outbox("waits", "m", "phone")
	w.outbox("other", "m\x01", "phone")
	ask := func(app, message string, limit int) []string {
		t.Helper()
		users, err := w.Message(t.Context(), app, message, limit, now)
		if err != nil {
			t.Fatal(err)
		}
		slices.Sort(users)
		return users
	}
	if all := ask("app", "m", 1000); len(all) != 21 || !slices.Contains(all, "waits") || slices.Contains(all, "late") {
		t.Errorf("recipients of m: %q", all)
	}
	for _, limit := range []int{1, 7, 20, 21} {
		if all := ask("app", "m", limit); len(all) != limit || len(slices.Compact(all)) != limit {
			t.Errorf("%d recipients: %q", limit, all)
		}
	}
	for _, hostile := range []string{"", "\x00", "m\x00", "m\x00u1", "\xff", "m\x01\x01u"} {
		if all := ask("app", hostile, 10); len(all) != 0 {
			t.Errorf("recipients of %q: %q", hostile, all)
		}
	}
	if all := ask("app", "m\x01", 10); len(all) != 1 || all[0] != "other" {
		t.Errorf("recipients of a hostile id: %q", all)
	}
	if all := ask("ap", "m", 10); len(all) != 0 {
		t.Errorf("of another app: %q", all)
	}
}

func TestPushIDs(t *testing.T) {
	w := newWorld(t)
	for i := range 30 {
		w.outcome(uint16(i%8), fmt.Sprint("u", i), "m", "phone")
	}
	w.outcome(8, "late", "m", "phone")
	w.outbox("waits", "m", "phone")
	find := func(app, id string) (Found, bool, error) { return w.Push(t.Context(), app, id, now) }
	for _, who := range []string{"u0", "u7", "u29", "waits"} {
		if got, ok, err := find("app", user.PushID("app", who, "phone", "m")); err != nil || !ok || got != (Found{"m", who}) {
			t.Errorf("push to %s: %+v %v %v", who, got, ok, err)
		}
	}
	for _, id := range []string{
		user.PushID("app", "late", "phone", "m"), user.PushID("app", "u0", "never", "m"), user.PushID("app", "u0", "phone", "m2"), "", "x",
	} {
		if got, ok, err := find("app", id); err != nil || ok {
			t.Errorf("%q is the push of %+v, %v", id, got, err)
		}
	}
	if _, ok, err := find("other", user.PushID("app", "u0", "phone", "m")); ok || err != nil {
		t.Errorf("another app's push is found, %v", err)
	}
	w.Outcomes = 29
	if _, ok, err := find("app", "x"); ok || !errors.Is(err, ErrFar) {
		t.Errorf("one more than is looked at: %v %v", ok, err)
	}
	w.Outcomes = 30
	if _, ok, err := find("app", "x"); ok || err != nil {
		t.Errorf("as many as are looked at: %v %v", ok, err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := w.Push(ctx, "app", "x", now); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller who is gone: %v", err)
	}
	if _, err := w.Message(ctx, "app", "m", 10, now); !errors.Is(err, context.Canceled) {
		t.Errorf("a caller who is gone: %v", err)
	}
}

// A node searches what it leads: the answers of all nodes together are complete.
func TestNodesSearchWhatTheyLead(t *testing.T) {
	w := newWorld(t)
	for i := range 40 {
		w.steps(0, fmt.Sprint("u", i), "m")
		w.outcome(0, fmt.Sprint("u", i), "m", "phone")
	}
	var users []string
	found := 0
	for node := range uint16(3) {
		w.Leads = func(shard uint16) bool { return shard%3 == node }
		some, err := w.Message(t.Context(), "app", "m", 100, now)
		if err != nil || len(some) == 0 || len(some) == 40 {
			t.Errorf("node %d finds %d recipients, %v", node, len(some), err)
		}
		users = append(users, some...)
		if _, ok, err := w.Push(t.Context(), "app", user.PushID("app", "u7", "phone", "m"), now); err != nil {
			t.Error(err)
		} else if ok {
			found++
		}
	}
	slices.Sort(users)
	if len(slices.Compact(users)) != 40 || found != 1 {
		t.Errorf("three nodes find %d recipients, and the push %d times", len(users), found)
	}
}

// BenchmarkPush is what one outcome record costs a search that finds nothing.
func BenchmarkPush(b *testing.B) {
	const records = 50_000
	w := newWorld(b)
	for i := range records {
		w.outcome(0, fmt.Sprint("user", i), fmt.Sprint("message", i), "device")
	}
	for b.Loop() {
		if _, ok, err := w.Push(b.Context(), "app", "x", now); ok || err != nil {
			b.Fatal(ok, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/records, "ns/record")
}
