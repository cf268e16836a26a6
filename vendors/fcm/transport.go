package fcm

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"github.com/rouse-im/rouse/vendors/reply"
)

const (
	// maxAnswer bounds a vendor answer in bytes; FCM's are below 2 KiB.
	maxAnswer = 64 << 10
	// perConnection is the number of requests in flight on one connection:
	// what Google's servers allow and Go assumes before it is told.
	perConnection = 100

	dialTimeout      = 10 * time.Second
	writeByteTimeout = 10 * time.Second
	pingAfter        = 15 * time.Second
	pingTimeout      = 10 * time.Second
)

// newTransport keeps one HTTP/2 connection per host: a request without a
// connection waits for the one dial, so a cold start or a reconnect under
// load does not dial once per request.
func (p *parsed) newTransport(dial dialFunc, proxy bool) *http.Transport {
	t := &http.Transport{
		DialContext:         dial,
		TLSClientConfig:     p.tls.Clone(),
		TLSHandshakeTimeout: dialTimeout,
		ForceAttemptHTTP2:   true,
		MaxConnsPerHost:     1,
		HTTP2: &http.HTTP2Config{
			StrictMaxConcurrentRequests: true,
			SendPingTimeout:             pingAfter,
			PingTimeout:                 pingTimeout,
			WriteByteTimeout:            writeByteTimeout,
		},
	}
	if proxy {
		t.Proxy = http.ProxyFromEnvironment
	}
	return t
}

type dialFunc = func(ctx context.Context, network, addr string) (net.Conn, error)

// connections remembers the open connections, so that close can end them
// with requests on them.
type connections struct {
	dial dialFunc

	mu     sync.Mutex
	open   map[net.Conn]struct{}
	closed bool
}

func (c *connections) dialContext(ctx context.Context, network, addr string) (net.Conn, error) {
	conn, err := c.dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		_ = conn.Close()
		return nil, errClosed
	}
	tracked := &connection{Conn: conn, owner: c}
	c.open[tracked] = struct{}{}
	return tracked, nil
}

func (c *connections) close() {
	c.mu.Lock()
	open := c.open
	c.open, c.closed = nil, true
	c.mu.Unlock()
	for conn := range open {
		_ = conn.Close()
	}
}

type connection struct {
	net.Conn
	owner *connections
}

func (c *connection) Close() error {
	c.owner.mu.Lock()
	delete(c.owner.open, c)
	c.owner.mu.Unlock()
	return c.Conn.Close()
}

// ask makes one request and reads its whole answer. Redirects are answers.
func ask(via http.RoundTripper, r *http.Request) (a answer, err error) {
	if log := reply.From(r.Context()); log != nil {
		defer func(started time.Time) { log.Note(r.URL, started, a.status, a.header, a.body, err) }(time.Now())
	}
	res, err := via.RoundTrip(r)
	if err != nil {
		return answer{}, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(io.LimitReader(res.Body, maxAnswer))
	if err != nil {
		return answer{}, err
	}
	return answer{status: res.StatusCode, header: res.Header, body: body}, nil
}

// exchange is one attempt: what to ask with, then what came back. It travels
// in the context of the SDK's call.
type exchange struct {
	via    http.RoundTripper
	bearer string

	asked  bool
	answer answer
	err    error
}

type exchangeKey struct{}

// courier is the SDK's transport. It notes FCM's answer in the exchange and
// shows the SDK only a success or a 500, since the SDK repeats a request four
// times, the first time at once, after a 503 or a network error. Repeating is
// the lane's, so a second request on one exchange is not made.
type courier struct{}

func (courier) RoundTrip(r *http.Request) (*http.Response, error) {
	x, ok := r.Context().Value(exchangeKey{}).(*exchange)
	if !ok || x.asked {
		return present(r, answer{status: http.StatusInternalServerError}), nil
	}
	x.asked = true
	r = r.Clone(r.Context())
	r.Header.Set("Authorization", "Bearer "+x.bearer)
	x.answer, x.err = ask(x.via, r)
	if x.err != nil || x.answer.status != http.StatusOK {
		return present(r, answer{status: http.StatusInternalServerError}), nil
	}
	return present(r, x.answer), nil
}

func present(r *http.Request, a answer) *http.Response {
	return &http.Response{
		Status: http.StatusText(a.status), StatusCode: a.status,
		Proto: "HTTP/2.0", ProtoMajor: 2,
		Header: http.Header{}, Request: r,
		Body: io.NopCloser(bytes.NewReader(a.body)), ContentLength: int64(len(a.body)),
	}
}
