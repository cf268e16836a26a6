package storage

import (
	"encoding/binary"
	"errors"
)

// ErrBadEntry answers ReadEntry for bytes that AppendEntry does not write.
var ErrBadEntry = errors.New("storage: malformed entry; it was written by a newer release or is damaged")

// entryVersion heads every encoded entry; other versions are refused, so that
// a release never applies half of what it does not know.
const entryVersion = 1

// AppendEntry appends the form in which the mutations of one entry travel to
// other nodes and stand in logs: a version, then for each mutation op(u8), the
// key and the value with their lengths (uvarint) before them. Delete carries no
// value.
func AppendEntry(dst []byte, ms []Mutation) []byte {
	dst = append(dst, entryVersion)
	for i := range ms {
		m := &ms[i]
		dst = append(binary.AppendUvarint(append(dst, byte(m.Op)), uint64(len(m.Key))), m.Key...)
		if m.Op != Delete {
			dst = append(binary.AppendUvarint(dst, uint64(len(m.Value))), m.Value...)
		}
	}
	return dst
}

// EntrySize is an upper bound of what AppendEntry appends.
func EntrySize(ms []Mutation) int {
	n := 1
	for i := range ms {
		n += len(ms[i].Key) + len(ms[i].Value) + mutationOverhead
	}
	return n
}

// ReadEntry calls fn for each mutation of an entry until it returns an error,
// which ReadEntry returns; keys and values are parts of entry. Bytes that no
// AppendEntry wrote are ErrBadEntry, after the mutations that came before.
func ReadEntry(entry []byte, fn func(Mutation) error) error {
	if len(entry) == 0 || entry[0] != entryVersion {
		return ErrBadEntry
	}
	for entry = entry[1:]; len(entry) > 0; {
		m := Mutation{Op: Op(entry[0])}
		if m.Op < Set || m.Op > DeleteRange {
			return ErrBadEntry
		}
		var ok bool
		if m.Key, entry, ok = cutSized(entry[1:]); !ok {
			return ErrBadEntry
		}
		if m.Op != Delete {
			if m.Value, entry, ok = cutSized(entry); !ok {
				return ErrBadEntry
			}
		}
		if err := fn(m); err != nil {
			return err
		}
	}
	return nil
}

// cutSized cuts what has its length before it.
func cutSized(b []byte) (part, rest []byte, ok bool) {
	size, n := binary.Uvarint(b)
	if n <= 0 || size > uint64(len(b)-n) {
		return nil, nil, false
	}
	end := n + int(size)
	return b[n:end:end], b[end:], true
}
