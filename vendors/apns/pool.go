package apns

import (
	"context"
	"net/http"
	"time"
)

// Timing of connections.
const (
	dialTimeout  = 10 * time.Second
	tcpKeepAlive = 15 * time.Second
	// pingAfter of silence a PING asks whether the peer lives; pingTimeout
	// later the connection is given up.
	pingAfter   = 15 * time.Second
	pingTimeout = 5 * time.Second
	// writeByteTimeout bounds a TCP write that makes no progress.
	writeByteTimeout = 10 * time.Second
	// dialPenalty keeps pushes off a link whose dial failed, while others work.
	dialPenalty = time.Second
)

// pool spreads pushes over a fixed number of links.
type pool struct {
	links  []*link
	cancel context.CancelFunc
}

func newPool(c parsed) *pool {
	var protocols http.Protocols
	protocols.SetHTTP2(true)
	transport := &http.Transport{
		DialContext:         c.dial,
		Proxy:               c.proxy,
		TLSClientConfig:     c.tls,
		TLSHandshakeTimeout: dialTimeout,
		DisableCompression:  true,
		Protocols:           &protocols,
		HTTP2: &http.HTTP2Config{
			SendPingTimeout:  pingAfter,
			PingTimeout:      pingTimeout,
			WriteByteTimeout: writeByteTimeout,
			// No dynamic table for what we send: path and apns-id differ in each
			// push, and filling the table with them and evicting them costs more
			// than sending the other headers in full.
			MaxEncoderHeaderTableSize: 1,
		},
	}
	life, cancel := context.WithCancel(context.Background())
	p := &pool{cancel: cancel}
	for range c.connections {
		p.links = append(p.links, newLink(c.streams, func() (*http.ClientConn, error) {
			ctx, cancel := context.WithTimeout(life, dialTimeout)
			defer cancel()
			return transport.NewClientConn(ctx, "https", c.address)
		}))
	}
	return p
}

// acquire waits for a stream on the least loaded link that works.
func (p *pool) acquire(ctx context.Context) (*lease, error) {
	best, bestLoad := p.links[0], int64(0)
	now := time.Now()
	for i, l := range p.links {
		load := l.load.Load()
		if penalised(l.failedAt.Load(), now) {
			load += maxStreams
		}
		if i == 0 || load < bestLoad {
			best, bestLoad = l, load
		}
	}
	return best.acquire(ctx)
}

// penalised tells whether a dial failed (unix ns) a moment ago; one of later than
// now, by a clock that was set back since, did not.
func penalised(failedAt int64, now time.Time) bool {
	age := now.UnixNano() - failedAt
	return age >= 0 && age < int64(dialPenalty)
}

// close interrupts all requests and waits for the goroutines of the links.
func (p *pool) close() {
	p.cancel()
	for _, l := range p.links {
		l.close()
	}
}
