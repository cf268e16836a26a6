package user

import (
	"errors"

	"google.golang.org/protobuf/encoding/protowire"
)

// errCorrupt tells that stored bytes are not of the form written here.
var errCorrupt = errors.New("user: stored record is damaged")

// reader walks the fields of a protobuf message held in a string; what it
// returns aliases that string, so that decoding a record allocates nothing.
type reader struct {
	s   string
	err error
}

// next returns the next field: its number, and its varint or bytes. Field
// types other than those two do not occur.
func (r *reader) next() (field protowire.Number, n uint64, b string, ok bool) {
	if r.err != nil || r.s == "" {
		return 0, 0, "", false
	}
	tag := r.varint()
	field = protowire.Number(tag >> 3)
	switch protowire.Type(tag & 7) {
	case protowire.VarintType:
		n = r.varint()
	case protowire.BytesType:
		size := r.varint()
		if size > uint64(len(r.s)) {
			r.err = errCorrupt
			break
		}
		b, r.s = r.s[:size], r.s[size:]
	default:
		r.err = errCorrupt
	}
	return field, n, b, r.err == nil
}

func (r *reader) varint() uint64 {
	var v uint64
	for i := 0; i < len(r.s) && i < 10; i++ {
		c := r.s[i]
		v |= uint64(c&0x7f) << (7 * i)
		if c < 0x80 {
			r.s = r.s[i+1:]
			return v
		}
	}
	r.err = errCorrupt
	r.s = ""
	return 0
}

func putInt[T ~uint8 | ~int32 | ~uint32 | ~int64 | ~uint64](b []byte, field protowire.Number, v T) []byte {
	if v == 0 {
		return b
	}
	return protowire.AppendVarint(protowire.AppendTag(b, field, protowire.VarintType), uint64(v))
}

func putString(b []byte, field protowire.Number, v string) []byte {
	if v == "" {
		return b
	}
	return protowire.AppendString(protowire.AppendTag(b, field, protowire.BytesType), v)
}

func putBytes(b []byte, field protowire.Number, v []byte) []byte {
	return protowire.AppendBytes(protowire.AppendTag(b, field, protowire.BytesType), v)
}
