package vendortest

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rouse-im/rouse/vendors"
)

// Canaries are in every push and must not come back in errors or results.
const (
	canaryTitle = "canary-title-7f3a"
	canaryBody  = "canary-body-9c1e"
	canaryData  = "canary-data-52d0"
)

// probe sends through a rig and keeps all that came back.
type probe struct {
	*Rig
	h *Harness

	mu     sync.Mutex
	tokens []string
	heard  []string
	serial int
}

func start(t *testing.T, h *Harness) *probe {
	t.Helper()
	return &probe{Rig: h.Start(t), h: h}
}

// push makes a notification to a new token; each has its own push id.
func (p *probe) push() *vendors.Notification {
	token := p.NewToken()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.tokens = append(p.tokens, token)
	p.serial++
	return &vendors.Notification{
		PushID:  fmt.Sprintf("5b0c7d1e-32aa-4f10-8c55-%012x", p.serial),
		Token:   token,
		Channel: vendors.ChannelAlert,
		Class:   vendors.ClassIM,
		Title:   canaryTitle,
		Body:    canaryBody,
		Badge:   -1,
		Data:    map[string]string{"m": fmt.Sprintf("%s-%d", canaryData, p.serial)},
		Expires: time.Now().Add(time.Hour),
	}
}

// send records the answer for checkCanaries.
func (p *probe) send(ctx context.Context, n *vendors.Notification) (vendors.Result, error) {
	res, err := p.Sender.Send(ctx, n)
	p.hear(fmt.Sprintf("%+v", res), err)
	return res, err
}

func (p *probe) hear(results string, err error) {
	heard := []string{results}
	for e := err; e != nil; e = errors.Unwrap(e) {
		heard = append(heard, fmt.Sprintf("%s\n%+v\n%#v", e, e, e))
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.heard = append(p.heard, heard...)
}

// sendAll sends concurrently and returns what came back, in order.
func (p *probe) sendAll(ctx context.Context, pushes []*vendors.Notification) ([]vendors.Result, []error) {
	results, errs := make([]vendors.Result, len(pushes)), make([]error, len(pushes))
	var wg sync.WaitGroup
	for i, n := range pushes {
		wg.Go(func() { results[i], errs[i] = p.send(ctx, n) })
	}
	wg.Wait()
	return results, errs
}

func (p *probe) pushes(count int) []*vendors.Notification {
	all := make([]*vendors.Notification, count)
	for i := range all {
		all[i] = p.push()
	}
	return all
}

// accepted sends n and returns it as the vendor saw it.
func (p *probe) accepted(t *testing.T, n *vendors.Notification) Push {
	t.Helper()
	before := len(p.Seen(n.Token))
	res, err := p.send(t.Context(), n)
	if err != nil || res.Outcome != vendors.Accepted {
		t.Fatalf("send: got %+v, %v; want accepted", res, err)
	}
	seen := p.Seen(n.Token)
	if len(seen) != before+1 {
		t.Fatalf("the vendor took %d pushes, want 1", len(seen)-before)
	}
	return seen[before]
}

// allAccepted sends all at one time; each is taken once.
func (p *probe) allAccepted(t *testing.T, pushes []*vendors.Notification) {
	t.Helper()
	results, errs := p.sendAll(within(t), pushes)
	for i, n := range pushes {
		if took := len(p.Seen(n.Token)); errs[i] != nil || results[i].Outcome != vendors.Accepted || took != 1 {
			t.Fatalf("push %d: %+v, %v, and the vendor took %d", i, results[i], errs[i], took)
		}
	}
}

// answer scripts one vendor answer and checks what Send makes of it, and that
// the sender works again afterwards.
func (p *probe) answer(t *testing.T, a Answer) {
	t.Helper()
	p.accepted(t, p.push())
	requests := p.Requests()
	p.Faults.Script(a.Fault)
	n := p.push()
	res, err := p.send(t.Context(), n)
	if err != nil {
		t.Fatalf("send: %v; an answer is never an error", err)
	}
	if diff := cmp.Diff(a.Want, res, cmpopts.IgnoreFields(vendors.Result{}, "VendorID")); diff != "" {
		t.Errorf("result (-want +got):\n%s", diff)
	}
	if got := p.Requests() - requests; got != max(a.Requests, 1) {
		t.Errorf("%d requests, want %d", got, max(a.Requests, 1))
	}
	if len(res.Code) > 64 || len(res.VendorID) > 128 {
		t.Errorf("code of %d and vendor id of %d bytes exceed 64 and 128", len(res.Code), len(res.VendorID))
	}
	p.Faults.Clear()
	p.accepted(t, p.push())
}

// checkCanaries fails when a secret, a token or a text came back.
func (p *probe) checkCanaries(t *testing.T) {
	t.Helper()
	p.mu.Lock()
	defer p.mu.Unlock()
	heard := strings.ToLower(strings.Join(p.heard, "\n"))
	names := map[string]string{"the title": canaryTitle, "the body": canaryBody, "the data": canaryData}
	for i, token := range p.tokens {
		names[fmt.Sprintf("token %d", i)] = token
	}
	for i, secret := range p.Secrets {
		names[fmt.Sprintf("secret %d", i)] = secret
	}
	for name, canary := range names {
		if strings.Contains(heard, strings.ToLower(canary)) {
			t.Errorf("%s shows in a result or an error", name)
		}
	}
}
