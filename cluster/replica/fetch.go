package replica

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/rouse-im/rouse/storage"
	"github.com/rouse-im/rouse/storage/stream"
)

// frameFetch asks for a group, as it is at the node that leads it. The answer is
// followed by the header, the pairs and their end. It is the first of its
// connection, as a hello is.
const frameFetch byte = 19

const (
	fetchVersion = 1
	// maxGiven bounds the groups that others fetch at once.
	maxGiven = 2
	// fetchOpen is how long a connection for a group may take to come about.
	fetchOpen = 5 * time.Second
)

// Fetched is a group on its way from the node that leads it. It is for one
// goroutine.
type Fetched struct {
	// Applied is the entry of the log up to which the keys are.
	Applied uint64
	conn    net.Conn
	frames  *stream.Reader
	stop    func() bool
}

// Fetch asks a node for a group that it leads. What comes is the group at one
// moment, at or after the call. The connection ends with ctx.
func (e *Engine) Fetch(ctx context.Context, from uint64, group uint16) (_ *Fetched, err error) {
	opening, cancel := context.WithTimeout(ctx, fetchOpen)
	defer cancel()
	conn, err := e.o.Open(opening, from)
	if err != nil {
		return nil, fmt.Errorf("connect to node %s: %w", hexID(from), err)
	}
	f := &Fetched{conn: conn, frames: stream.NewReader(bufio.NewReaderSize(conn, 64<<10))}
	f.stop = context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("node %s: %w", hexID(from), err), f.Close())
		}
	}()
	if err := conn.SetWriteDeadline(time.Now().Add(idleFor)); err != nil {
		return nil, err
	}
	if err := stream.WriteFrame(conn, frameFetch, []byte{fetchVersion, byte(group >> 8), byte(group)}); err != nil {
		return nil, err
	}
	a, err := hearAnswer(conn, f.frames)
	if err == nil && a.status != answerGo {
		err = fmt.Errorf("%w, it said: answer %d", errGiven, a.status)
	}
	if err != nil {
		return nil, err
	}
	kind, payload, err := next(conn, f.frames)
	if err == nil && kind != frameHeader {
		err = errMalformed
	}
	if err != nil {
		return nil, err
	}
	h, err := readHeader(payload)
	f.Applied = h.at.index
	return f, err
}

// Next returns the next frame of package stream, valid until the next call; the
// last is stream.End.
func (f *Fetched) Next() (kind byte, payload []byte, err error) { return next(f.conn, f.frames) }

// Close ends the connection.
func (f *Fetched) Close() error {
	f.stop()
	if err := f.conn.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
		return err
	}
	return nil
}

func readFetch(b []byte) (group uint16, err error) {
	r := reader{b: b}
	if r.byte() != fetchVersion {
		return 0, errMalformed
	}
	group = r.uint16()
	return group, r.end()
}

// give sends a group that this node leads to whoever fetches it.
func (t *traffic) give(conn net.Conn, group uint16) (err error) {
	select {
	case t.given <- struct{}{}:
		defer func() { <-t.given }()
	default:
		return say(conn, answer{status: answerBusy, reason: fmt.Sprintf("%d groups are fetched from it already", maxGiven)})
	}
	if _, leads := t.e.Leads(group); !leads {
		return say(conn, answer{status: answerNo, reason: "it does not lead the group"})
	}
	// All that was acknowledged before the question is applied where it is led.
	v, err := t.e.o.Store.View()
	if err != nil {
		return errors.Join(err, say(conn, answer{status: answerNo, reason: err.Error()}))
	}
	defer func() { err = errors.Join(err, v.Close()) }()
	h, err := headerOf(v, group)
	if err != nil {
		return errors.Join(err, say(conn, answer{status: answerNo, reason: err.Error()}))
	}
	if err := say(conn, answer{status: answerGo}); err != nil {
		return err
	}
	to := &paced{ctx: t.ctx, conn: conn, t: t}
	if err := stream.WriteFrame(to, frameHeader, h.append(nil)); err != nil {
		return err
	}
	w := stream.NewWriter(to)
	for _, r := range storage.ShardRanges(group) {
		var failed error
		err := v.Scan(r, func(key, value []byte) bool {
			failed = w.Add(key, value)
			return failed == nil
		})
		if err := errors.Join(err, failed); err != nil {
			return err
		}
	}
	return w.End()
}
