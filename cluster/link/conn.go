package link

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"time"
)

// timed gives a connection up that is silent for too long, or takes nothing.
// Each piece that gets through starts the time anew, so that a long frame may
// take as long as it needs.
type timed struct {
	net.Conn
	silence time.Duration
}

func (l *Link) timed(c net.Conn) timed { return timed{c, time.Duration(l.o.Pace) * silence} }

func (c timed) Read(b []byte) (int, error) {
	if err := c.SetReadDeadline(time.Now().Add(c.silence)); err != nil {
		return 0, err
	}
	return c.Conn.Read(b)
}

func (c timed) Write(b []byte) (n int, err error) {
	const piece = 64 << 10
	for {
		if err := c.SetWriteDeadline(time.Now().Add(c.silence)); err != nil {
			return n, err
		}
		k, err := c.Conn.Write(b[:min(len(b), piece)])
		n, b = n+k, b[k:]
		if err != nil || len(b) == 0 {
			return n, err
		}
	}
}

// sever closes a connection without TLS's farewell, which could wait for the
// peer. Frames tell their ends themselves.
func sever(c net.Conn) {
	if t, ok := c.(*tls.Conn); ok {
		c = t.NetConn()
	}
	_ = c.Close()
}

// dial makes a connection on which the peer has accepted the hello.
func (l *Link) dial(ctx context.Context, addr string, h hello) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, handshake)
	defer cancel()
	conn, err := l.o.Dial(ctx, addr)
	if err != nil {
		return nil, fmt.Errorf("link: dialling: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { sever(conn) })
	c, err := l.greet(ctx, conn, h)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		sever(conn)
		return nil, err
	}
	return c, nil
}

func (l *Link) greet(ctx context.Context, conn net.Conn, h hello) (net.Conn, error) {
	if l.o.TLS != nil {
		t := tls.Client(conn, l.o.TLS)
		if err := t.HandshakeContext(ctx); err != nil {
			return nil, fmt.Errorf("link: TLS: %w", err)
		}
		if l.o.Verify != nil {
			if err := l.o.Verify(h.to, t.ConnectionState()); err != nil {
				return nil, fmt.Errorf("link: certificate of the peer: %w", err)
			}
		}
		conn = t
	}
	if _, err := conn.Write(h.encode()); err != nil {
		return nil, fmt.Errorf("link: greeting: %w", err)
	}
	a, err := readAnswer(conn)
	switch {
	case err != nil:
		return nil, fmt.Errorf("link: waiting for an answer to the greeting: %w", err)
	case a.verdict != accepted:
		return nil, refusal{a.verdict, a.id}
	case a.id != h.to:
		return nil, refusal{otherNode, a.id}
	}
	return conn, nil
}
