package fake

import (
	"context"
	"net"
	"sync"
)

// Listen opens a TCP listener; addr "127.0.0.1:0" takes a free port.
func Listen(addr string) (net.Listener, error) { return net.Listen("tcp", addr) }

// URL is the base URL of a TLS server on l.
func URL(l net.Listener) string { return "https://" + l.Addr().String() }

// PipeListener accepts connections made by its DialContext: both ends of a
// net.Pipe, so that client and server run inside one testing/synctest bubble.
type PipeListener struct {
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

// NewPipeListener must be called inside the bubble that uses it.
func NewPipeListener() *PipeListener {
	return &PipeListener{conns: make(chan net.Conn), done: make(chan struct{})}
}

// Accept waits for a dial; after Close it fails with net.ErrClosed.
func (l *PipeListener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

// DialContext connects whatever the address; after Close it fails with net.ErrClosed.
func (l *PipeListener) DialContext(ctx context.Context, _, _ string) (net.Conn, error) {
	client, server := net.Pipe()
	select {
	case l.conns <- server:
		return client, nil
	case <-l.done:
		return nil, net.ErrClosed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// Close refuses further dials; open connections stay.
func (l *PipeListener) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

// Addr is a placeholder: a pipe has no address.
func (l *PipeListener) Addr() net.Addr { return pipeAddr{} }

type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "127.0.0.1:443" }
