package bench

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/sideshow/apns2"
	"github.com/sideshow/apns2/token"
	"golang.org/x/net/http2"
)

// bare is the role of the measure: apns2 as it comes, goroutines that push in
// a loop, nothing else. Its payload is made once: no work but the client's own.
type bare struct {
	process
	client *apns2.Client
	pushed int
}

// Start makes the client and one push, after which APNs allows more than one
// stream on the connection.
func (b *bare) Start(v Vendor, _ *Nothing) error {
	key, err := token.AuthKeyFromBytes(v.Key)
	if err != nil {
		return err
	}
	b.client = apns2.NewTokenClient(&token.Token{AuthKey: key, KeyID: keyID, TeamID: team})
	b.client.Host = v.URL
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(v.CA) {
		return errors.New("no certificate")
	}
	b.client.HTTPClient.Transport.(*http2.Transport).TLSClientConfig = &tls.Config{RootCAs: roots}
	return b.push(0)
}

// Round is a number of pushes and how many may be under way at a time.
type Round struct{ Pushes, Workers int }

// Run pushes a round.
func (b *bare) Run(r Round, _ *Nothing) error {
	var next atomic.Int64
	failed := make(chan error, r.Workers)
	var work sync.WaitGroup
	for range r.Workers {
		work.Go(func() {
			for n := next.Add(1); n <= int64(r.Pushes); n = next.Add(1) {
				if err := b.push(b.pushed + int(n)); err != nil {
					failed <- err
					return
				}
			}
		})
	}
	work.Wait()
	b.pushed += r.Pushes
	select {
	case err := <-failed:
		return err
	default:
		return nil
	}
}

// push sends what the engine sends for message n (see message).
func (b *bare) push(n int) error {
	res, err := b.client.Push(&apns2.Notification{
		ApnsID: fmt.Sprintf("00000000-0000-8000-8000-%012x", n), DeviceToken: deviceToken(n), Topic: bundle,
		Expiration: time.Now().Add(24 * time.Hour), Priority: apns2.PriorityHigh, PushType: apns2.PushTypeAlert,
		Payload: barePayload,
	})
	if err != nil {
		return err
	}
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("apns answered %d %s", res.StatusCode, res.Reason)
	}
	return nil
}

var barePayload = []byte(`{"aps":{"alert":{"title":"` + title + `","body":"` + body + `"},"badge":1,"sound":"default","thread-id":"user-0000001"},` +
	`"f":"user-0000001","m":"message-0-000000001","t":"user-0000002"}`)

func (b *bare) close() error {
	if b.client != nil {
		b.client.CloseIdleConnections()
	}
	return b.closeProfile()
}
