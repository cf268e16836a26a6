// Package reply keeps what a vendor answered, for people who look for the
// reason of a refusal. A Log travels in the context of a call; without one
// nothing is kept. What must stay secret is masked when the Log is read.
package reply

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"
)

// Bounds of a Log.
const (
	// MaxReplies is how many are kept; later ones are dropped.
	MaxReplies = 8
	// MaxBody bounds a body in bytes, after masking.
	MaxBody = 8 << 10
	// maxRaw bounds what is kept of a body before it is masked.
	maxRaw = 64 << 10
)

// Log gathers the replies of one call. Its methods may be called concurrently.
type Log struct {
	mu     sync.Mutex
	hidden []string
	noted  []noted
}

// Reply is one answer, masked.
type Reply struct {
	// Address is the host and path that was asked.
	Address string
	// Status is HTTP's; 0 = no answer, Body says why.
	Status int
	// Header holds what helps a vendor's support, by lower-case name.
	Header map[string]string
	// Body is at most MaxBody bytes of valid UTF-8.
	Body string
	Took time.Duration
}

// noted is an answer as it came.
type noted struct {
	host, path string
	status     int
	header     map[string]string
	body       string
	cut        bool
	took       time.Duration
}

type key struct{}

// With gives the calls under ctx a Log to write to.
func With(ctx context.Context, l *Log) context.Context { return context.WithValue(ctx, key{}, l) }

// From is the Log of ctx; nil when nothing is to be kept.
func From(ctx context.Context) *Log {
	l, _ := ctx.Value(key{}).(*Log)
	return l
}

// Hide masks values wherever they show, noted before or after. Values below 4
// bytes are no secrets and would mask everything. A nil Log hides nothing.
func (l *Log) Hide(values ...string) {
	if l == nil {
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, v := range values {
		if len(v) >= 4 && !slices.Contains(l.hidden, v) {
			l.hidden = append(l.hidden, v)
		}
	}
}

// shown are the headers that are kept: none of them can hold a secret.
var shown = []string{
	"apns-id", "apns-unique-id", "content-type", "date", "retry-after", "server", "x-request-id", "x-trace-id", "traceid", "x-hw-trace-id",
}

// Note keeps the answer to a request to an address, begun at started; err says
// that there was none. A nil Log keeps nothing.
func (l *Log) Note(to *url.URL, started time.Time, status int, header http.Header, body []byte, err error) {
	if l == nil {
		return
	}
	n := noted{host: to.Host, path: to.Path, header: map[string]string{}, took: time.Since(started)}
	if err != nil {
		n.body = err.Error()
	} else {
		n.status, n.cut = status, len(body) >= maxRaw
		n.body = string(body[:min(len(body), maxRaw)])
	}
	for _, name := range shown {
		if v := header.Get(name); v != "" && err == nil {
			n.header[name] = v[:min(len(v), 256)]
		}
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if len(l.noted) < MaxReplies {
		l.noted = append(l.noted, n)
	}
}

// Replies are the answers so far, oldest first.
func (l *Log) Replies() []Reply {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := newMask(l.hidden)
	replies := make([]Reply, len(l.noted))
	for i, n := range l.noted {
		header := make(map[string]string, len(n.header))
		for name, v := range n.header {
			header[name] = m.text(v, false)
		}
		replies[i] = Reply{
			Address: n.host + m.path(n.path), Status: n.status, Header: header,
			Body: bounded(m.text(n.body, n.cut), MaxBody), Took: n.took,
		}
	}
	return replies
}
