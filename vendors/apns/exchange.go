package apns

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"golang.org/x/net/http2"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/reply"
)

const (
	// maxAnswer bounds an answer's body in bytes; APNs's are below 200.
	maxAnswer = 4 << 10
	// maxRetryAfter bounds the pause that a proxy may ask for.
	maxRetryAfter = 24 * time.Hour
	// maxUnprocessed bounds the repeats of a push that APNs said it had not begun.
	maxUnprocessed = 3
)

// exchange is one question to APNs. It travels in the context through apns2,
// which would lose the status of an answer that is not JSON, and all headers.
type exchange struct {
	bearer string

	status     int
	id         string
	reason     string
	since      time.Time
	retryAfter time.Duration
	unreadable bool
}

type exchangeKey struct{}

// over makes the request on conn and takes the answer in whole; an error means
// that there is none.
func (x *exchange) over(conn http.RoundTripper, r *http.Request, now time.Time) (err error) {
	var header http.Header
	var body []byte
	if log := reply.From(r.Context()); log != nil {
		log.Hide(x.bearer)
		defer func() { log.Note(r.URL, now, x.status, header, body, err) }()
	}
	res, err := conn.RoundTrip(r)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	header = res.Header
	if res.Body != http.NoBody { // which an accepted push has
		if body, err = io.ReadAll(io.LimitReader(res.Body, maxAnswer)); err != nil {
			return err
		}
	}
	x.status = res.StatusCode
	x.retryAfter = retryAfter(res.Header.Get("Retry-After"), now)
	if x.id = res.Header.Get("Apns-Unique-Id"); x.id == "" {
		x.id = res.Header.Get("Apns-Id")
	}
	x.read(body)
	return nil
}

// read takes a body in; APNs's are empty or a JSON object.
func (x *exchange) read(body []byte) {
	var answer struct {
		Reason    string      `json:"reason"`
		Timestamp json.Number `json:"timestamp"`
	}
	if len(body) > 0 && json.Unmarshal(body, &answer) != nil {
		x.unreadable = true
		return
	}
	x.reason = answer.Reason
	if ms, err := answer.Timestamp.Int64(); err == nil && ms > 0 {
		x.since = time.UnixMilli(ms)
	}
}

// meaning takes 200 for APNs's only with an apns-id: a proxy may say it too.
func (x *exchange) meaning() meaning {
	if x.status == http.StatusOK && x.id != "" && !x.unreadable {
		return meaning{outcome: vendors.Accepted}
	}
	return classify(x.status, x.reason)
}

func (x *exchange) result() vendors.Result {
	if x.status == 0 {
		return vendors.Result{}
	}
	m := x.meaning()
	r := vendors.Result{Outcome: m.outcome, Scope: m.scope}
	if len(x.id) <= 128 {
		r.VendorID = x.id
	}
	if m.outcome == vendors.Accepted {
		return r
	}
	r.Code, r.RetryAfter = code(x.status, x.reason), x.retryAfter
	if m.outcome == vendors.TokenInvalid {
		r.InvalidSince = x.since
	}
	return r
}

// retryAfter reads seconds or an HTTP date; what makes no sense is 0.
func retryAfter(header string, now time.Time) time.Duration {
	if header == "" {
		return 0
	}
	if seconds, err := strconv.ParseInt(header, 10, 64); err == nil {
		return time.Duration(min(max(seconds, 0), int64(maxRetryAfter/time.Second))) * time.Second
	}
	if at, err := http.ParseTime(header); err == nil {
		return min(max(at.Sub(now), 0), maxRetryAfter)
	}
	return 0
}

// courier is apns2's transport: it chooses the connection, signs, and keeps
// the answer in the exchange.
type courier struct {
	pool   *pool
	signer *signer
}

// RoundTrip repeats the request only when APNs has certainly not begun it. It
// sets a header of r, which only it and apns2 hold.
func (c *courier) RoundTrip(r *http.Request) (*http.Response, error) {
	x := r.Context().Value(exchangeKey{}).(*exchange)
	for repeats := 0; ; repeats++ {
		err := c.ask(r, x)
		if err == nil {
			// apns2 needs the status only, and fails on a body that is no JSON.
			return &http.Response{StatusCode: x.status, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
		}
		if !unprocessed(err) || repeats == maxUnprocessed {
			return nil, err
		}
		if r.Body, err = r.GetBody(); err != nil {
			return nil, err
		}
	}
}

func (c *courier) ask(r *http.Request, x *exchange) error {
	begun := time.Now()
	lease, err := c.pool.acquire(r.Context())
	if err != nil {
		reply.From(r.Context()).Note(r.URL, begun, 0, nil, nil, err)
		return err
	}
	defer lease.release()
	now := time.Now()
	if c.signer != nil {
		if x.bearer, err = c.signer.bearer(now); err != nil {
			lease.conn.Release()
			return err
		}
		r.Header.Set("Authorization", "bearer "+x.bearer)
	}
	if err := x.over(lease.conn, r, now); err != nil {
		lease.retire = unprocessed(err)
		return err
	}
	lease.answered, lease.retire = true, x.meaning().retire
	return nil
}

// unprocessed reports whether the server said, or the client knows, that the
// request was not begun. net/http tells the last two by their texts only; when
// these change, the lane repeats the push instead.
func unprocessed(err error) bool {
	if stream, ok := errors.AsType[http2.StreamError](err); ok {
		return stream.Code == http2.ErrCodeRefusedStream
	}
	text := err.Error()
	return strings.Contains(text, "Server's graceful shutdown GOAWAY") || strings.Contains(text, "client conn not usable")
}
