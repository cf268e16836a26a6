package link

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"testing"

	"github.com/rouse-im/rouse/cluster/certs"
)

// settings are those of a node of the cluster whose secrets are in dir.
func settings(t testing.TB, dir string, id uint64) *tls.Config {
	t.Helper()
	name := fmt.Sprint("n", id)
	if err := certs.Found(dir, name, nil); err != nil {
		t.Fatal(err)
	}
	own, err := certs.Load(dir, name)
	if err != nil {
		t.Fatal(err)
	}
	return own.TLS(nil)
}

func verify(peer uint64, s tls.ConnectionState) error {
	p, err := certs.PeerOf(s)
	if err == nil && p.Node != fmt.Sprint("n", peer) {
		err = fmt.Errorf("the certificate is %s's", p)
	}
	return err
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
			b, _ := io.ReadAll(c)
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
	dir := t.TempDir()
	a, b := startTLS(t, 1, settings(t, dir, 1)), startTLS(t, 2, settings(t, dir, 2))
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
	dir := t.TempDir()
	a, b := startTLS(t, 1, settings(t, dir, 1)), startTLS(t, 2, settings(t, dir, 2))
	know(map[uint64]*secured{1: a, 2: b})
	<-a.up
	intruder := func(config *tls.Config) *Link {
		return &Link{o: Options{Self: 2, TLS: config, Dial: func(ctx context.Context, addr string) (net.Conn, error) {
			return new(net.Dialer).DialContext(ctx, "tcp", addr)
		}}}
	}
	foreign, bare := settings(t, t.TempDir(), 2), settings(t, dir, 2)
	foreign.VerifyConnection, bare.GetClientCertificate = nil, nil
	for name, config := range map[string]*tls.Config{
		"plaintext": nil, "another CA": foreign, "no certificate": bare, "another node's": settings(t, dir, 3),
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
			dir := b.TempDir()
			x, y := startTLS(b, 1, settings(b, dir, 1)), startTLS(b, 2, settings(b, dir, 2))
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
