package client

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// TestBookKeepsEveryEvent drives a book against a server that refuses, falls
// silent and disconnects at will: every event is answered exactly once, the
// books balance, and no event gets under way while an earlier one of its user waits.
func TestBookKeepsEveryEvent(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(1_000_000, 0)
		b := newBook(time.Minute, func() float64 { return rapid.Float64Range(0, 0.999).Draw(t, "jitter") })
		var sent []*batch
		answers := map[int]int{} // by event number
		waiting := map[int]bool{}
		users := map[int][]string{}
		n, latest := 0, uint64(0)
		tell := func(all []answer) {
			for _, a := range all {
				a.done(a.result)
			}
		}
		t.Repeat(map[string]func(*rapid.T){
			"add": func(t *rapid.T) {
				id := n
				n++
				ev := message(fmt.Sprint("u", rapid.IntRange(0, 3).Draw(t, "user")), id)
				if rapid.Bool().Draw(t, "group") {
					m := ev.GetMessage()
					m.Recipients = append(m.Recipients, fmt.Sprint("u", rapid.IntRange(0, 3).Draw(t, "second")))
				}
				users[id], waiting[id] = ev.GetMessage().GetRecipients(), true
				size := rapid.Int64Range(1, maxBatchBytes/2).Draw(t, "size")
				b.add(ev, size, func(*rousev1.ItemResult) { answers[id]++; delete(waiting, id) }, now)
			},
			"send": func(t *rapid.T) {
				f, _ := b.next(now, 3, time.Millisecond)
				if f == nil {
					return
				}
				sent = append(sent, f)
				if f.seq <= latest {
					return // again: it was under way before
				}
				latest = f.seq
				var ids []int
				for _, it := range f.items {
					ids = append(ids, number(it.event))
					delete(waiting, number(it.event))
				}
				for i, id := range ids {
					if i > 0 && overlap(users[ids[i-1]], users[id]) && ids[i-1] > id {
						t.Fatalf("batch %v is out of order", ids)
					}
					for w := range waiting {
						if w < id && overlap(users[w], users[id]) {
							t.Fatalf("event %d overtakes %d, which waits", id, w)
						}
					}
				}
			},
			"answer": func(t *rapid.T) {
				if len(sent) == 0 {
					return
				}
				i := rapid.IntRange(0, len(sent)-1).Draw(t, "batch")
				f := sent[i]
				sent = append(sent[:i:i], sent[i+1:]...)
				var items []*rousev1.ItemResult
				for _, it := range f.items {
					r := &rousev1.ItemResult{Status: accepted}
					if rapid.Bool().Draw(t, "refuse") {
						r = overloaded()
						if it.done != nil {
							waiting[number(it.event)] = true
						}
					}
					items = append(items, r)
				}
				final, err := b.settle(&rousev1.BatchResult{Seq: f.seq, Items: items}, now)
				if err != nil {
					t.Fatal(err)
				}
				tell(final)
			},
			"disconnect": func(*rapid.T) {
				b.lost()
				sent = nil
			},
			"pass time": func(t *rapid.T) {
				now = now.Add(rapid.SampledFrom([]time.Duration{time.Millisecond, 30 * time.Millisecond, time.Second, 20 * time.Second}).Draw(t, "time"))
				tell(b.expire(now, ""))
			},
			"": func(t *rapid.T) {
				for id, k := range answers {
					if k != 1 {
						t.Fatalf("event %d was answered %d times", id, k)
					}
				}
				if b.count != n-len(answers) {
					t.Fatalf("book counts %d, of %d events %d are answered", b.count, n, len(answers))
				}
				var bytes int64
				for _, it := range b.fresh {
					bytes += it.size
				}
				if bytes != b.bytes {
					t.Fatalf("book counts %d bytes, holds %d", b.bytes, bytes)
				}
				if len(b.again) == 0 && len(b.held) != 0 {
					t.Fatalf("held for nobody: %v", b.held)
				}
				if at := b.due(now, 0, true); len(b.again)+len(b.fresh) > 0 && at.IsZero() {
					t.Fatal("events wait and nothing is due")
				}
			},
		})
		tell(b.expire(now.Add(2*time.Minute), ""))
		if b.count != 0 || len(answers) != n {
			t.Fatalf("%d of %d events answered, %d left", len(answers), n, b.count)
		}
	})
}

func number(ev *rousev1.Event) (n int) {
	_, _ = fmt.Sscan(ev.GetMessage().GetMessageId(), &n)
	return n
}

func overlap(a, b []string) bool {
	return slices.ContainsFunc(a, func(u string) bool { return slices.Contains(b, u) })
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
