package vendortest

import (
	"fmt"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/fake"
)

// code scripts one result code and checks its outcome.
func (p *probe) code(t *testing.T, c Code) {
	t.Helper()
	p.accepted(t, p.push()) // no doubt about the credential
	p.Faults.Script(c.Fault)
	res, err := p.send(t.Context(), p.push())
	if err != nil || res.Outcome != c.Want {
		t.Fatalf("got %+v, %v; want %s", res, err, c.Want)
	}
	shown := c.Shown
	if shown == "" && c.Want != vendors.Accepted {
		shown = c.Name
	}
	if res.Code != shown && c.Want != vendors.Accepted {
		t.Errorf("the code is %q, want %q", res.Code, shown)
	}
	if res.RetryAfter < 0 || res.RetryAfter > 24*time.Hour {
		t.Errorf("a pause of %v", res.RetryAfter)
	}
}

// deepJSON is nested beyond what a decoder should follow.
var deepJSON = strings.Repeat(`{"data":[`, 20_000)

// noSense scripts an answer that says nothing of the push: the push is to be
// repeated, the token stays, the vendor is asked no more than twice.
func noSense(f fake.Fault) func(*testing.T, *probe) {
	return func(t *testing.T, p *probe) {
		p.accepted(t, p.push())
		requests := p.Requests()
		p.Faults.Script(f)
		n := p.push()
		res, err := p.send(t.Context(), n)
		if err != nil || res.Outcome != vendors.Transient || len(res.Code) > 64 {
			t.Errorf("got %+v, %v; want transient", res, err)
		}
		if got := p.Requests() - requests; got != 1 {
			t.Errorf("%d requests, want 1", got)
		}
		p.Faults.Clear()
		p.accepted(t, n)
	}
}

// testHugeBody: no more is read than a vendor ever says.
func testHugeBody(t *testing.T, p *probe) {
	p.accepted(t, p.push())
	p.Faults.Script(fake.Huge(200))
	n := p.push()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	res, err := p.send(within(t), n)
	runtime.ReadMemStats(&after)
	if err == nil && (res.Outcome != vendors.Transient || len(res.Code) > 64) {
		t.Errorf("got %+v; want transient", res)
	}
	// One copy of the body is the fake's.
	if got := after.TotalAlloc - before.TotalAlloc; got > 2*fake.HugeBytes {
		t.Errorf("%d MiB of memory for one answer", got>>20)
	}
	p.Faults.Clear()
	p.accepted(t, n)
}

// testEcho: what comes back from the vendor is not handed on unseen.
func testEcho(t *testing.T, p *probe) {
	p.accepted(t, p.push())
	n := p.push()
	for _, format := range []string{
		`{"reason":%[1]q,"code":%[1]q,"result":%[1]q,"msg":%[1]q,"message":%[1]q,"desc":%[1]q,"requestId":%[1]q}`,
		`{"error":{"code":400,"status":%[1]q,"message":%[1]q,"details":[{"errorCode":%[1]q}]},"code":%[1]q}`,
		`%[1]s`,
	} {
		said := n.Token + " " + canaryTitle + " " + canaryBody + " " + canaryData
		p.Faults.Script(fake.Fault{Kind: fake.Answer, Status: 400, Body: fmt.Sprintf(format, said)})
		res, err := p.send(t.Context(), n)
		if err != nil || res.Outcome != vendors.Transient && res.Outcome != vendors.Rejected {
			t.Errorf("got %v, %v", res.Outcome, err)
		}
		p.Faults.Clear()
	}
	p.accepted(t, n)
}

func tooMany(header string) fake.Fault {
	f := fake.HTML(http.StatusTooManyRequests)
	if header != "" {
		f.Header["retry-after"] = header
	}
	return f
}

// testPause: seconds is the pause that must come out; 0 = any that makes sense.
func testPause(header string, seconds int) func(*testing.T, *probe) {
	return func(t *testing.T, p *probe) { p.pause(t, header, time.Duration(seconds)*time.Second) }
}

func testPauseUntil(t *testing.T, p *probe) {
	p.pause(t, time.Now().Add(2*time.Minute).UTC().Format(http.TimeFormat), 2*time.Minute)
}

func (p *probe) pause(t *testing.T, header string, want time.Duration) {
	t.Helper()
	p.accepted(t, p.push())
	p.Faults.Script(tooMany(header))
	n := p.push()
	res, err := p.send(t.Context(), n)
	if err != nil || res.Outcome != vendors.Throttled {
		t.Fatalf("got %+v, %v; want throttled", res, err)
	}
	if want > 0 && res.RetryAfter != want || res.RetryAfter < 0 || res.RetryAfter > 24*time.Hour {
		t.Errorf("a pause of %v, want %v", res.RetryAfter, want)
	}
	p.Faults.Clear()
	p.accepted(t, n)
}

// testBurst: every Send asks once and tells what it heard.
func testBurst(t *testing.T, p *probe) {
	p.accepted(t, p.push())
	burst := p.h.Answers[Unavailable].Fault
	burst.Times = 5
	p.Faults.Script(burst)
	requests := p.Requests()
	n := p.push()
	for i := range burst.Times {
		res, err := p.send(t.Context(), n)
		if err != nil || res.Outcome != p.h.Answers[Unavailable].Want.Outcome {
			t.Errorf("try %d: %+v, %v", i, res, err)
		}
	}
	p.accepted(t, n)
	if got := p.Requests() - requests; got != burst.Times+1 {
		t.Errorf("%d requests for %d sends", got, burst.Times+1)
	}
}

// testRate: beyond its rate a vendor throttles, which drops nothing, and ends.
func testRate(t *testing.T, p *probe) {
	p.SetRate(0)
	p.accepted(t, p.push())
	p.SetRate(1)
	n := p.push()
	throttled := 0
	for range 100 { // FCM counts by the minute
		res, err := p.send(t.Context(), n)
		switch {
		case err != nil || res.Outcome != vendors.Accepted && res.Outcome != vendors.Throttled:
			t.Fatalf("got %+v, %v", res, err)
		case res.Outcome == vendors.Throttled:
			throttled++
		}
	}
	if took := len(p.Seen(n.Token)); throttled == 0 || took > 60 || took == 0 {
		t.Errorf("%d throttled and %d taken of 100 at 1 per second", throttled, took)
	}
	<-time.After(time.Minute)
	p.accepted(t, p.push())
}

// testSlowBody: an answer that takes its time is an answer.
func testSlowBody(t *testing.T, p *probe) {
	p.accepted(t, p.push())
	want := p.h.Answers[BadRequest]
	f := want.Fault
	f.Kind, f.Delay = fake.Drip, 20*time.Millisecond
	p.Faults.Script(f)
	begun := time.Now()
	res, err := p.send(t.Context(), p.push())
	if err != nil || res.Outcome != want.Want.Outcome || res.Code != want.Want.Code {
		t.Errorf("got %+v, %v; want %+v", res, err, want.Want)
	}
	if took := time.Since(begun); took != time.Duration(len(f.Body))*f.Delay {
		t.Errorf("took %v", took)
	}
	p.Faults.Clear()
	p.accepted(t, p.push())
}

// testEndlessBody: a body does not prolong the deadline.
func testEndlessBody(t *testing.T, p *probe) {
	p.accepted(t, p.push())
	p.Faults.Script(fake.Fault{
		Kind: fake.Drip, Delay: time.Second, Status: 200, Body: `{"message":"` + strings.Repeat("z", 10_000),
		Header: map[string]string{"content-type": "application/json"},
	})
	begun := time.Now()
	res, err := p.send(within(t), p.push())
	p.unknown(t, res, err)
	if took := time.Since(begun); took != patience {
		t.Errorf("took %v, want %v", took, patience)
	}
	p.Faults.Clear()
	p.accepted(t, p.push())
}
