package vendortest

import (
	"crypto/tls"
	"errors"
	"testing"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/fake"
)

func testRenew(t *testing.T, p *probe) {
	p.accepted(t, p.push())
	bearers := p.Bearers()
	p.ExpireAuth()
	p.allAccepted(t, p.pushes(2*p.Sender.MaxInFlight()))
	if got := p.Bearers() - bearers; got != 1 {
		t.Errorf("%d bearers were made, want 1", got)
	}
}

func testBearers(t *testing.T, p *probe) {
	for range 30 {
		p.accepted(t, p.push())
		<-time.After(6 * time.Minute)
	}
	if got := p.Bearers(); got < 3 || got > 5 {
		t.Errorf("%d bearers in three hours, want 3 to 5", got)
	}
}

// testStorm: a vendor that calls every bearer expired, new ones too, is asked
// for few of them, drops no token, and is trusted again when it has recovered.
func testStorm(t *testing.T, p *probe) {
	p.accepted(t, p.push())
	p.Faults.Script(p.h.Answers[BearerRefused].Fault)
	bearers, requests, sent := p.Bearers(), p.Requests(), 0
	for range 30 {
		pushes := p.pushes(p.Sender.MaxInFlight())
		results, errs := p.sendAll(within(t), pushes)
		for i, res := range results {
			if errs[i] != nil || res.Outcome == vendors.Accepted || res.Outcome == vendors.TokenInvalid {
				t.Fatalf("got %+v, %v", res, errs[i])
			}
		}
		sent += len(pushes)
		<-time.After(time.Second)
	}
	if got := p.Bearers() - bearers; got > 6 {
		t.Errorf("%d bearers in 30 s", got)
	}
	if got := p.Requests() - requests; got > 2*sent {
		t.Errorf("%d requests for %d pushes", got, sent)
	}
	p.Faults.Clear()
	<-time.After(time.Minute)
	p.allAccepted(t, p.pushes(p.Sender.MaxInFlight()))
}

func testOneGrant(t *testing.T, p *probe) {
	p.AuthFaults.Script(fake.Fault{Delay: time.Second})
	p.allAccepted(t, p.pushes(2*p.Sender.MaxInFlight()))
	if got := p.Bearers(); got != 1 {
		t.Errorf("%d bearers, want 1", got)
	}
}

// noBearer scripts an answer to a request for a bearer that has none: pushes
// wait for another time, and nothing is blamed on them or on the credential.
func noBearer(f fake.Fault) func(*testing.T, *probe) {
	return func(t *testing.T, p *probe) {
		p.AuthFaults.Script(f)
		n := p.push()
		res, err := p.send(within(t), n)
		if err == nil && res.Outcome != vendors.Transient && res.Outcome != vendors.Throttled {
			t.Errorf("got %+v", res)
		}
		if err != nil && res != (vendors.Result{}) || p.Requests() != 0 {
			t.Errorf("got %+v and %v after %d requests", res, err, p.Requests())
		}
		p.AuthFaults.Clear()
		<-time.After(time.Minute)
		p.accepted(t, n)
	}
}

func testGrantHangs(t *testing.T, p *probe) {
	p.AuthFaults.Script(fake.Fault{Kind: fake.Hang})
	begun := time.Now()
	res, err := p.send(within(t), p.push())
	p.unknown(t, res, err)
	if took := time.Since(begun); took != patience {
		t.Errorf("took %v, want %v", took, patience)
	}
	p.AuthFaults.Clear()
	<-time.After(time.Minute)
	p.accepted(t, p.push())
}

func testUnknownCA(t *testing.T, p *probe) {
	other, err := fake.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := other.Server(p.Hosts...)
	p.distrusts(t, cert, err)
}

func testWrongHost(t *testing.T, p *probe) {
	cert, err := p.CA.Server("elsewhere.test")
	p.distrusts(t, cert, err)
}

func testExpiredCert(t *testing.T, p *probe) {
	cert, err := p.CA.Expired(p.Hosts...)
	p.distrusts(t, cert, err)
}

// distrusts: nothing is sent to a server that does not prove who it is.
func (p *probe) distrusts(t *testing.T, cert tls.Certificate, err error) {
	t.Helper()
	good, fault := p.CA.Server(p.Hosts...)
	if err = errors.Join(err, fault); err != nil {
		t.Fatal(err)
	}
	p.SetCert(cert)
	n := p.push()
	res, err := p.send(within(t), n)
	p.unknown(t, res, err)
	if p.Requests() != 0 || len(p.Seen(n.Token)) != 0 {
		t.Errorf("%d requests to a server that nobody vouches for", p.Requests())
	}
	p.SetCert(good)
	p.recovers(t)
}
