package fake

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"slices"
	"sync"
	"time"
)

// ReceiptOptions configures what a fake reports of the pushes that it took.
type ReceiptOptions struct {
	// Transport carries the requests; nil = nothing is reported.
	Transport http.RoundTripper
	// Delay is from taking a push to the report on it, default 1 s. Requests
	// start at whole seconds, with all that is due by then.
	Delay time.Duration
	// Batch bounds the receipts of one request, default 100.
	Batch int
	// Waiting bounds the receipts that wait, those for devices that are offline
	// included, default 100,000; further ones are lost.
	Waiting int
	// PerDevice bounds the pushes of a day (of Shanghai) to one device; 0 = no
	// bound. The others are taken, and reported as over the quota.
	PerDevice int
}

// DeviceState is what a device's receipts tell.
type DeviceState uint8

// States. What a vendor has no receipt for is not reported.
const (
	// Online: a push is delivered.
	Online DeviceState = iota
	// Offline: it waits until the device is online or the push expires.
	Offline
	// Uninstalled: the token is dead, and the vendor does not know it yet.
	Uninstalled
	// Muted: the app's notifications are switched off.
	Muted
	// Inactive: the device was offline for so long that the vendor gave it up.
	Inactive
)

// ReceiptFaultKind says how a receipt goes wrong.
type ReceiptFaultKind uint8

// Kinds of fault.
const (
	// ReceiptLate comes Delay later than it should, so after receipts of what
	// happened later.
	ReceiptLate ReceiptFaultKind = iota
	// ReceiptTwice comes again after Delay.
	ReceiptTwice
	// ReceiptLost never comes.
	ReceiptLost
	// ReceiptForged comes in a request with a wrong proof; it is as it should be
	// where the vendor proves nothing.
	ReceiptForged
)

// ReceiptFault is one scripted failure.
type ReceiptFault struct {
	Kind  ReceiptFaultKind
	Delay time.Duration
	// Times is the number of receipts to hit; 0 = until Clear.
	Times int
	// Token limits the fault to one device; empty = all.
	Token string
}

// ReceiptTally counts what a fake reported.
type ReceiptTally struct {
	// Requests were answered with 200, Failed with something else or not at all.
	// Neither is repeated.
	Requests, Failed int64
	// Receipts were in Requests. Lost ones found no room, or a fault.
	Receipts, Lost int64
}

// Receipts are those of one fake. What becomes of a push is decided when the
// fake takes it, by the device's state.
type Receipts struct {
	o    ReceiptOptions
	form receiptForm

	ctx     context.Context // of the requests; ends with the fake
	cancel  context.CancelFunc
	begin   sync.Once
	wake    chan struct{}
	running sync.WaitGroup

	mu     sync.Mutex
	faults []ReceiptFault
	queue  []report
	tally  ReceiptTally
	receiptDevices
}

// receiptForm is how a vendor reports.
type receiptForm struct {
	// The vendor's codes; an empty one is not reported.
	delivered, clicked, invalid, muted, inactive, quota, expired string
	// keyed: a request has one code for each message.
	keyed bool
	// write makes the body of one request, and sets its header.
	write func(batch []report, header http.Header, now time.Time) []byte
}

// sent is a push that was taken for one token.
type sent struct {
	// url is where to report; empty = the push asked for no receipts.
	url string
	// form parts requests of different forms; proof is what they are proven by.
	form  string
	proof ReceiptProof

	app, token, message, param string
	expires                    time.Time // zero = at once
	// wants tells which codes were asked for; nil = all.
	wants func(code string) bool
}

// report is a receipt that waits to be posted.
type report struct {
	sent
	code, newToken string
	at, due        time.Time
	forged         bool
}

func newReceipts(o ReceiptOptions, form receiptForm) *Receipts {
	for _, field := range []struct {
		value *int
		zero  int
	}{{&o.Batch, 100}, {&o.Waiting, 100_000}} {
		if *field.value == 0 {
			*field.value = field.zero
		}
	}
	if o.Delay == 0 {
		o.Delay = time.Second
	}
	r := &Receipts{o: o, form: form, wake: make(chan struct{}, 1), receiptDevices: newReceiptDevices()}
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r
}

// Script adds faults behind those already waiting.
func (r *Receipts) Script(faults ...ReceiptFault) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = append(r.faults, faults...)
	r.faults = r.faults[max(0, len(r.faults)-maxFaults):]
}

// Clear ends all faults; receipts already hit stay hit.
func (r *Receipts) Clear() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.faults = nil
}

// Stats returns the counts so far.
func (r *Receipts) Stats() ReceiptTally {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tally
}

// close ends the requests under way; what waits is lost.
func (r *Receipts) close() {
	r.mu.Lock()
	r.cancel()
	r.mu.Unlock()
	r.running.Wait()
}

// report queues a receipt; mu is held.
func (r *Receipts) report(s sent, code, newToken string, now time.Time) {
	if code == "" || s.wants != nil && !s.wants(code) {
		return
	}
	one := report{sent: s, code: code, newToken: newToken, at: now, due: now.Add(r.o.Delay)}
	fault, hit := r.fault(s.token)
	switch {
	case hit && fault.Kind == ReceiptLost:
		r.tally.Lost++
		return
	case hit && fault.Kind == ReceiptLate:
		one.due = one.due.Add(fault.Delay)
	case hit && fault.Kind == ReceiptForged:
		one.forged = true
	case hit && fault.Kind == ReceiptTwice:
		again := one
		again.due = again.due.Add(fault.Delay)
		r.push(again)
	}
	r.push(one)
}

func (r *Receipts) push(one report) {
	if len(r.queue)+r.waiting >= r.o.Waiting || r.ctx.Err() != nil {
		r.tally.Lost++
		return
	}
	one.due = one.due.Add(time.Second - 1).Truncate(time.Second)
	r.queue = append(r.queue, one)
	r.begin.Do(func() { r.running.Go(r.run) })
	select {
	case r.wake <- struct{}{}:
	default:
	}
}

// fault is the first that applies to token, counted as used; mu is held.
func (r *Receipts) fault(token string) (ReceiptFault, bool) {
	for i, f := range r.faults {
		if f.Token != "" && f.Token != token {
			continue
		}
		switch f.Times {
		case 0:
		case 1:
			r.faults = slices.Delete(r.faults, i, i+1)
		default:
			r.faults[i].Times--
		}
		return f, true
	}
	return ReceiptFault{}, false
}

// run posts what is due, one request after the other.
func (r *Receipts) run() {
	for r.ctx.Err() == nil {
		now := time.Now()
		batches, next := r.due(now)
		for _, batch := range batches {
			r.post(batch)
		}
		if len(batches) > 0 {
			continue
		}
		var timer <-chan time.Time
		if !next.IsZero() {
			timer = time.After(next.Sub(now))
		}
		select {
		case <-timer:
		case <-r.wake:
		case <-r.ctx.Done():
		}
	}
}

// due takes what is due from the queue, parted into requests; next is when the
// first of the others is, zero without any.
func (r *Receipts) due(now time.Time) (batches [][]report, next time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	left := r.queue[:0]
	for _, one := range r.queue {
		if one.due.After(now) {
			left = append(left, one)
			if next.IsZero() || one.due.Before(next) {
				next = one.due
			}
			continue
		}
		i := slices.IndexFunc(batches, func(b []report) bool {
			return len(b) < r.o.Batch && r.joins(b, one)
		})
		if i < 0 {
			i = len(batches)
			batches = append(batches, nil)
		}
		batches[i] = append(batches[i], one)
	}
	clear(r.queue[len(left):])
	r.queue = left
	return batches, next
}

// joins tells whether one can go in the request of batch.
func (r *Receipts) joins(batch []report, one report) bool {
	first := batch[0]
	return first.url == one.url && first.form == one.form && first.proof == one.proof && first.forged == one.forged &&
		(!r.form.keyed || !slices.ContainsFunc(batch, func(b report) bool { return b.message == one.message && b.code != one.code }))
}

// receiptTimeout is how long a vendor waits for an answer.
const receiptTimeout = 5 * time.Second

func (r *Receipts) post(batch []report) {
	ctx, cancel := context.WithTimeout(r.ctx, receiptTimeout)
	defer cancel()
	header := http.Header{}
	body := r.form.write(batch, header, time.Now())
	ok := false
	if request, err := http.NewRequestWithContext(ctx, http.MethodPost, batch[0].url, bytes.NewReader(body)); err == nil {
		request.Header = header
		if response, err := r.o.Transport.RoundTrip(request); err == nil {
			_, _ = io.Copy(io.Discard, io.LimitReader(response.Body, maxBody))
			response.Body.Close()
			ok = response.StatusCode == http.StatusOK
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !ok {
		r.tally.Failed++
		return
	}
	r.tally.Requests++
	r.tally.Receipts += int64(len(batch))
}
