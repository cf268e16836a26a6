package stream

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
)

// Kinds of frames that this package gives a meaning; all others belong to the
// caller.
const (
	Pairs byte = 1
	End   byte = 2
)

const (
	// chunkBytes is where a frame of pairs is cut.
	chunkBytes = 64 << 10
	// maxFrameBytes bounds a frame: a pair is at most as large as an entry.
	maxFrameBytes = 2 << 20
	lengthBytes   = 4
	sumBytes      = 4
)

// ErrDamaged answers a reader for bytes that no writer wrote: they were changed
// on their way, or cut off inside of a frame.
var ErrDamaged = errors.New("stream: damaged")

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// WriteFrame writes one frame.
func WriteFrame(w io.Writer, kind byte, payload []byte) error {
	if 1+len(payload) > maxFrameBytes {
		return fmt.Errorf("stream: frame of %d bytes, limit %d", 1+len(payload), maxFrameBytes)
	}
	_, err := w.Write(seal(append(open(make([]byte, 0, headBytes+len(payload)+sumBytes), kind), payload...)))
	return err
}

const headBytes = lengthBytes + 1

// open begins a frame in the place of what b holds; its payload is appended, and
// then seal ends it.
func open(b []byte, kind byte) []byte {
	return append(b[:0], 0, 0, 0, 0, kind)
}

func seal(b []byte) []byte {
	binary.BigEndian.PutUint32(b, uint32(len(b)-lengthBytes))
	return binary.BigEndian.AppendUint32(b, crc32.Checksum(b[lengthBytes:], castagnoli))
}

// Reader reads frames.
type Reader struct {
	r   io.Reader
	buf []byte
}

// NewReader returns a reader of the frames in r, which should be buffered.
func NewReader(r io.Reader) *Reader { return &Reader{r: r} }

// Next returns the next frame, valid until the next call; io.EOF where the input
// ends between two frames.
func (r *Reader) Next() (kind byte, payload []byte, err error) {
	var head [lengthBytes]byte
	if _, err := io.ReadFull(r.r, head[:]); err != nil {
		return 0, nil, cut(err)
	}
	n := binary.BigEndian.Uint32(head[:])
	if n < 1 || n > maxFrameBytes {
		return 0, nil, fmt.Errorf("%w: a frame of %d bytes", ErrDamaged, n)
	}
	if cap(r.buf) < int(n)+sumBytes {
		r.buf = make([]byte, max(int(n)+sumBytes, chunkBytes))
	}
	b := r.buf[:int(n)+sumBytes]
	if _, err := io.ReadFull(r.r, b); err != nil {
		if errors.Is(err, io.EOF) {
			err = io.ErrUnexpectedEOF
		}
		return 0, nil, cut(err)
	}
	body, sum := b[:n], binary.BigEndian.Uint32(b[n:])
	if crc32.Checksum(body, castagnoli) != sum {
		return 0, nil, fmt.Errorf("%w: a frame of kind %d and %d bytes has another checksum", ErrDamaged, body[0], n)
	}
	return body[0], body[1:], nil
}

// cut makes the end of the input inside of a frame a damage.
func cut(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it ends inside of a frame", ErrDamaged)
	}
	return err
}
