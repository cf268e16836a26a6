package demo

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/rouse-im/rouse/vendors/fake"
)

// Failures that a vendor can be made to have.
const (
	Throttle   = "429"        // the whole account is asked to wait, in the vendor's own way
	HotDevice  = "429-device" // one device gets too much
	Down       = "500"
	Rejected   = "rejected" // says that the contents are wrong; APNs, FCM and Xiaomi
	Unanswered = "cut"      // takes the push, and closes the connection instead of answering
	Silent     = "hang"     // does not take the push and never answers
	Expired    = "expired"  // all access tokens given so far end, once
)

// Disturbance is a failure of a vendor.
type Disturbance struct {
	Vendor, Fault string
	// Times is the number of pushes to hit; 0 = until Heal. Expired has none.
	Times int
	// RetryAfter is what the vendor asks for, in whole seconds; 0 = it does not say.
	RetryAfter time.Duration
	// Delay comes before the failure; between bytes with Drip.
	Delay time.Duration
	// Tokens limits it to pushes to these; none = all.
	Tokens []string
}

// anybodys are failures that every vendor can have, beside its own.
var anybodys = map[string]fake.Fault{
	Unanswered:  {Kind: fake.Cut},
	Silent:      {Kind: fake.Hang},
	"abort":     {Kind: fake.Abort}, // takes the push, and breaks off in its answer
	"reset":     {Kind: fake.Reset},
	"refuse":    {Kind: fake.Refuse},
	"goaway":    {Kind: fake.Goaway, Body: `{"reason":"Shutdown"}`},
	"freeze":    {Kind: fake.Freeze},
	"slow":      {Kind: fake.Slow},
	"half-json": fake.HalfJSON(200),
	"gbk":       fake.GBK(200), // says UTF-8
	"page":      fake.HTML(503),
	"huge":      fake.Huge(200), // 10 MiB
	"drip":      {Kind: fake.Drip, Status: 200, Body: `{"message":"a body that comes byte by byte"}`},
}

// Disturb makes a vendor fail.
func (v *Vendors) Disturb(d Disturbance) error {
	s, err := v.station(d.Vendor)
	if err != nil {
		return err
	}
	wait := ""
	if d.RetryAfter >= time.Second {
		wait = fmt.Sprint(int(d.RetryAfter / time.Second))
	}
	var f fake.Fault
	switch own, ok := s.faults[d.Fault]; {
	case d.Fault == Expired && s.expire != nil:
		s.expire()
		return nil
	case ok:
		f = own(wait)
	default:
		f, ok = anybodys[d.Fault]
		if ok {
			break
		}
		return fmt.Errorf("%s has no fault %q; known are %s", d.Vendor, d.Fault, strings.Join(s.known(), ", "))
	}
	f.Times, f.Delay, f.Tokens = d.Times, d.Delay, d.Tokens
	s.script.Script(f)
	return nil
}

// known lists the faults of a vendor.
func (s *station) known() []string {
	all := append(slices.Sorted(maps.Keys(s.faults)), slices.Sorted(maps.Keys(anybodys))...)
	if s.expire != nil {
		all = append(all, Expired)
	}
	return all
}

// asking is a refusal that says in a header how long to wait.
func asking(f fake.Fault) fault {
	return func(wait string) fake.Fault {
		if wait != "" {
			f.Header = maps.Clone(f.Header)
			f.Header["retry-after"] = wait
		}
		return f
	}
}

// Delay makes all vendors answer so much later. It is the last of what is
// scripted: pushes that a fault hits are not delayed.
func (v *Vendors) Delay(latency time.Duration) {
	for _, s := range v.stations {
		s.script.Script(fake.Fault{Kind: fake.Slow, Delay: latency})
	}
}

// Heal ends all failures of a vendor.
func (v *Vendors) Heal(vendor string) error {
	s, err := v.station(vendor)
	if err == nil {
		s.script.Clear()
	}
	return err
}

func (v *Vendors) station(vendor string) (*station, error) {
	var known []string
	for _, s := range v.stations {
		if s.vendor == vendor {
			return s, nil
		}
		known = append(known, s.vendor)
	}
	return nil, fmt.Errorf("there is no vendor %q; known are %s", vendor, strings.Join(known, ", "))
}
