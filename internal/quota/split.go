package quota

import (
	"encoding/binary"
	"errors"
	"maps"
	"slices"
)

const (
	splitVersion = 1
	// maxSplit bounds the nodes that share an account.
	maxSplit = 4096
)

var errSplit = errors.New("stored shares of a rate cannot be read")

// Encode appends the split as it is stored: version 1, the number of nodes, and
// for each its id, 8 bytes big-endian, and its rate. Numbers are unsigned varints.
func (s Split) Encode(b []byte) []byte {
	b = binary.AppendUvarint(append(b, splitVersion), uint64(len(s)))
	for _, node := range slices.Sorted(maps.Keys(s)) {
		b = binary.AppendUvarint(binary.BigEndian.AppendUint64(b, node), s[node])
	}
	return b
}

// ParseSplit undoes Encode.
func ParseSplit(b []byte) (Split, error) {
	if len(b) == 0 || b[0] != splitVersion {
		return nil, errSplit
	}
	n, size := binary.Uvarint(b[1:])
	if size <= 0 || n > maxSplit {
		return nil, errSplit
	}
	b = b[1+size:]
	s := make(Split, n)
	for range n {
		if len(b) < 8 {
			return nil, errSplit
		}
		node := binary.BigEndian.Uint64(b)
		rate, size := binary.Uvarint(b[8:])
		if size <= 0 {
			return nil, errSplit
		}
		s[node], b = rate, b[8+size:]
	}
	return s, nil
}
