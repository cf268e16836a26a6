package demo

import (
	"cmp"
	"crypto/tls"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/rouse-im/rouse/vendors/fake"
)

const (
	// maxBodyShown bounds what is kept of a request, in bytes.
	maxBodyShown = 8 << 10
	// maxDevices bounds the devices remembered; further ones are not listed.
	maxDevices = 10_000
)

// pushLog remembers the newest pushes of all fakes, and their devices.
type pushLog struct {
	keep int // pushes; 0 = nothing is remembered

	mu     sync.Mutex
	last   int64 // number of the newest push
	pushes []pushView
	seen   map[deviceKey]*deviceView
	counts map[string]int64
}

// pushView is one push that a fake took.
type pushView struct {
	Number  int64     `json:"number"` // counts all pushes from 1 on
	At      time.Time `json:"at"`
	Vendor  string    `json:"vendor"`
	Token   string    `json:"token"`
	PushID  string    `json:"push_id"`
	Message string    `json:"message,omitempty"`
	Badge   *int      `json:"badge,omitempty"`
	// Body is of the request, at most maxBodyShown of it.
	Body string `json:"body"`
}

type deviceKey struct{ vendor, token string }

type deviceView struct {
	Vendor string `json:"vendor"`
	Token  string `json:"token"`
	Pushes int64  `json:"pushes"`
	State  string `json:"state"`
}

func (l *pushLog) add(p Pushed, now time.Time) {
	if l.keep == 0 {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.last++
	view := pushView{
		Number: l.last, At: now, Vendor: p.Vendor, Token: p.Token, PushID: p.ID, Message: p.Message,
		Body: string(p.Raw[:min(len(p.Raw), maxBodyShown)]),
	}
	if p.Badge >= 0 {
		view.Badge = &p.Badge
	}
	if len(l.pushes) >= l.keep {
		l.pushes = slices.Delete(l.pushes, 0, len(l.pushes)-l.keep+1)
	}
	l.pushes = append(l.pushes, view)
	if l.counts == nil {
		l.counts = map[string]int64{}
	}
	l.counts[p.Vendor]++
	if d := l.device(p.Vendor, p.Token); d != nil {
		d.Pushes++
	}
}

// put notes the state that a token was put into.
func (l *pushLog) put(vendor, token, state string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if d := l.device(vendor, token); d != nil {
		d.State = state
	}
}

// device returns nil when there are too many. It needs mu.
func (l *pushLog) device(vendor, token string) *deviceView {
	key := deviceKey{vendor, token}
	d := l.seen[key]
	if d == nil && len(l.seen) < maxDevices {
		if l.seen == nil {
			l.seen = map[deviceKey]*deviceView{}
		}
		d = &deviceView{Vendor: vendor, Token: token, State: "live"}
		l.seen[key] = d
	}
	return d
}

// since lists pushes with greater numbers, oldest first, at most maxListed.
func (l *pushLog) since(number int64, vendor, token string) []pushView {
	l.mu.Lock()
	defer l.mu.Unlock()
	found := []pushView{}
	for _, p := range l.pushes {
		if p.Number > number && (vendor == "" || p.Vendor == vendor) && (token == "" || p.Token == token) && len(found) < maxListed {
			found = append(found, p)
		}
	}
	return found
}

// devices lists them by vendor and token, at most maxListed.
func (l *pushLog) devices(vendor string) []deviceView {
	l.mu.Lock()
	defer l.mu.Unlock()
	found := []deviceView{}
	for _, d := range l.seen {
		if vendor == "" || d.Vendor == vendor {
			found = append(found, *d)
		}
	}
	slices.SortFunc(found, func(a, b deviceView) int {
		return cmp.Or(cmp.Compare(a.Vendor, b.Vendor), cmp.Compare(a.Token, b.Token))
	})
	return found[:min(len(found), maxListed)]
}

func (l *pushLog) count(vendor string) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.counts[vendor]
}

// clear forgets the pushes; numbers go on, and devices stay.
func (l *pushLog) clear() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.pushes = nil
}

// certificate makes one of a kind: good, or bad in one of three ways.
func (v *Vendors) certificate(kind string) (tls.Certificate, error) {
	switch kind {
	case "good":
		return v.ca.Server(hosts...)
	case "wrong-host":
		return v.ca.Server("elsewhere.test")
	case "expired":
		return v.ca.Expired(hosts...)
	case "unknown":
		other, err := fake.NewCA()
		if err != nil {
			return tls.Certificate{}, err
		}
		return other.Server(hosts...)
	}
	return tls.Certificate{}, fmt.Errorf("there is no kind of certificate %q; known are good, wrong-host, expired, unknown", kind)
}
