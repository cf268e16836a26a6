package quota

import (
	"encoding/binary"
	"errors"
	"time"
)

// record is what is stored of an account: version 1, end of the day in unix
// seconds, and for each class the pushes used, the end of the vendor's word in
// unix seconds (0 = none), and its code with the length before. Numbers are
// unsigned varints.
type record struct {
	end  time.Time // used is of the day that ends then
	uses [Classes]Use
}

const (
	recordVersion = 1
	maxCode       = 64
)

var errRecord = errors.New("a stored quota cannot be read")

// past: neither a use nor a word of the vendor's counts any more.
func (r *record) past(now time.Time) bool {
	for c := range r.uses {
		if now.Before(r.uses[c].Until) {
			return false
		}
	}
	return !now.Before(r.end)
}

func (r *record) encode(b []byte) []byte {
	b = append(b, recordVersion)
	b = appendTime(b, r.end)
	for c := range r.uses {
		u := &r.uses[c]
		b = binary.AppendUvarint(b, u.Used)
		b = appendTime(b, u.Until)
		code := u.Code[:min(len(u.Code), maxCode)]
		b = append(binary.AppendUvarint(b, uint64(len(code))), code...)
	}
	return b
}

// appendTime rounds up to whole seconds: a pause is not cut short.
func appendTime(b []byte, t time.Time) []byte {
	if t.IsZero() {
		return append(b, 0)
	}
	return binary.AppendUvarint(b, uint64(max(0, t.Add(time.Second-1).Unix())))
}

func parse(b []byte) (r record, err error) {
	if len(b) == 0 || b[0] != recordVersion {
		return record{}, errRecord
	}
	b = b[1:]
	number := func() uint64 {
		n, size := binary.Uvarint(b)
		if size <= 0 {
			err = errRecord
			return 0
		}
		b = b[size:]
		return n
	}
	moment := func() time.Time {
		s := number()
		if s == 0 || s > 1<<40 {
			return time.Time{}
		}
		return time.Unix(int64(s), 0)
	}
	r.end = moment()
	for c := range r.uses {
		u := &r.uses[c]
		u.Used, u.Until = number(), moment()
		n := number()
		if n > maxCode || n > uint64(len(b)) {
			return record{}, errRecord
		}
		u.Code, b = string(b[:n]), b[n:]
	}
	if err != nil {
		return record{}, err
	}
	return r, nil
}
