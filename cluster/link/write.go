package link

import (
	"bufio"
	"encoding/binary"
	"errors"
	"net"
	"time"
)

// sign of life: empty frames, together longer than a packet. Where only long
// packets get lost, heads and short frames would let a connection seem alive on
// which no entry arrives.
var sign [2048]byte

// write empties the queue into the connection until that ends, and gives a sign of
// life each keepalive. All frames that wait go out together.
func (p *peer) write(conn net.Conn, ended <-chan error) error {
	w := bufio.NewWriterSize(p.l.timed(conn), 64<<10)
	beat := time.NewTicker(time.Duration(p.l.o.Pace) * keepalive)
	defer beat.Stop()
	var spare [][]byte
	for due := false; ; due = false {
		batch := p.take(spare)
		select {
		case <-beat.C:
			due = true
		default:
		}
		if len(batch) == 0 && !due {
			select {
			case err := <-ended:
				return err
			case <-p.filled:
				continue
			case <-beat.C:
				due = true
			}
		}
		n, err := pack(w, batch, due)
		if err != nil {
			return errors.Join(err, <-endedBy(conn, ended))
		}
		p.done(len(batch), n)
		if batch != nil {
			clear(batch)
			spare = batch[:0]
		}
	}
}

// endedBy lets the reading side say why the connection ended.
func endedBy(conn net.Conn, ended <-chan error) <-chan error {
	sever(conn)
	return ended
}

// pack writes a sign of life, if it is due, and frames. n is their bytes.
func pack(w *bufio.Writer, batch [][]byte, due bool) (n int, err error) {
	var head [4]byte
	if due {
		_, _ = w.Write(sign[:]) // Flush tells
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
