package replica

import (
	"errors"
	"net"
	"sync"
)

// bulk is the connections for bulk data of a world.
type bulk struct {
	mu    sync.Mutex
	wrap  func(from, to uint64, c net.Conn) net.Conn // of the sender's end; may be nil
	conns map[[2]uint64][]net.Conn
}

// open connects two nodes.
func (w *world) open(from, to uint64) (net.Conn, error) {
	key := [2]uint64{from, to}
	w.mu.Lock()
	dst := w.nodes[to]
	refused := dst == nil || dst.down || w.nodes[from] == nil || w.nodes[from].down || w.cut[key]
	w.mu.Unlock()
	if refused {
		return nil, errors.New("down")
	}
	here, there := net.Pipe()
	b := &w.bulk
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.conns == nil {
		b.conns = map[[2]uint64][]net.Conn{}
	}
	b.conns[key] = append(b.conns[key], here, there)
	go dst.engine.Bulk(from, there)
	if b.wrap != nil {
		return b.wrap(from, to, here), nil
	}
	return here, nil
}

// sever breaks all connections for bulk data from one node to another.
func (w *world) sever(from, to uint64) {
	b := &w.bulk
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, c := range b.conns[[2]uint64{from, to}] {
		_ = c.Close()
	}
	delete(b.conns, [2]uint64{from, to})
}

// cutter breaks a connection after some bytes, or changes one of them.
type cutter struct {
	net.Conn
	left    int
	corrupt bool
}

func (c *cutter) Write(b []byte) (int, error) {
	if len(b) <= c.left {
		c.left -= len(b)
		return c.Conn.Write(b)
	}
	at := c.left
	c.left = 1 << 60
	if c.corrupt {
		b = append([]byte(nil), b...)
		b[at] ^= 0x10
		return c.Conn.Write(b)
	}
	n, _ := c.Conn.Write(b[:at])
	_ = c.Conn.Close()
	return n, errors.New("cut")
}
