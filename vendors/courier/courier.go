// Package courier posts requests to a vendor's HTTP API: one request for each
// call, never repeated by itself, on few connections, with bounded answers.
package courier

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/rouse-im/rouse/vendors/reply"
)

const (
	// maxAnswer bounds an answer in bytes; what is longer is cut off.
	maxAnswer = 64 << 10
	maxCA     = 64 << 10
	// perConnection is how many requests share one HTTP/2 connection.
	perConnection = 100

	defaultInFlight = 128
	maxInFlight     = 1000

	dialTimeout      = 10 * time.Second
	writeByteTimeout = 10 * time.Second
	pingAfter        = 15 * time.Second
	pingTimeout      = 10 * time.Second
	idleTimeout      = 5 * time.Minute
)

// ErrClosed is what Post returns after Close.
var ErrClosed = errors.New("courier: closed")

// Options of a Client. Zero fields take the defaults named beside them.
type Options struct {
	// CAPEM holds roots trusted in addition to the system's, at most 64 KiB.
	CAPEM []byte
	// MaxInFlight bounds the requests under way, 1..1000; 0 = 128.
	MaxInFlight int
	// DialContext replaces the dialer, as net.Pipe tests need; nil = TCP,
	// through the proxy that the environment names.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Client posts to one vendor. Its methods may be called concurrently.
type Client struct {
	http  *http.Client
	slots chan struct{}
	life  context.Context
	end   context.CancelFunc
}

// Answer of a vendor.
type Answer struct {
	Status int
	Header http.Header
	// Body is at most 64 KiB.
	Body []byte
	// RetryAfter is the header's pause, 0..24 h; 0 = none, or none that makes sense.
	RetryAfter time.Duration
}

// New makes a Client; it connects at the first Post. The error names the option.
func New(o Options) (*Client, error) {
	if o.MaxInFlight == 0 {
		o.MaxInFlight = defaultInFlight
	}
	if o.MaxInFlight < 1 || o.MaxInFlight > maxInFlight {
		return nil, fmt.Errorf("max_in_flight: %d, want 1 to %d", o.MaxInFlight, maxInFlight)
	}
	roots, err := Trust(o.CAPEM)
	if err != nil {
		return nil, fmt.Errorf("ca_pem: %w", err)
	}
	t := &http.Transport{
		DialContext:         o.DialContext,
		TLSClientConfig:     &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots},
		TLSHandshakeTimeout: dialTimeout,
		ForceAttemptHTTP2:   true,
		DisableCompression:  true,
		// One HTTP/1.1 connection for each request at most; HTTP/2 needs fewer.
		MaxConnsPerHost:     o.MaxInFlight,
		MaxIdleConnsPerHost: o.MaxInFlight,
		IdleConnTimeout:     idleTimeout,
		HTTP2: &http.HTTP2Config{
			SendPingTimeout: pingAfter, PingTimeout: pingTimeout, WriteByteTimeout: writeByteTimeout,
			MaxConcurrentStreams: perConnection,
		},
	}
	if o.DialContext == nil {
		t.DialContext = (&net.Dialer{Timeout: dialTimeout, KeepAlive: pingAfter}).DialContext
		t.Proxy = http.ProxyFromEnvironment
	}
	c := &Client{
		http: &http.Client{Transport: t, CheckRedirect: func(*http.Request, []*http.Request) error {
			return http.ErrUseLastResponse // a redirect is an answer
		}},
		slots: make(chan struct{}, o.MaxInFlight),
	}
	c.life, c.end = context.WithCancel(context.Background())
	return c, nil
}

// Trust makes a pool of the system's roots and those given; nil for none.
func Trust(pem []byte) (*x509.CertPool, error) {
	if len(pem) == 0 {
		return nil, nil
	}
	if len(pem) > maxCA {
		return nil, fmt.Errorf("%d bytes, want at most %d", len(pem), maxCA)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("no certificate in PEM found")
	}
	return pool, nil
}

// MaxInFlight is the number of Posts that make progress at one time.
func (c *Client) MaxInFlight() int { return cap(c.slots) }

// Post makes one request and reads its answer. It waits for a free slot. The
// error says that there is no answer and does not show the address, which may
// hold a token. A reply.Log in ctx gets the answer.
func (c *Client) Post(ctx context.Context, address string, header http.Header, body []byte) (Answer, error) {
	select {
	case c.slots <- struct{}{}:
		defer func() { <-c.slots }()
	case <-ctx.Done():
		return Answer{}, fmt.Errorf("wait for a free request: %w", ctx.Err())
	case <-c.life.Done():
		return Answer{}, ErrClosed
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(c.life, cancel)()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return Answer{}, errors.New("the address is not valid")
	}
	// Without it net/http may send the request again on another connection.
	r.GetBody = nil
	if header != nil {
		r.Header = header.Clone()
	}
	a, err := c.ask(r)
	if err != nil && c.life.Err() != nil {
		err = ErrClosed
	}
	return a, err
}

func (c *Client) ask(r *http.Request) (a Answer, err error) {
	if log := reply.From(r.Context()); log != nil {
		defer func(started time.Time) { log.Note(r.URL, started, a.Status, a.Header, a.Body, err) }(time.Now())
	}
	res, err := c.http.Do(r)
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if err != nil {
		return Answer{}, fmt.Errorf("no answer: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return Answer{}, fmt.Errorf("no whole answer: %w", err)
	}
	return Answer{Status: res.StatusCode, Header: res.Header, Body: body, RetryAfter: retryAfter(res.Header.Get("Retry-After"), time.Now())}, nil
}

// Close ends the Posts under way and the connections. It may be called again.
func (c *Client) Close() {
	c.end()
	c.http.CloseIdleConnections()
}
