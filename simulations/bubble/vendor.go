package bubble

import (
	"context"
	"net"
	"sync"
	"time"

	"github.com/rouse-im/rouse/internal/demo"
	"github.com/rouse-im/rouse/simulations"
	"github.com/rouse-im/rouse/simulations/checker"
	"github.com/rouse-im/rouse/vendors"
)

// outside are the vendors, on hosts of the network, and what nodes saw of them.
type outside struct {
	e     *Engine
	fakes *demo.Vendors
	kinds map[simulations.FaultKind]string

	mu     sync.Mutex
	pushes []checker.Push
	// receivers of pushes, by push id, where they are told of: outcomes of erased users
	// are gone at the end.
	receivers map[string]string
	taken     map[[2]string]int // by push id and token, how often a vendor took it
}

func openVendors(e *Engine) (*outside, error) {
	v := &outside{e: e, taken: map[[2]string]int{}, receivers: map[string]string{}, kinds: map[simulations.FaultKind]string{
		simulations.VendorDown: demo.Down, simulations.VendorThrottle: demo.Throttle, simulations.VendorSlow: "slow",
		simulations.VendorCut: demo.Unanswered, simulations.VendorHang: demo.Silent, simulations.VendorExpire: demo.Expired,
		simulations.VendorRefuse: demo.Rejected,
	}}
	var err error
	v.fakes, err = demo.StartVendors(demo.VendorsOptions{
		Only:   e.o.Vendors,
		Pushed: v.pushed,
		Open: func(vendor string) (net.Listener, string, error) {
			l, err := e.net.Host(vendor).Listen(":443")
			return l, vendor + ":443", err
		},
	})
	return v, err
}

// pushed is a push that a vendor took, whether its answer arrives or not.
func (v *outside) pushed(p demo.Pushed) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.taken[[2]string{p.ID, p.Token}]++
}

// watch writes down what a run of a node sends.
func (v *outside) watch(p *process, credential string, s vendors.Validator) vendors.Validator {
	w := &watcher{Validator: s, v: v, p: p, credential: credential}
	if b, ok := s.(vendors.BatchSender); ok {
		return &batchWatcher{watcher: w, batch: b}
	}
	return w
}

type watcher struct {
	vendors.Validator
	v          *outside
	p          *process
	credential string
}

// Send and write down.
func (w *watcher) Send(ctx context.Context, n *vendors.Notification) (vendors.Result, error) {
	at := time.Now()
	r, err := w.Validator.Send(ctx, w.timely(n))
	w.note(at, n, n.Token, r, err)
	return r, err
}

// timely has the push expire by the clock of the vendor's client, which is right.
func (w *watcher) timely(n *vendors.Notification) *vendors.Notification {
	if w.p.m.ahead.Load() == 0 {
		return n
	}
	m := *n
	m.Expires = time.Now().Add(n.Expires.Sub(w.p.m.now()))
	return &m
}

type batchWatcher struct {
	*watcher
	batch vendors.BatchSender
}

// MaxBatch of the sender.
func (w *batchWatcher) MaxBatch() int { return w.batch.MaxBatch() }

// Same as the sender says.
func (w *batchWatcher) Same(a, b *vendors.Notification) bool { return w.batch.Same(a, b) }

// SendBatch and write down. Of a batch the vendor learns one push id, that of
// the first: it is written down for all tokens.
func (w *batchWatcher) SendBatch(ctx context.Context, n *vendors.Notification, tokens []string) ([]vendors.Result, error) {
	at := time.Now()
	all, err := w.batch.SendBatch(ctx, w.timely(n), tokens)
	for i, token := range tokens {
		r := vendors.Result{}
		if i < len(all) {
			r = all[i]
		}
		w.note(at, n, token, r, err)
	}
	return all, err
}

func (w *watcher) note(at time.Time, n *vendors.Notification, token string, r vendors.Result, err error) {
	v := w.v
	p := checker.Push{
		App: appID, At: v.e.offset(at), Vendor: demo.VendorOf(w.credential), Notifier: w.credential, Token: token, PushID: n.PushID,
		Answer: answer(r, err), By: w.p.name, Answered: v.e.now(),
	}
	if n.Badge >= 0 {
		p.Badge = new(n.Badge) // a pointer into the notification would keep all of it
	}
	switch {
	case p.Answer == "throttled" && r.Outcome == vendors.Throttled:
		p.RetryAfter, p.Device = simulations.At(r.RetryAfter), r.Scope == vendors.ScopeDevice
	case p.Answer == "invalid-token" && !r.InvalidSince.IsZero():
		p.Since = v.e.offset(r.InvalidSince)
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.pushes = append(v.pushes, p)
	if to := n.Data["t"]; to != "" {
		v.receivers[p.PushID] = to
	}
}

func answer(r vendors.Result, err error) string {
	if err != nil {
		return "none"
	}
	switch r.Outcome {
	case vendors.Accepted, vendors.TokenReplaced:
		return "accepted"
	case vendors.TokenInvalid:
		return "invalid-token"
	case vendors.Throttled, vendors.QuotaExhausted:
		return "throttled"
	case vendors.Rejected, vendors.CredentialBad:
		return "rejected"
	case vendors.Transient:
	}
	return "error"
}

// fault begins, and ends after its time.
func (v *outside) fault(f *simulations.Fault) error {
	if !v.known(f.Vendor) {
		return nil
	}
	d := demo.Disturbance{Vendor: f.Vendor, Fault: v.kinds[f.Kind]}
	switch f.Kind {
	case simulations.VendorThrottle:
		d.RetryAfter = f.Delay.Duration()
	case simulations.VendorSlow:
		d.Delay = f.Delay.Duration()
	case simulations.VendorExpire:
		if err := v.fakes.Disturb(d); err != nil {
			return nil //nolint:nilerr // a vendor without access tokens
		}
		return nil
	}
	if err := v.fakes.Disturb(d); err != nil {
		if f.Kind == simulations.VendorThrottle {
			d.Fault = demo.HotDevice
			err = v.fakes.Disturb(d)
		}
		if err != nil {
			return err
		}
	}
	v.e.after(f.For, func() { _ = v.fakes.Heal(f.Vendor) })
	return nil
}

func (v *outside) known(vendor string) bool {
	for _, s := range v.fakes.Served() {
		if s.Name == demo.Name(vendor) {
			return true
		}
	}
	return false
}
