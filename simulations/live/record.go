package live

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/demo"
	"github.com/rouse-im/rouse/simulations"
	"github.com/rouse-im/rouse/simulations/checker"
)

// recorder keeps what happens in a run.
type recorder struct {
	keep  bool // entries, not only figures
	start time.Time
	told  atomic.Int64 // events that were handed over

	mu    sync.Mutex
	h     checker.History
	calls []call
	out   io.Writer
	fault error
	times map[simulations.Kind]*latencies
	count map[string]int64 // answers by status
	taken map[string]int64 // pushes by vendor
	push  latencies        // from the message to the vendor, when measured
	sent  map[string]time.Duration
}

// call is an event that was told, with its answer.
type call struct {
	event          *simulations.Event
	sent, answered simulations.Offset
	status         rousev1.ItemStatus
	known          bool // the answer says whether it was applied
}

func newRecorder(o Options) *recorder {
	return &recorder{
		keep: !o.Measure, out: o.Log, times: map[simulations.Kind]*latencies{}, count: map[string]int64{}, taken: map[string]int64{},
		sent: map[string]time.Duration{},
	}
}

// begin sets offset 0; nothing is recorded before it.
func (r *recorder) begin() {
	r.mu.Lock()
	r.start = time.Now()
	r.mu.Unlock()
	r.add(checker.Entry{Limits: &checker.Limits{Start: r.start, Handover: simulations.At(5 * time.Second), Drain: simulations.At(settleTimeout), Quick: 250}})
}

// since the beginning.
func (r *recorder) since(at time.Time) simulations.Offset {
	return simulations.At(at.Sub(r.start))
}

func (r *recorder) now() simulations.Offset { return r.since(time.Now()) }

// add an entry to the history and the log.
func (r *recorder) add(e checker.Entry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.put(e)
}

// put needs mu.
func (r *recorder) put(e checker.Entry) {
	if !r.keep {
		return
	}
	if err := r.h.Add(e); err != nil {
		r.fault = errors.Join(r.fault, err)
	}
	if r.out == nil {
		return
	}
	line, err := json.Marshal(e)
	if err == nil {
		_, err = r.out.Write(append(line, '\n'))
	}
	if err != nil {
		r.out, r.fault = nil, errors.Join(r.fault, fmt.Errorf("the log of the run: %w", err))
	}
}

func (r *recorder) failed() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.fault
}

// happened notes an event before it is told; copies are told, and happen once.
func (r *recorder) happened(e *simulations.Event, first bool) {
	r.told.Add(1)
	if first {
		r.add(checker.Entry{Event: e})
	}
}

// answered notes what came of an event. A duplicate that was told once is one
// that the client itself repeated: it was applied.
func (r *recorder) answered(d *simulations.Delivery, e *simulations.Event, sent time.Time, status rousev1.ItemStatus, known bool) {
	end := time.Now()
	c := call{e, r.since(sent), r.since(end), status, known}
	word := "unknown"
	switch {
	case !known:
		c.status = rousev1.ItemStatus_ITEM_STATUS_UNSPECIFIED
	case status == rousev1.ItemStatus_ITEM_STATUS_DUPLICATE && d.Copy == 0:
		word, c.status = "accepted", rousev1.ItemStatus_ITEM_STATUS_UNSPECIFIED
	case status == rousev1.ItemStatus_ITEM_STATUS_ACCEPTED:
		word = "accepted"
	case status == rousev1.ItemStatus_ITEM_STATUS_DUPLICATE:
		word = "duplicate"
	case status == rousev1.ItemStatus_ITEM_STATUS_STALE:
		word = "stale"
	case status == rousev1.ItemStatus_ITEM_STATUS_REFUSED:
		word = "refused"
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.count[word]++
	if r.times[e.Kind] == nil {
		r.times[e.Kind] = &latencies{}
	}
	r.times[e.Kind].add(end.Sub(sent))
	if !r.keep {
		return
	}
	r.calls = append(r.calls, c)
	r.put(checker.Entry{Ack: &checker.Ack{Event: e.N, Sent: c.sent, Answered: c.answered, Status: word}})
}

// pushed notes a push that a vendor took.
func (r *recorder) pushed(p demo.Pushed) {
	at := time.Now()
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.start.IsZero() {
		return
	}
	r.taken[p.Vendor]++
	if !r.keep {
		if sent, ok := r.sent[p.Message]; ok {
			r.push.add(at.Sub(r.start) - sent)
		}
		return
	}
	push := checker.Push{
		At: r.since(at), Vendor: p.Vendor, Notifier: notifier(p), Token: p.Token, PushID: p.ID, Message: p.Message, Answer: "accepted",
	}
	if p.Badge >= 0 {
		push.Badge = &p.Badge
	}
	r.put(checker.Entry{Push: &push})
}

// sends notes when a message was sent, for figures.
func (r *recorder) sends(message string, at time.Time) {
	const most = 1 << 20
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, ok := r.sent[message]; !ok && len(r.sent) < most {
		r.sent[message] = at.Sub(r.start)
	}
}

func notifier(p demo.Pushed) string {
	switch {
	case p.Vendor == demo.APNs && p.Silent:
		return demo.IOSVoIP
	case p.Vendor == demo.APNs:
		return demo.IOS
	case p.Vendor == demo.FCM:
		return demo.Android
	}
	return p.Vendor
}
