package fake

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"net"
	"sync"
	"time"
)

// APNs is Apple's provider API: HTTP/2 over TLS, one push per request, tokens
// checked in the order that Apple's answers suggest. Facts: "Sending
// notification requests to APNs", "Handling notification responses from APNs",
// "Establishing a token-based connection to APNs" (developer.apple.com, 2026-11).
type APNs struct {
	Faults Faults

	opts APNsOptions
	tls  *tls.Config
	cert certificate

	mu        sync.Mutex
	closed    bool
	listeners []net.Listener
	conns     map[*apnsConn]struct{}
	work      sync.WaitGroup

	auth    apnsAuth
	devices apnsDevices
	stats   apnsStats
}

// APNsOptions configures a fake. Only Cert is needed.
type APNsOptions struct {
	Cert tls.Certificate
	// ClientCAs signs the client certificates accepted instead of a provider
	// token; nil = tokens only.
	ClientCAs *x509.CertPool
	// Sandbox adds apns-unique-id to answers, as Apple's sandbox does.
	Sandbox bool
	// MaxStreams is the limit of concurrent streams of a connection once a
	// push was taken, default 1000. Before that it is 1 with provider tokens.
	MaxStreams uint32
	// AnyDevice registers unknown device tokens at their first push; otherwise
	// they are answered with BadDeviceToken.
	AnyDevice bool
	// Light keeps counters only: any hexadecimal token is live, payloads are
	// not parsed, and no OnPush is called. For benchmarks.
	Light bool
	// MaxDevices bounds the devices remembered, default 100,000. Pushes to
	// further ones are taken and counted, not recorded.
	MaxDevices int
	// KeepPerDevice bounds the pushes and message ids remembered for one
	// device, default 64; the oldest go first.
	KeepPerDevice int
	// OnPush is called for each push taken. It must not block and must not call
	// Goaway or Close.
	OnPush func(APNsPush)
}

// maxConns bounds the connections of one fake; further ones are closed at once.
const maxConns = 4096

// handshakeTimeout bounds TLS handshake and HTTP/2 preface.
const handshakeTimeout = 10 * time.Second

// NewAPNs makes a fake; Serve starts it.
func NewAPNs(o APNsOptions) *APNs {
	if o.MaxStreams == 0 {
		o.MaxStreams = 1000
	}
	if o.MaxDevices == 0 {
		o.MaxDevices = 100_000
	}
	if o.KeepPerDevice == 0 {
		o.KeepPerDevice = 64
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, NextProtos: []string{"h2"}}
	if o.ClientCAs != nil {
		config.ClientCAs, config.ClientAuth = o.ClientCAs, tls.VerifyClientCertIfGiven
	}
	a := &APNs{opts: o, tls: config, conns: map[*apnsConn]struct{}{}}
	a.cert.set(o.Cert)
	config.GetCertificate = a.cert.get
	a.devices.byToken = map[string]*apnsDevice{}
	a.auth.keys = map[string]apnsKey{}
	a.auth.bearers = map[string]*apnsBearer{}
	a.stats.reasons = map[string]int64{}
	return a
}

// Serve answers on l until Close, then returns nil.
func (a *APNs) Serve(l net.Listener) error {
	a.mu.Lock()
	if a.closed {
		a.mu.Unlock()
		return nil
	}
	a.listeners = append(a.listeners, l)
	a.mu.Unlock()
	for {
		conn, err := l.Accept()
		if err != nil {
			if errors.Is(err, net.ErrClosed) {
				return nil
			}
			return err
		}
		a.accept(conn)
	}
}

func (a *APNs) accept(raw net.Conn) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.closed || len(a.conns) >= maxConns {
		_ = raw.Close()
		return
	}
	c := newAPNsConn(a, raw)
	a.conns[c] = struct{}{}
	a.work.Go(func() {
		c.run()
		a.mu.Lock()
		defer a.mu.Unlock()
		delete(a.conns, c)
	})
}

// Close ends the listeners and all connections and waits for their goroutines.
func (a *APNs) Close() error {
	a.mu.Lock()
	a.closed = true
	for _, l := range a.listeners {
		_ = l.Close()
	}
	a.mu.Unlock()
	for _, c := range a.open() {
		c.close()
	}
	a.work.Wait()
	return nil
}

// Goaway says goodbye on all open connections with reason ("Shutdown",
// "IdleTimeout"): requests already read are answered, then they close.
func (a *APNs) Goaway(reason string) {
	for _, c := range a.open() {
		c.mu.Lock()
		c.goaway(c.lastRead, apnsReason(reason))
		c.mu.Unlock()
		c.wakeWriter()
	}
}

func (a *APNs) open() []*apnsConn {
	a.mu.Lock()
	defer a.mu.Unlock()
	all := make([]*apnsConn, 0, len(a.conns))
	for c := range a.conns {
		all = append(all, c)
	}
	return all
}

// Reason is the fault that answers with an APNs error, such as 429 TooManyRequests.
func Reason(status int, reason string) Fault {
	return Fault{
		Kind: Answer, Status: status,
		Header: map[string]string{"content-type": "application/json"},
		Body:   apnsReason(reason),
	}
}

func apnsReason(reason string) string { return `{"reason":"` + reason + `"}` }
