package link

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net"
	"net/url"
	"testing"
	"time"
)

// authority signs certificates for nodes.
type authority struct {
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
	pool *x509.CertPool
}

func newAuthority(t *testing.T) *authority {
	t.Helper()
	a := &authority{pool: x509.NewCertPool()}
	a.cert, a.key = a.sign(t, &x509.Certificate{IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign})
	a.pool.AddCert(a.cert)
	return a
}

func (a *authority) sign(t *testing.T, c *x509.Certificate) (*x509.Certificate, *ecdsa.PrivateKey) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	c.SerialNumber = big.NewInt(time.Now().UnixNano())
	c.NotBefore, c.NotAfter = time.Now().Add(-time.Hour), time.Now().Add(time.Hour)
	parent, signer := c, key
	if a.key != nil {
		parent, signer = a.cert, a.key
	}
	der, err := x509.CreateCertificate(rand.Reader, c, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return cert, key
}

func (a *authority) config(t *testing.T, id uint64) *tls.Config {
	t.Helper()
	cert, key := a.sign(t, &x509.Certificate{
		URIs: []*url.URL{{Scheme: "test", Host: fmt.Sprint(id)}}, IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	})
	return &tls.Config{
		MinVersion: tls.VersionTLS13, RootCAs: a.pool, ClientCAs: a.pool, ClientAuth: tls.RequireAndVerifyClientCert,
		ServerName:   "127.0.0.1",
		Certificates: []tls.Certificate{{Certificate: [][]byte{cert.Raw}, PrivateKey: key, Leaf: cert}},
	}
}

func verify(peer uint64, s tls.ConnectionState) error {
	if got := s.PeerCertificates[0].URIs[0].Host; got != fmt.Sprint(peer) {
		return fmt.Errorf("the certificate is %s's", got)
	}
	return nil
}

// secured is a link over real sockets.
type secured struct {
	*Link
	addr     string
	frames   chan []byte
	up, down chan uint64
}

func startTLS(t testing.TB, id uint64, config *tls.Config) *secured {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s := &secured{
		addr: ln.Addr().String(), frames: make(chan []byte, 1), up: make(chan uint64, 100), down: make(chan uint64, 100),
	}
	s.Link, err = Start(Options{
		Self: id, Listener: ln, TLS: config, Verify: verify,
		Dial: func(ctx context.Context, addr string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", addr)
		},
		Receive: func(_ uint64, f []byte) { s.frames <- f },
		Bulk: func(_ uint64, c net.Conn) {
			b, _ := bufioRead(c)
			s.frames <- b
			c.Close()
		},
		Up: func(p uint64) { s.up <- p }, Down: func(p uint64) { s.down <- p },
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func bufioRead(c net.Conn) ([]byte, error) {
	var b bytes.Buffer
	_, err := b.ReadFrom(c)
	return b.Bytes(), err
}

func know(ss map[uint64]*secured) {
	addrs := map[uint64]string{}
	for id, s := range ss {
		addrs[id] = s.addr
	}
	for _, s := range ss {
		s.SetPeers(addrs)
	}
}

func TestOverTLS(t *testing.T) {
	ca := newAuthority(t)
	a, b := startTLS(t, 1, ca.config(t, 1)), startTLS(t, 2, ca.config(t, 2))
	know(map[uint64]*secured{1: a, 2: b})
	<-a.up
	<-b.up
	for _, n := range []int{1, 100 << 10, 5 << 20} {
		want := bytes.Repeat([]byte{'x'}, n)
		if err := a.Send(2, want); err != nil {
			t.Fatal(err)
		}
		if got := <-b.frames; !bytes.Equal(got, want) {
			t.Errorf("%d bytes arrived as %d", n, len(got))
		}
	}
	c, err := b.Open(t.Context(), 1)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Write(make([]byte, 3<<20)); err != nil {
		t.Error(err)
	}
	c.Close()
	if got := <-a.frames; len(got) != 3<<20 {
		t.Errorf("%d bytes in bulk", len(got))
	}
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	<-a.down
}

// Who has no certificate of this cluster, or that of another node, gets nothing
// through; the others go on.
func TestIntrudersOverTLS(t *testing.T) {
	ca := newAuthority(t)
	a, b := startTLS(t, 1, ca.config(t, 1)), startTLS(t, 2, ca.config(t, 2))
	know(map[uint64]*secured{1: a, 2: b})
	<-a.up
	intruder := func(config *tls.Config) *Link {
		return &Link{o: Options{Self: 2, TLS: config, Dial: func(ctx context.Context, addr string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", addr)
		}}}
	}
	foreign := newAuthority(t).config(t, 2)
	foreign.RootCAs = ca.pool
	bare := ca.config(t, 2)
	bare.Certificates = nil
	for name, config := range map[string]*tls.Config{
		"plaintext": nil, "another CA": foreign, "no certificate": bare, "another node's": ca.config(t, 3),
	} {
		_, err := intruder(config).dial(t.Context(), a.addr, hello{kind: kindFrames, from: 2, to: 1})
		if err == nil {
			t.Errorf("%s: accepted", name)
		}
		if r, ok := errors.AsType[refusal](err); ok != (name == "another node's") {
			t.Errorf("%s: %v", name, err)
		} else if ok && r.verdict != badCertificate {
			t.Errorf("%s: %v", name, r.verdict)
		}
	}
	select {
	case <-a.down:
		t.Error("an intruder took the place of the peer")
	default:
	}
	if err := b.Send(1, []byte("still here")); err != nil {
		t.Fatal(err)
	}
	<-a.frames
}

func BenchmarkFrames(b *testing.B) {
	for _, size := range []int{128, 4096} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			t := &testing.T{}
			ca := newAuthority(t)
			x, y := startTLS(b, 1, ca.config(t, 1)), startTLS(b, 2, ca.config(t, 2))
			know(map[uint64]*secured{1: x, 2: y})
			<-x.up
			b.SetBytes(int64(size))
			sent := make(chan error, 1)
			b.ResetTimer()
			go func() {
				for range b.N {
					for {
						err := x.Send(2, make([]byte, size))
						if err == nil {
							break
						}
						if !errors.Is(err, ErrFull) {
							sent <- err
							return
						}
					}
				}
				sent <- nil
			}()
			for range b.N {
				<-y.frames
			}
			if err := <-sent; err != nil {
				b.Fatal(err)
			}
		})
	}
}
