package bench

import (
	"errors"
	"net"
	"sync"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/vendors/fake"
)

const (
	huaweiApp, huaweiSecret = "100000001", "bench-secret"
	hms                     = "hms"
	// flowControl is Huawei's code for too many tokens in a second.
	flowControl = "80300020"
	// unlimited is more tokens per second than any machine sends.
	unlimited = 1 << 30
)

// huawei is the role of the fake Push Kit (HMS). It keeps counters only.
type huawei struct {
	process
	fake *fake.Huawei

	mu    sync.Mutex
	begun passage
}

// passage is what was taken since Begin.
type passage struct {
	first, last time.Time
	lead        string // id of the first request, which began before the first push
	led, pushes int    // pushes of it, and of all
	requests    int64  // before
}

// Start listens; beyond perSecond tokens it answers that it is too much.
func (h *huawei) Start(perSecond int, to *Vendor) error {
	ca, cert, err := authority()
	if err != nil {
		return err
	}
	l, err := fake.Listen("127.0.0.1:0")
	if err != nil {
		return err
	}
	h.fake = fake.NewHuawei(fake.HuaweiOptions{
		Cert: cert, AnyDevice: true, MaxDevices: 1, KeepPerDevice: 1, PerSecond: perSecond,
		OnPush: h.taken,
	})
	h.fake.AddApp(huaweiApp, huaweiSecret)
	go h.serve(l)
	*to = Vendor{URL: fake.URL(l), CA: ca.PEM()}
	return nil
}

// serve ends with the fake: pushes that are not answered say the rest.
func (h *huawei) serve(l net.Listener) { _ = h.fake.Serve(l) }

// Delay makes every answer as late as given.
func (h *huawei) Delay(d time.Duration, _ *Nothing) error {
	h.fake.Faults.Clear()
	if d > 0 {
		h.fake.Faults.Script(fake.Fault{Kind: fake.Slow, Delay: d})
	}
	return nil
}

// Stats answers the counts so far.
func (h *huawei) Stats(_ Nothing, s *fake.HuaweiStats) error {
	*s = h.fake.Stats()
	return nil
}

func (h *huawei) taken(p fake.HuaweiPush) {
	h.mu.Lock()
	defer h.mu.Unlock()
	b := &h.begun
	if b.pushes == 0 {
		b.first, b.lead = p.At, p.RequestID
	}
	if p.RequestID == b.lead {
		b.led++
	}
	b.pushes++
	b.last = p.At
}

// Begin forgets the pushes before.
func (h *huawei) Begin(Nothing, *Nothing) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.begun = passage{requests: h.fake.Stats().Requests}
	return nil
}

// Reached is how pushes came.
type Reached struct {
	PerSecond  float64 // from the first to the last; those of the first request do not count
	PerRequest float64
}

// Reached answers when so many pushes have come since Begin.
func (h *huawei) Reached(pushes int, x *Reached) error {
	_, err := await(func() bool {
		h.mu.Lock()
		defer h.mu.Unlock()
		return h.begun.pushes >= pushes
	})
	h.mu.Lock()
	defer h.mu.Unlock()
	b := &h.begun
	x.PerSecond = float64(b.pushes-b.led) / max(b.last.Sub(b.first), time.Millisecond).Seconds()
	x.PerRequest = float64(b.pushes) / float64(max(1, h.fake.Stats().Requests-b.requests))
	return err
}

func (h *huawei) close() error {
	if h.fake == nil {
		return nil
	}
	return errors.Join(h.fake.Close(), h.closeProfile())
}

// hmsCredential is the way to the fake; perSecond 0 = the
// vendor's documented rate.
func hmsCredential(v *Vendor, coalesce bool, perSecond int) *rousev1.Credential {
	return &rousev1.Credential{
		Name: hms, Coalesce: coalesce, RatePerSecond: uint32(perSecond),
		Vendor: &rousev1.Credential_Huawei{Huawei: &rousev1.HuaweiCredential{
			AppId: huaweiApp, AppSecret: huaweiSecret, Endpoint: v.URL, AuthEndpoint: v.URL, CaPem: string(v.CA),
		}},
	}
}
