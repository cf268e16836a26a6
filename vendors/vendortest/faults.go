package vendortest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/fake"
)

// patience is the deadline of a push in the cases of vendors that do not answer.
const patience = 10 * time.Second

func within(t *testing.T) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	t.Cleanup(cancel)
	return ctx
}

func testSlow(t *testing.T, p *probe) {
	p.accepted(t, p.push())
	p.Faults.Script(fake.Fault{Delay: 3 * time.Second})
	begun := time.Now()
	p.accepted(t, p.push())
	if took := time.Since(begun); took != 3*time.Second {
		t.Errorf("took %v, want 3s", took)
	}
}

// warm makes sure that every connection has been used.
func (p *probe) warm(t *testing.T) {
	t.Helper()
	p.Faults.Script(fake.Fault{Delay: 10 * time.Millisecond})
	_, errs := p.sendAll(within(t), p.pushes(2*p.Sender.MaxInFlight()))
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	p.Faults.Clear()
}

// unknown demands an error that says nothing about the push.
func (p *probe) unknown(t *testing.T, res vendors.Result, err error) {
	t.Helper()
	if err == nil || res != (vendors.Result{}) {
		t.Errorf("got %+v, %v; want an error and no result", res, err)
	}
}

func testHang(t *testing.T, p *probe) {
	p.accepted(t, p.push())
	p.Faults.Script(fake.Fault{Kind: fake.Hang})
	begun := time.Now()
	res, err := p.send(within(t), p.push())
	p.unknown(t, res, err)
	if !errors.Is(err, context.DeadlineExceeded) || time.Since(begun) != patience {
		t.Errorf("after %v: %v", time.Since(begun), err)
	}
	p.Faults.Clear()
	p.accepted(t, p.push())
}

func testCancelled(t *testing.T, p *probe) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	res, err := p.send(ctx, p.push())
	p.unknown(t, res, err)
	if !errors.Is(err, context.Canceled) || p.Requests() != 0 {
		t.Errorf("%d requests: %v", p.Requests(), err)
	}
	p.accepted(t, p.push())
}

func testCancelledWaiting(t *testing.T, p *probe) {
	p.warm(t)
	p.Faults.Script(fake.Fault{Kind: fake.Hang})
	background, stop := context.WithCancel(t.Context())
	defer stop()
	requests := p.Requests()
	for _, n := range p.pushes(p.Sender.MaxInFlight()) {
		go p.send(background, n) //nolint:errcheck // ends with stop
	}
	synctest.Wait()
	if got := p.Requests() - requests; got != p.Sender.MaxInFlight() {
		t.Fatalf("%d requests in flight, want %d", got, p.Sender.MaxInFlight())
	}
	res, err := p.send(within(t), p.push())
	p.unknown(t, res, err)
	if !errors.Is(err, context.DeadlineExceeded) || p.Requests()-requests != p.Sender.MaxInFlight() {
		t.Errorf("%d requests, %v", p.Requests()-requests, err)
	}
	p.Faults.Clear()
	stop()
	synctest.Wait()
	p.accepted(t, p.push())
}

func testCut(t *testing.T, p *probe) {
	p.accepted(t, p.push())
	requests := p.Requests()
	p.Faults.Script(fake.Fault{Kind: fake.Cut})
	n := p.push()
	res, err := p.send(within(t), n)
	p.unknown(t, res, err)
	if took, asked := len(p.Seen(n.Token)), p.Requests()-requests; took != 1 || asked != 1 {
		t.Errorf("the vendor took %d pushes of %d requests; a push of unknown outcome is not repeated", took, asked)
	}
	p.Faults.Clear()
	p.accepted(t, p.push())
}

func testAbort(t *testing.T, p *probe) {
	p.accepted(t, p.push())
	requests := p.Requests()
	p.Faults.Script(fake.Fault{Kind: fake.Abort})
	n := p.push()
	res, err := p.send(within(t), n)
	p.unknown(t, res, err)
	if asked := p.Requests() - requests; asked != 1 {
		t.Errorf("%d requests, want 1", asked)
	}
	p.Faults.Clear()
	p.accepted(t, p.push())
}

func testRefuse(t *testing.T, p *probe) {
	p.accepted(t, p.push())
	p.Faults.Script(fake.Fault{Kind: fake.Refuse})
	n := p.push()
	res, err := p.send(within(t), n)
	p.unknown(t, res, err)
	p.Faults.Clear()
	p.accepted(t, n)
	if got := len(p.Seen(n.Token)); got != 1 {
		t.Errorf("the vendor took %d pushes, want 1", got)
	}
}

func testFreeze(t *testing.T, p *probe) {
	p.accepted(t, p.push())
	p.Faults.Script(fake.Fault{Kind: fake.Freeze, Times: 1})
	res, err := p.send(within(t), p.push())
	p.unknown(t, res, err)
	p.recovers(t)
}

// recovers demands that pushes get through again within a minute.
func (p *probe) recovers(t *testing.T) {
	t.Helper()
	for begun := time.Now(); ; {
		res, err := p.send(within(t), p.push())
		if err == nil && res.Outcome == vendors.Accepted {
			return
		}
		if time.Since(begun) > time.Minute {
			t.Fatalf("no push got through for a minute: %+v, %v", res, err)
		}
		<-time.After(time.Second)
	}
}

func testGoaway(t *testing.T, p *probe) {
	p.accepted(t, p.push())
	p.Faults.Script(fake.Fault{Kind: fake.Goaway, Body: `{"reason":"Shutdown"}`, Times: 3})
	p.noneTwice(t)
}

// testRefuseUnderLoad: what was certainly not begun may be repeated, and is
// never taken twice.
func testRefuseUnderLoad(t *testing.T, p *probe) {
	p.accepted(t, p.push())
	p.Faults.Script(fake.Fault{Kind: fake.Refuse, Times: 5})
	p.noneTwice(t)
}

// noneTwice sends under faults: an accepted push was taken once, no other twice.
func (p *probe) noneTwice(t *testing.T) {
	t.Helper()
	pushes := p.pushes(2 * p.Sender.MaxInFlight())
	results, errs := p.sendAll(within(t), pushes)
	for i, n := range pushes {
		took := len(p.Seen(n.Token))
		if accepted := errs[i] == nil && results[i].Outcome == vendors.Accepted; accepted && took != 1 || took > 1 {
			t.Errorf("push %d: %+v, %v, and the vendor took %d", i, results[i], errs[i], took)
		}
	}
	p.Faults.Clear()
	p.recovers(t)
}

// testReset: the vendor may have taken the push or not, so it is not repeated.
func testReset(t *testing.T, p *probe) {
	p.accepted(t, p.push())
	requests := p.Requests()
	p.Faults.Script(fake.Fault{Kind: fake.Reset})
	n := p.push()
	res, err := p.send(within(t), n)
	p.unknown(t, res, err)
	if asked := p.Requests() - requests; asked != 1 || len(p.Seen(n.Token)) != 0 {
		t.Errorf("%d requests, want 1", asked)
	}
	p.Faults.Clear()
	p.accepted(t, n)
}

func testCancelledUnderWay(t *testing.T, p *probe) {
	p.accepted(t, p.push())
	p.Faults.Script(fake.Fault{Kind: fake.Hang})
	ctx, cancel := context.WithCancel(t.Context())
	time.AfterFunc(time.Second, cancel)
	begun := time.Now()
	res, err := p.send(ctx, p.push())
	p.unknown(t, res, err)
	if !errors.Is(err, context.Canceled) || time.Since(begun) != time.Second {
		t.Errorf("after %v: %v", time.Since(begun), err)
	}
	p.Faults.Clear()
	p.accepted(t, p.push())
}

// testThousand: a thousand senders at one time reach a thousand tokens, each
// once and with its own text.
func testThousand(t *testing.T, p *probe) {
	p.SetRate(0)
	pushes := p.pushes(1000)
	for i, n := range pushes {
		n.Title = fmt.Sprintf("to number %d", i)
	}
	p.allAccepted(t, pushes)
	for i, n := range pushes {
		if got := p.Seen(n.Token)[0]; got.Title != n.Title || got.Data["m"] != n.Data["m"] {
			t.Fatalf("number %d got the push of another: %q", i, got.Title)
		}
	}
}

func testColdStart(t *testing.T, p *probe) {
	p.Faults.Script(fake.Fault{Delay: 20 * time.Millisecond})
	pushes := p.pushes(8 * p.Sender.MaxInFlight())
	p.allAccepted(t, pushes)
	if p.Requests() != len(pushes) {
		t.Errorf("%d requests for %d pushes", p.Requests(), len(pushes))
	}
}

func testBound(t *testing.T, p *probe) {
	p.accepted(t, p.push())
	p.Faults.Script(fake.Fault{Delay: time.Second})
	most := p.Sender.MaxInFlight()
	begun := time.Now()
	_, errs := p.sendAll(within(t), p.pushes(4*most))
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	// A connection's first push may go alone.
	if took := time.Since(begun); took > 6*time.Second {
		t.Errorf("4 rounds of 1 s took %v", took)
	}
	if p.Peak() != most {
		t.Errorf("%d pushes were in flight at most, want %d", p.Peak(), most)
	}
}

func testClose(t *testing.T, p *probe) {
	p.accepted(t, p.push())
	p.Faults.Script(fake.Fault{Kind: fake.Hang})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		_, errs := p.sendAll(t.Context(), p.pushes(2*p.Sender.MaxInFlight()))
		for i, err := range errs {
			if err == nil {
				t.Errorf("push %d under way did not fail", i)
			}
		}
	}()
	synctest.Wait()
	p.Sender.Close()
	<-ended
	res, err := p.send(t.Context(), p.push())
	p.unknown(t, res, err)
	p.Sender.Close()
}
