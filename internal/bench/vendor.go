package bench

import (
	"crypto/tls"
	"errors"
	"net"
	"time"

	"github.com/rouse-im/rouse/vendors/fake"
)

const (
	team, keyID, bundle = "TEAM000001", "KEY0000001", "im.rouse.bench"
	// awaitMost bounds the wait for pushes.
	awaitMost = 2 * time.Minute
)

// vendor is the role of the fake APNs.
type vendor struct {
	process
	apns *fake.APNs
}

// Vendor is what one must know to push through the fake.
type Vendor struct {
	URL     string
	CA, Key []byte // PEM
}

// Start listens.
func (v *vendor) Start(_ Nothing, to *Vendor) error {
	ca, cert, err := authority()
	if err != nil {
		return err
	}
	key, public, err := fake.NewAPNsKey()
	if err != nil {
		return err
	}
	l, err := fake.Listen("127.0.0.1:0")
	if err != nil {
		return err
	}
	v.apns = fake.NewAPNs(fake.APNsOptions{Cert: cert, Light: true})
	v.apns.AddKey(team, keyID, public)
	go v.serve(l)
	*to = Vendor{URL: fake.URL(l), CA: ca.PEM(), Key: key}
	return nil
}

// authority makes one, and what a fake on loopback needs of it.
func authority() (*fake.CA, tls.Certificate, error) {
	ca, err := fake.NewCA()
	if err != nil {
		return nil, tls.Certificate{}, err
	}
	cert, err := ca.Server("127.0.0.1")
	return ca, cert, err
}

// serve ends with the fake: pushes that are not answered say the rest.
func (v *vendor) serve(l net.Listener) { _ = v.apns.Serve(l) }

// Delay makes every answer as late as given.
func (v *vendor) Delay(d time.Duration, _ *Nothing) error {
	v.apns.Faults.Clear()
	if d > 0 {
		v.apns.Faults.Script(fake.Fault{Kind: fake.Slow, Delay: d})
	}
	return nil
}

// Stats answers the counts so far.
func (v *vendor) Stats(_ Nothing, s *fake.APNsStats) error {
	*s = v.apns.Stats()
	return nil
}

var errAwait = errors.New("the pushes did not come")

// Await answers when so many pushes were taken since the start.
func (v *vendor) Await(accepted int64, at *time.Time) (err error) {
	*at, err = await(func() bool { return v.apns.Stats().Accepted >= accepted })
	return err
}

// await returns the time when done was first seen, looking each millisecond.
func await(done func() bool) (time.Time, error) {
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for last := time.Now().Add(awaitMost); ; {
		now := <-tick.C
		if done() {
			return now, nil
		}
		if now.After(last) {
			return now, errAwait
		}
	}
}

func (v *vendor) close() error {
	if v.apns == nil {
		return nil
	}
	return errors.Join(v.apns.Close(), v.closeProfile())
}
