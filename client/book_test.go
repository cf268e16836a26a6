package client

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// rehearsal drives a book, plays the server, and remembers what must hold.
type rehearsal struct {
	*book
	now     time.Time
	sent    []*batch // unanswered on this connection
	latest  uint64   // highest batch number seen
	events  []*rousev1.Event
	waiting map[int]bool // events not under way, by number
	answers map[int]int  // answers of each event, by number
}

// TestBookKeepsEveryEvent drives a book against a server that refuses, falls
// silent and disconnects at will: every event is answered exactly once, the
// books balance, and no event gets under way while an earlier one of its user waits.
func TestBookKeepsEveryEvent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		jitter := func() float64 { return rapid.Float64Range(0, 0.999).Draw(t, "jitter") }
		r := &rehearsal{book: newBook(time.Minute, jitter), now: time.Unix(1_000_000, 0), waiting: map[int]bool{}, answers: map[int]int{}}
		t.Repeat(map[string]func(*rapid.T){
			"add":       r.addOne,
			"send":      r.sendOne,
			"answer":    r.answerOne,
			"pass time": r.passTime,
			"disconnect": func(*rapid.T) {
				r.lost()
				r.sent = nil
			},
			"": r.check,
		})
		r.tell(r.expire(r.now.Add(2*time.Minute), ""))
		if r.count != 0 || len(r.answers) != len(r.events) {
			t.Fatalf("%d of %d events answered, %d left", len(r.answers), len(r.events), r.count)
		}
	})
}

func (r *rehearsal) addOne(t *rapid.T) {
	user := func(label string) string { return fmt.Sprint("u", rapid.IntRange(0, 3).Draw(t, label)) }
	id := len(r.events)
	ev := message(user("user"), id)
	if rapid.Bool().Draw(t, "group") {
		m := ev.GetMessage()
		m.Recipients = append(m.Recipients, user("second"))
	}
	r.events = append(r.events, ev)
	r.waiting[id] = true
	r.add(ev, rapid.Int64Range(1, maxBatchBytes/2).Draw(t, "size"), func(*rousev1.ItemResult) {
		r.answers[id]++
		delete(r.waiting, id)
	}, r.now)
}

func (r *rehearsal) sendOne(t *rapid.T) {
	f, _ := r.next(r.now, 3, time.Millisecond)
	if f == nil {
		return
	}
	r.sent = append(r.sent, f)
	if f.seq <= r.latest {
		return // again: it was under way before
	}
	r.latest = f.seq
	for _, it := range f.items {
		delete(r.waiting, number(it.event))
	}
	for i, it := range f.items {
		for _, before := range f.items[:i] {
			if overlap(before.event, it.event) && number(before.event) > number(it.event) {
				t.Fatalf("event %d comes before %d in a batch", number(before.event), number(it.event))
			}
		}
		for w := range r.waiting {
			if w < number(it.event) && overlap(r.events[w], it.event) {
				t.Fatalf("event %d overtakes %d, which waits", number(it.event), w)
			}
		}
	}
}

func (r *rehearsal) answerOne(t *rapid.T) {
	if len(r.sent) == 0 {
		return
	}
	i := rapid.IntRange(0, len(r.sent)-1).Draw(t, "batch")
	f := r.sent[i]
	r.sent = slices.Delete(r.sent, i, i+1)
	var items []*rousev1.ItemResult
	for _, it := range f.items {
		result := &rousev1.ItemResult{Status: accepted}
		if rapid.Bool().Draw(t, "refuse") {
			result = overloaded()
			if it.done != nil {
				r.waiting[number(it.event)] = true
			}
		}
		items = append(items, result)
	}
	final, err := r.settle(&rousev1.BatchResult{Seq: f.seq, Items: items}, r.now)
	if err != nil {
		t.Fatal(err)
	}
	r.tell(final)
}

func (r *rehearsal) passTime(t *rapid.T) {
	steps := []time.Duration{time.Millisecond, 30 * time.Millisecond, time.Second, 20 * time.Second}
	r.now = r.now.Add(rapid.SampledFrom(steps).Draw(t, "time"))
	r.tell(r.expire(r.now, ""))
}

func (r *rehearsal) check(t *rapid.T) {
	for id, k := range r.answers {
		if k != 1 {
			t.Fatalf("event %d was answered %d times", id, k)
		}
	}
	if r.count != len(r.events)-len(r.answers) {
		t.Fatalf("book counts %d, of %d events %d are answered", r.count, len(r.events), len(r.answers))
	}
	var bytes int64
	for _, it := range r.fresh {
		bytes += it.size
	}
	if bytes != r.bytes {
		t.Fatalf("book counts %d bytes, holds %d", r.bytes, bytes)
	}
	if len(r.again) == 0 && len(r.held) != 0 {
		t.Fatalf("held for nobody: %v", r.held)
	}
	if at := r.due(r.now, 0, true); len(r.again)+len(r.fresh) > 0 && at.IsZero() {
		t.Fatal("events wait and nothing is due")
	}
}

func (r *rehearsal) tell(all []answer) {
	for _, a := range all {
		a.done(a.result)
	}
}

func number(ev *rousev1.Event) (n int) {
	_, _ = fmt.Sscan(ev.GetMessage().GetMessageId(), &n)
	return n
}

// overlap reports whether two events have a user in common.
func overlap(a, b *rousev1.Event) bool {
	return anyUser(a, func(u string) bool { return anyUser(b, func(v string) bool { return u == v }) })
}

func TestBookKeepsToTheWindow(t *testing.T) {
	now := time.Unix(1_000_000, 0)
	b := newBook(time.Minute, func() float64 { return 0 })
	sent := 0
	send := func() {
		b.add(message("u", sent), 1, func(*rousev1.ItemResult) {}, now)
		now = now.Add(time.Millisecond)
		if f, _ := b.next(now, 2, time.Millisecond); f != nil {
			sent++
		}
	}
	for range 5 {
		send()
	}
	if sent != 2 {
		t.Fatalf("%d batches under way, the window is 2", sent)
	}
	if _, err := b.settle(&rousev1.BatchResult{Seq: 1, Items: []*rousev1.ItemResult{{Status: accepted}}}, now); err != nil {
		t.Fatal(err)
	}
	if send(); sent != 3 {
		t.Fatal("an answer makes no room")
	}
}

func TestBackoff(t *testing.T) {
	for n, want := range map[int]time.Duration{1: 100 * time.Millisecond, 2: 200 * time.Millisecond, 6: 3200 * time.Millisecond, 7: 5 * time.Second, 100: 5 * time.Second} {
		if got := backoff(n, 100*time.Millisecond, 5*time.Second, 0); got != want {
			t.Errorf("attempt %d: %v, want %v", n, got, want)
		}
		if got := backoff(n, 100*time.Millisecond, 5*time.Second, 0.999); got < want/2 || got > want*51/100 {
			t.Errorf("attempt %d with full jitter: %v of %v", n, got, want)
		}
	}
}

func BenchmarkBook(b *testing.B) {
	now := time.Unix(1_000_000, 0)
	book := newBook(time.Minute, func() float64 { return 0 })
	ev := message("u", 1)
	done := func(*rousev1.ItemResult) {}
	items := make([]*rousev1.ItemResult, maxBatchEvents)
	for i := range items {
		items[i] = &rousev1.ItemResult{Status: accepted}
	}
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		book.add(ev, 100, done, now)
		if n%maxBatchEvents == maxBatchEvents-1 {
			f, _ := book.next(now, 1, time.Millisecond)
			if _, err := book.settle(&rousev1.BatchResult{Seq: f.seq, Items: items}, now); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// An engine that answers other batches is not dead, for a while.
func TestBookTellsSilenceFromASlowBatch(t *testing.T) {
	b := newBook(time.Hour, func() float64 { return 0 })
	now := time.Unix(1e9, 0)
	send := func(user string) uint64 {
		b.add(message(user, 1), 1, func(*rousev1.ItemResult) {}, now)
		f, _ := b.next(now, 100, 0)
		f.sent = now
		return f.seq
	}
	answer := func(seq uint64) {
		if _, err := b.settle(&rousev1.BatchResult{Seq: seq, Items: []*rousev1.ItemResult{{Status: rousev1.ItemStatus_ITEM_STATUS_ACCEPTED}}}, now); err != nil {
			t.Fatal(err)
		}
	}
	const timeout = 2 * time.Second
	if now = now.Add(time.Hour); b.silent(now, timeout) {
		t.Error("nothing is unanswered")
	}
	slow := send("slow")
	for range 4 * patience {
		if b.silent(now, timeout) {
			t.Fatalf("cut after %v", now.Sub(b.oldest()))
		}
		seq := send("quick")
		now = now.Add(timeout / 4)
		answer(seq)
	}
	if !b.silent(now, timeout) {
		t.Errorf("a batch waits for %v and for ever", now.Sub(b.oldest()))
	}
	answer(slow)
	send("last")
	if now = now.Add(timeout - 1); b.silent(now, timeout) {
		t.Error("too early")
	}
	if now = now.Add(1); !b.silent(now, timeout) {
		t.Error("silence is not noticed")
	}
}
