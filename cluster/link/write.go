package link

import (
	"bufio"
	"encoding/binary"
	"errors"
	"net"
	"time"
)

// write empties the queue into the connection until that ends. All frames that
// wait go out together.
func (p *peer) write(conn net.Conn, ended <-chan error) error {
	w := bufio.NewWriterSize(timed{conn}, 64<<10)
	idle := time.NewTimer(keepalive)
	defer idle.Stop()
	var spare [][]byte
	for {
		batch := p.take(spare)
		if len(batch) == 0 {
			select {
			case err := <-ended:
				return err
			case <-p.filled:
				continue
			case <-idle.C:
			}
		}
		n, err := pack(w, batch)
		if err != nil {
			return errors.Join(err, <-endedBy(conn, ended))
		}
		p.done(len(batch), n)
		if batch != nil {
			clear(batch)
			spare = batch[:0]
		}
		idle.Reset(keepalive)
	}
}

// endedBy lets the reading side say why the connection ended.
func endedBy(conn net.Conn, ended <-chan error) <-chan error {
	sever(conn)
	return ended
}

// pack writes frames, or a sign of life if there are none. n is their bytes.
func pack(w *bufio.Writer, batch [][]byte) (n int, err error) {
	var head [4]byte
	if len(batch) == 0 {
		_, _ = w.Write(head[:]) // Flush tells
	}
	for _, f := range batch {
		binary.BigEndian.PutUint32(head[:], uint32(len(f)))
		_, _ = w.Write(head[:])
		if _, err := w.Write(f); err != nil {
			return n, err
		}
		n += len(f)
	}
	return n, w.Flush()
}

// take empties the queue, and spare becomes the new one; nil if there is nothing
// to take.
func (p *peer) take(spare [][]byte) [][]byte {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.queue) == 0 {
		return nil
	}
	batch := p.queue
	p.queue = spare
	return batch
}

// done makes room for what has been written.
func (p *peer) done(frames, bytes int) {
	p.mu.Lock()
	p.frames -= frames
	p.bytes -= bytes
	p.mu.Unlock()
	p.l.metrics.wrote(frames, bytes)
}
