package link

import (
	"bufio"
	"context"
	"crypto/tls"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"time"
)

// accept takes connections until the listener is closed.
func (l *Link) accept() {
	for {
		conn, err := l.o.Listener.Accept()
		if err != nil {
			if l.ctx.Err() != nil || errors.Is(err, net.ErrClosed) {
				return
			}
			l.log.Warn("link cannot accept a connection", slog.Any("error", err))
			select { // too many open files, for example
			case <-l.ctx.Done():
			case <-time.After(longestPause / 10):
			}
			continue
		}
		select {
		case l.knocks <- struct{}{}:
			l.running.Go(func() { l.serve(conn) })
		default:
			l.metrics.refused.WithLabelValues(busy.String()).Inc()
			sever(conn)
		}
	}
}

// serve sees one connection through.
func (l *Link) serve(raw net.Conn) {
	defer context.AfterFunc(l.ctx, func() { sever(raw) })()
	defer sever(raw)
	h, p, conn, err := l.admit(raw)
	<-l.knocks
	if err != nil {
		if l.ctx.Err() == nil {
			level := slog.LevelInfo
			if errors.Is(err, stranger) {
				level = slog.LevelDebug // who knocks warns if that lasts
			}
			l.log.Log(l.ctx, level, "link refused a connection", slog.String("from", raw.RemoteAddr().String()), slog.Any("error", err))
		}
		return
	}
	if h.kind == kindBulk {
		c := p.bulk(conn)
		l.o.Bulk(h.from, c)
		c.wait()
		<-p.incomingBulks
		return
	}
	p.serve(conn)
}

// admit hears who connected, and answers.
func (l *Link) admit(raw net.Conn) (h hello, p *peer, conn net.Conn, err error) {
	ctx, cancel := context.WithTimeout(l.ctx, handshake)
	defer cancel()
	defer context.AfterFunc(ctx, func() { sever(raw) })()
	conn = raw
	var state *tls.ConnectionState
	if l.o.TLS != nil {
		t := tls.Server(raw, l.o.TLS)
		if err := t.HandshakeContext(ctx); err != nil {
			l.metrics.refused.WithLabelValues("tls").Inc()
			return h, nil, nil, fmt.Errorf("TLS: %w", err)
		}
		s := t.ConnectionState()
		conn, state = t, &s
	}
	if h, err = readHello(conn); err != nil {
		l.metrics.refused.WithLabelValues("hello").Inc()
		return h, nil, nil, err
	}
	p, v, err := l.judge(h, state)
	if v != accepted {
		l.metrics.refused.WithLabelValues(v.String()).Inc()
		err = errors.Join(fmt.Errorf("node %016x: %w", h.from, v), err)
	}
	if _, wrote := conn.Write(answer{verdict: v, id: l.o.Self}.encode()); wrote != nil && err == nil {
		err = wrote
		if h.kind == kindBulk {
			<-p.incomingBulks
		}
	}
	return h, p, conn, err
}

// judge takes one of the peer's places for bulk connections if it accepts one.
func (l *Link) judge(h hello, state *tls.ConnectionState) (*peer, verdict, error) {
	p := l.peer(h.from)
	switch {
	case h.cluster != l.o.Cluster:
		return nil, otherCluster, nil
	case h.to != l.o.Self:
		return nil, otherNode, nil
	case p == nil:
		return nil, stranger, nil
	}
	if state != nil && l.o.Verify != nil {
		if err := l.o.Verify(h.from, *state); err != nil {
			return nil, badCertificate, err
		}
	}
	switch h.kind {
	case kindFrames:
		return p, accepted, nil
	case kindBulk:
		if l.o.Bulk == nil {
			return nil, unknownKind, nil
		}
		select {
		case p.incomingBulks <- struct{}{}:
			return p, accepted, nil
		default:
			return nil, busy, nil
		}
	}
	return nil, unknownKind, nil
}

// serve reads the frames of one connection that the peer made. A newer one takes
// the place of an older one, which then has ended unnoticed.
func (p *peer) serve(conn net.Conn) {
	ended := make(chan struct{})
	defer close(ended)
	p.mu.Lock()
	old, oldEnded := p.incoming, p.incomingEnded
	p.incoming, p.incomingEnded = conn, ended
	p.mu.Unlock()
	if old != nil {
		sever(old)
		<-oldEnded
	}
	defer context.AfterFunc(p.ctx, func() { sever(conn) })()
	p.hasteUp() // who reaches us can be reached
	p.connected(incoming, true)
	p.l.running.Go(func() { p.beat(conn, ended) })
	err := p.read(conn)
	p.connected(incoming, false)
	sever(conn)
	p.mu.Lock()
	if p.incoming == conn {
		p.incoming = nil
	}
	p.mu.Unlock()
	p.l.log.Debug("link lost a peer's connection", peerAttr(p.id), slog.Any("error", err))
}

func (p *peer) read(conn net.Conn) error {
	r := bufio.NewReaderSize(p.l.timed(conn), 64<<10)
	var head [4]byte
	for {
		if _, err := io.ReadFull(r, head[:]); err != nil {
			return err
		}
		n := binary.BigEndian.Uint32(head[:])
		if n == 0 {
			continue // it lives
		}
		if n > MaxFrame {
			return fmt.Errorf("a frame of %d bytes, more than %d", n, MaxFrame)
		}
		frame := make([]byte, n)
		if _, err := io.ReadFull(r, frame); err != nil {
			return err
		}
		if err := p.ctx.Err(); err != nil {
			return err
		}
		p.l.metrics.received(len(frame))
		p.l.o.Receive(p.id, frame)
	}
}

// beat tells who made the connection that this side lives.
func (p *peer) beat(conn net.Conn, ended <-chan struct{}) {
	t := time.NewTicker(time.Duration(p.l.o.Pace) * keepalive)
	timed := p.l.timed(conn)
	defer t.Stop()
	for {
		select {
		case <-ended:
			return
		case <-t.C:
			if _, err := timed.Write(sign[:]); err != nil {
				sever(conn)
				return
			}
		}
	}
}
