package webhook

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strconv"
	"syscall"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

const (
	// maxAnswer bounds what is read of an answer, in bytes.
	maxAnswer   = 256 << 10
	dialTimeout = 5 * time.Second
	idleTimeout = 90 * time.Second
	// connections to one receiver.
	connections = 16
)

// Caller makes signed calls. Its methods may be called concurrently.
type Caller struct{ public, private *http.Client }

// NewCaller makes a Caller.
func NewCaller() *Caller {
	return &Caller{public: newClient(refusePrivate), private: newClient(nil)}
}

// newClient follows no redirect and uses no proxy: either could lead past the
// check of the address, which is made after its name was resolved.
func newClient(check func(network, address string, _ syscall.RawConn) error) *http.Client {
	dialer := &net.Dialer{Timeout: dialTimeout, Control: check}
	return &http.Client{
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		Transport: &http.Transport{
			DialContext: dialer.DialContext, TLSHandshakeTimeout: dialTimeout, ForceAttemptHTTP2: true,
			MaxConnsPerHost: connections, MaxIdleConnsPerHost: connections, IdleConnTimeout: idleTimeout,
			MaxResponseHeaderBytes: 64 << 10,
		},
	}
}

// Close ends idle connections.
func (c *Caller) Close() {
	c.public.CloseIdleConnections()
	c.private.CloseIdleConnections()
}

// Post sends a JSON body and returns the answer's. The error holds neither the
// address, whose path may be a secret, nor what was sent.
func (c *Caller) Post(ctx context.Context, w *rousev1.Webhooks, address string, body []byte) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the address is not valid")
	}
	timestamp := strconv.FormatInt(time.Now().Unix(), 10)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "rouse-webhook/1")
	request.Header.Set(HeaderTimestamp, timestamp)
	request.Header.Set(HeaderSignature, Sign(w.GetSecret(), timestamp, body))
	request.Header.Set(HeaderDelivery, rand.Text())
	client := c.public
	if w.GetAllowPrivate() {
		client = c.private
	}
	response, err := client.Do(request)
	if u, ok := errors.AsType[*url.Error](err); ok {
		err = u.Err
	}
	if err != nil {
		return nil, fmt.Errorf("no answer: %w", err)
	}
	defer response.Body.Close() //nolint:errcheck // nothing is left to be done about it
	answer, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer+1))
	switch {
	case response.StatusCode < 200 || response.StatusCode > 299:
		return nil, errStatus(response.StatusCode)
	case err != nil:
		return nil, fmt.Errorf("no whole answer: %w", err)
	case len(answer) > maxAnswer:
		return nil, fmt.Errorf("the answer is longer than %d bytes", maxAnswer)
	}
	return answer, nil
}

// ErrPrivate tells that an address is not on the public internet.
var ErrPrivate = errors.New("the address leads to a private network; an operator can allow that with allow_private")

// refusePrivate looks at the address that is about to be dialled, so that no
// name can lead elsewhere between a look and the call.
func refusePrivate(_, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil || !public(at.Addr().Unmap()) {
		return ErrPrivate
	}
	return nil
}

// reserved are ranges that are neither private by netip's rules nor on the
// public internet (IANA special-purpose registries).
var reserved = func() (all []netip.Prefix) {
	for _, p := range []string{
		"0.0.0.0/8", "100.64.0.0/10", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24", "198.18.0.0/15", "198.51.100.0/24",
		"203.0.113.0/24", "240.0.0.0/4", "64:ff9b::/96", "64:ff9b:1::/48", "100::/64", "2001::/23", "2001:db8::/32", "2002::/16", "5f00::/16", "fec0::/10",
	} {
		all = append(all, netip.MustParsePrefix(p))
	}
	return all
}()

func public(a netip.Addr) bool {
	if !a.IsGlobalUnicast() || a.IsPrivate() || a.Zone() != "" {
		return false
	}
	for _, p := range reserved {
		if p.Contains(a) {
			return false
		}
	}
	return true
}
