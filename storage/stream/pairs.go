package stream

import (
	"encoding/binary"
	"fmt"
	"io"

	"github.com/cespare/xxhash/v2"
)

// Total is what two ends of a stream compare: number, size and an xxHash64 of
// all keys and values in their order.
type Total struct {
	Keys, Bytes uint64
	sum         xxhash.Digest
}

// NewTotal returns the total of nothing.
func NewTotal() *Total {
	t := &Total{}
	t.sum.Reset()
	return t
}

// Add counts one pair.
func (t *Total) Add(key, value []byte) {
	t.Keys++
	t.Bytes += uint64(len(key) + len(value))
	var head [2 * binary.MaxVarintLen64]byte
	b := binary.AppendUvarint(binary.AppendUvarint(head[:0], uint64(len(key))), uint64(len(value)))
	_, _ = t.sum.Write(b) // a digest accepts everything
	_, _ = t.sum.Write(key)
	_, _ = t.sum.Write(value)
}

// Sum is the hash of all that was added.
func (t *Total) Sum() uint64 { return t.sum.Sum64() }

const totalBytes = 3 * 8

// Append appends the payload of an End frame.
func (t *Total) Append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint64(dst, t.Keys)
	dst = binary.BigEndian.AppendUint64(dst, t.Bytes)
	return binary.BigEndian.AppendUint64(dst, t.Sum())
}

// Check compares the total with the payload of an End frame; ErrDamaged if they
// differ.
func (t *Total) Check(end []byte) error {
	if len(end) != totalBytes {
		return fmt.Errorf("%w: an end of %d bytes", ErrDamaged, len(end))
	}
	keys, size, sum := binary.BigEndian.Uint64(end), binary.BigEndian.Uint64(end[8:]), binary.BigEndian.Uint64(end[16:])
	if keys != t.Keys || size != t.Bytes || sum != t.Sum() {
		return fmt.Errorf("%w: %d keys of %d bytes with hash %016x arrived, %d of %d with %016x were sent",
			ErrDamaged, t.Keys, t.Bytes, t.Sum(), keys, size, sum)
	}
	return nil
}

// Writer writes pairs in frames.
type Writer struct {
	w     io.Writer
	total *Total
	frame []byte // open, of the pairs so far; empty = there are none
}

// NewWriter returns a writer of one group.
func NewWriter(w io.Writer) *Writer { return &Writer{w: w, total: NewTotal()} }

// Add writes one pair, at the latest with End.
func (w *Writer) Add(key, value []byte) error {
	w.total.Add(key, value)
	if len(w.frame) > 0 && len(w.frame)+len(key)+len(value) > chunkBytes {
		if err := w.flush(); err != nil {
			return err
		}
	}
	if len(w.frame) == 0 {
		w.frame = open(w.frame, Pairs)
	}
	w.frame = appendSized(appendSized(w.frame, key), value)
	return nil
}

// Skip counts a pair that the other end has already.
func (w *Writer) Skip(key, value []byte) { w.total.Add(key, value) }

// Total is what was added and skipped.
func (w *Writer) Total() *Total { return w.total }

// End writes what is left, and the total.
func (w *Writer) End() error {
	if len(w.frame) > 0 {
		if err := w.flush(); err != nil {
			return err
		}
	}
	return WriteFrame(w.w, End, w.total.Append(nil))
}

func (w *Writer) flush() error {
	if n := len(w.frame) - lengthBytes; n > maxFrameBytes {
		return fmt.Errorf("stream: frame of %d bytes, limit %d", n, maxFrameBytes)
	}
	_, err := w.w.Write(seal(w.frame))
	w.frame = w.frame[:0]
	return err
}

func appendSized(dst, b []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

// ReadPairs calls fn for each pair of a frame, in order, until it returns an
// error. Key and value are parts of the payload.
func ReadPairs(payload []byte, fn func(key, value []byte) error) error {
	for len(payload) > 0 {
		var pair [2][]byte
		for i := range pair {
			n, size := binary.Uvarint(payload)
			if size <= 0 || n > uint64(len(payload)-size) {
				return fmt.Errorf("%w: a pair does not fit into its frame", ErrDamaged)
			}
			pair[i], payload = payload[size:size+int(n)], payload[size+int(n):]
		}
		if err := fn(pair[0], pair[1]); err != nil {
			return err
		}
	}
	return nil
}
