package link

import (
	"context"
	"errors"
	"net"
	"sync"
)

// bulkConn ends with the link, and when its peer is removed.
type bulkConn struct {
	net.Conn
	peer   context.Context
	stop   func() bool
	once   sync.Once
	closed chan struct{}
}

func (p *peer) bulk(conn net.Conn) *bulkConn {
	return &bulkConn{
		Conn: conn, peer: p.ctx, stop: context.AfterFunc(p.ctx, func() { sever(conn) }), closed: make(chan struct{}),
	}
}

func (c *bulkConn) Close() error {
	c.stop()
	err := c.Conn.Close()
	c.once.Do(func() { close(c.closed) })
	return err
}

func (c *bulkConn) wait() {
	select {
	case <-c.closed:
	case <-c.peer.Done():
	}
}

// reasonOf names an error of dial so that repeats are told from news.
func reasonOf(err error) string {
	if r, ok := errors.AsType[refusal](err); ok {
		return r.verdict.String()
	}
	return "unreachable"
}
