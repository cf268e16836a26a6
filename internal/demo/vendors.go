package demo

import (
	"crypto/tls"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/vendors/fake"
)

// What the credentials say.
const (
	bundleID  = "im.rouse.demo"
	firstPage = bundleID + ".MainActivity"
	secret    = "demo-secret"
)

// keptPerDevice is more pushes than any device gets in the day: the fakes then
// notice every message that comes twice under different ids.
const keptPerDevice = 4096

// unhurried is a vendor's limit per second, minute or day that nothing reaches:
// a day goes by in seconds here, and so would its quotas.
const unhurried = 1 << 30

// Pushed is one push that a fake took.
type Pushed struct {
	Vendor             string // as in faults, "apns"
	Token, ID, Message string
	Badge              int  // what the push sets; negative = nothing
	Silent             bool // nothing that the system shows by itself
	// Raw is the body of the request that brought it, with those for all its tokens.
	Raw []byte
}

// VendorsOptions configures the fakes.
type VendorsOptions struct {
	// Only names the vendors that are opened; none = all.
	Only []string
	// Listen is the loopback address of the first fake; the others take the
	// ports after it. Port 0 and empty = free ports.
	Listen string
	// Open makes the listener of a fake in place of Listen, and says its address
	// and for which host its certificate is; nil = loopback.
	Open func(vendor string) (l net.Listener, address string, err error)
	// Pushed is called for each push taken; it must not block. nil = nobody.
	Pushed func(Pushed)
	// Receipts carries what the fakes report of pushes; nil = they report nothing.
	Receipts http.RoundTripper
	// Keep is how many pushes are remembered for Control; 0 = none.
	Keep int
}

// Vendors are fakes of all vendors on loopback, over TLS of one authority.
type Vendors struct {
	// CAPEM is the authority's certificate.
	CAPEM []byte

	ca       *fake.CA
	log      pushLog
	stations []*station
	served   chan error
}

// hosts are what the fakes' certificate is for.
var hosts = []string{"127.0.0.1", "localhost"}

// station is one fake, and what differs between vendors.
type station struct {
	vendor string // as in faults
	url    string

	script *fake.Faults
	faults map[string]fault
	expire func() // ends all access tokens; nil = the vendor has none
	dead   func(token string)
	// icon is the number on the icon of the token's app; nil = the vendor does
	// not let a push set it.
	icon func(token string) (number int, known bool)

	receipts *fake.Receipts // nil = the vendor sends none
	// enter puts the address of receipts into the vendor's console, before the
	// first push; nil = pushes carry it.
	enter func(url string)

	server server
	states states // of a token, without "dead"

	credentials func(*site) []*rousev1.Credential
}

// server is what all fakes can do.
type server interface {
	Serve(l net.Listener) error
	Close() error
	SetRate(perSecond int)
	SetCert(cert tls.Certificate)
}

// states put a token into a state, by its name.
type states map[string]func(token string)

// fault makes a failure; wait is what the vendor asks for in seconds, or empty.
type fault = func(wait string) fake.Fault

// site is where a credential sends to, and whom it trusts.
type site struct{ url, ca string }

// rig is what all fakes get.
type rig struct {
	cert     tls.Certificate
	told     func(Pushed)
	receipts fake.ReceiptOptions
}

// openers has the vendors in the order of their ports.
func openers() []func(rig) (*station, error) {
	return []func(rig) (*station, error){openAPNs, openFCM, openHuawei, openHarmony, openHonor, openXiaomi, openOPPO, openVivo, openMeizu}
}

// StartVendors opens all fakes; Close ends them.
func StartVendors(o VendorsOptions) (*Vendors, error) {
	ca, err := fake.NewCA()
	if err != nil {
		return nil, err
	}
	cert, err := ca.Server(slices.AppendSeq(slices.Clone(hosts), maps.Keys(names))...)
	if err != nil {
		return nil, err
	}
	if o.Pushed == nil {
		o.Pushed = func(Pushed) {}
	}
	host, port, err := loopback(o.Listen)
	if err != nil {
		return nil, err
	}
	v := &Vendors{CAPEM: ca.PEM(), ca: ca, log: pushLog{keep: o.Keep}, served: make(chan error, len(openers()))}
	told := func(p Pushed) {
		v.log.add(p, time.Now())
		o.Pushed(p)
	}
	r := rig{cert, told, fake.ReceiptOptions{Transport: o.Receipts, Delay: reportDelay}}
	for i, open := range openers() {
		listen := o.Open
		if listen == nil {
			listen = onLoopback(host, port, i)
		}
		if err := v.start(o.Only, open, r, listen); err != nil {
			v.Close()
			return nil, err
		}
	}
	return v, nil
}

// onLoopback listens at the i-th port from one on; 0 = a free one.
func onLoopback(host string, port, i int) func(string) (net.Listener, string, error) {
	if port != 0 {
		port += i
	}
	return func(string) (net.Listener, string, error) {
		l, err := fake.Listen(net.JoinHostPort(host, strconv.Itoa(port)))
		if err != nil {
			return nil, "", err
		}
		return l, l.Addr().String(), nil
	}
}

func (v *Vendors) start(only []string, open func(rig) (*station, error), r rig, listen func(string) (net.Listener, string, error)) error {
	s, err := open(r)
	if err != nil {
		return err
	}
	if len(only) > 0 && !slices.Contains(only, s.vendor) {
		return s.server.Close()
	}
	l, address, err := listen(s.vendor)
	if err != nil {
		return errors.Join(fmt.Errorf("fake %s: %w", Name(s.vendor), err), s.server.Close())
	}
	s.url = "https://" + address
	v.stations = append(v.stations, s)
	go func() { v.served <- s.server.Serve(l) }()
	return nil
}

// loopback reads host and port of an address; empty = a free port.
func loopback(address string) (host string, port int, err error) {
	if address == "" {
		address = "127.0.0.1:0"
	}
	host, text, err := net.SplitHostPort(address)
	port, fault := strconv.Atoi(text)
	if ip := net.ParseIP(host); err != nil || fault != nil || ip == nil || !ip.IsLoopback() {
		return "", 0, fmt.Errorf("%q is no loopback address; write one like 127.0.0.1:7710", address)
	}
	return host, port, nil
}

// Failed tells when a fake has ended, with an error or by Close.
func (v *Vendors) Failed() <-chan error { return v.served }

// Close ends all fakes.
func (v *Vendors) Close() {
	for _, s := range v.stations {
		_ = s.server.Close()
	}
}

// Credentials reach the fakes; there are two of APNs, for alerts and calls.
func (v *Vendors) Credentials() []*rousev1.Credential {
	var all []*rousev1.Credential
	for _, s := range v.stations {
		all = append(all, s.credentials(&site{s.url, string(v.CAPEM)})...)
	}
	return all
}

// Served is the address of one fake.
type Served struct{ Name, URL string }

// Served lists the fakes.
func (v *Vendors) Served() []Served {
	var all []Served
	for _, s := range v.stations {
		all = append(all, Served{Name(s.vendor), s.url})
	}
	return all
}

// Addresses are those of the fakes, host:port.
func (v *Vendors) Addresses() []string {
	var all []string
	for _, s := range v.stations {
		all = append(all, strings.TrimPrefix(s.url, "https://"))
	}
	return all
}

// Kill makes a vendor forget a token.
func (v *Vendors) Kill(vendor, token string) error {
	s, err := v.station(vendor)
	if err == nil {
		s.dead(token)
	}
	return err
}

// steadyRate of credentials whose vendor throttles in the day: with a stated
// rate a throttling halves that rate, and not what was sent so far.
const steadyRate = 5000
