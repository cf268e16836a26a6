package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"regexp"
	"time"
)

// Bounds that keep one message below what the engine takes: 1024 events, 16384
// deliveries and, by default, 4 MiB.
const (
	maxBatchEvents     = 256
	maxBatchDeliveries = 16 << 10
	maxBatchBytes      = 1 << 20
	maxEventBytes      = 512 << 10
	// eventOverhead is what an event costs in memory beside its encoded size.
	eventOverhead = 512
)

// Options of a Client. Target, APIKey and Node are mandatory; for all others
// zero is a safe default.
type Options struct {
	// Target is the engine's gRPC address, "host:port".
	Target string
	// Others are gRPC addresses of more nodes of the same cluster. The client
	// begins with any of all these, learns further ones from the engine, and goes
	// to the next when one fails.
	Others []string
	// APIKey is a key with the intake role. Its app is the events' app.
	APIKey string
	// App names the app of the events when APIKey is an operator key, which
	// belongs to none; else it is empty.
	App string
	// TLS secures the connection; nil means plaintext, which is refused unless
	// the host of Target is a loopback address or "localhost".
	TLS *tls.Config
	// Node names this IM node: 1-64 bytes of [A-Za-z0-9._:-]. Sessions reported
	// through the client belong to it and are offline when it is gone.
	Node string
	// Incarnation rises with every start of the node; 0 = the current time in ns.
	Incarnation uint64
	// BufferBytes bounds the events held in memory; 0 = 32 MiB, at least 1 MiB.
	// An event counts as its encoded size and 512 bytes.
	BufferBytes int64
	// Linger is how long a batch waits for more events while others are
	// unanswered, at most 1 ms; 0 = 1 ms. An idle client never waits.
	Linger time.Duration
	// Deadline is how long an event is tried before it is given up; 0 = 1 min,
	// at least 1 s.
	Deadline time.Duration
	// AnswerTimeout is how long batches may be unanswered and none be answered
	// before the connection is taken for dead; 0 = 10 s, or 2 s with Others; at
	// least 100 ms. One batch among others that are answered has five times as long.
	AnswerTimeout time.Duration
	// Logger is told about lost connections; nil = silent.
	Logger *slog.Logger

	dial func(context.Context, string) (net.Conn, error) // tests: an in-memory network
}

var nodeName = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,64}$`)

// prepare fills in defaults and names every fault at once.
func (o *Options) prepare(now time.Time) error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf("client: "+format, args...)) }

	for _, target := range append([]string{o.Target}, o.Others...) {
		if err := o.mayDial(target); err != nil {
			faults = append(faults, err)
		}
	}
	if o.APIKey == "" {
		fault("API key is empty: create one with the intake role")
	}
	if !nodeName.MatchString(o.Node) {
		fault("node name %q: want 1-64 of [A-Za-z0-9._:-]", o.Node)
	}
	if o.Incarnation == 0 {
		o.Incarnation = uint64(now.UnixNano())
	}
	if o.BufferBytes == 0 {
		o.BufferBytes = 32 << 20
	}
	if o.BufferBytes < 1<<20 {
		fault("buffer of %d bytes: want at least 1 MiB", o.BufferBytes)
	}
	span := func(name string, d *time.Duration, ifZero, least, most time.Duration) {
		if *d == 0 {
			*d = ifZero
		}
		if *d < least || *d > most {
			fault("%s of %v: want %v to %v", name, *d, least, most)
		}
	}
	span("linger", &o.Linger, time.Millisecond, 0, time.Millisecond)
	span("deadline", &o.Deadline, time.Minute, time.Second, 24*time.Hour)
	patience := 10 * time.Second
	if len(o.Others) > 0 {
		patience = 2 * time.Second // there is somewhere else to go
	}
	span("answer timeout", &o.AnswerTimeout, patience, 100*time.Millisecond, time.Hour)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return errors.Join(faults...)
}

// mayDial says why an address cannot be an engine's.
func (o *Options) mayDial(target string) error {
	host, _, err := net.SplitHostPort(target)
	switch {
	case err != nil:
		return fmt.Errorf("client: target %q is not host:port: %w", target, err)
	case o.TLS == nil && !isLoopback(host):
		return fmt.Errorf("client: target %q is not on loopback: set TLS, the API key must not travel in plaintext", target)
	}
	return nil
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}
