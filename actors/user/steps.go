package user

import (
	"encoding/binary"
	"errors"
	"strconv"

	"google.golang.org/protobuf/types/known/timestamppb"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// steps are those of a trail in the words of the contract.
type steps struct {
	message []*rousev1.TraceStep
	devices map[string][]*rousev1.TraceStep
	cut     bool // some are missing
}

var errTrail = errors.New("user: stored steps are damaged")

// decodeSteps reads a trail of the given time, with an error as far as it can be
// read. An empty one has no steps.
func decodeSteps(trail string, at *timestamppb.Timestamp) (*steps, error) {
	s := &steps{devices: map[string][]*rousev1.TraceStep{}}
	if trail == "" {
		return s, nil
	}
	if trail[0]&^trailCut != trailVersion {
		return s, errTrail
	}
	s.cut = trail[0]&trailCut != 0
	r := trailReader{rest: trail[1:]}
	for device := ""; r.rest != "" && !r.bad; {
		step := r.octet()
		if step == 0 {
			device = r.text()
			continue
		}
		p := r.step()
		if r.bad {
			break
		}
		p.Step, p.At = rousev1.DecisionStep(step), at
		if device == "" {
			s.message = append(s.message, p)
		} else {
			s.devices[device] = append(s.devices[device], p)
		}
	}
	if r.bad {
		return s, errTrail
	}
	return s, nil
}

// trailReader takes values off a trail; bad once one is not there.
type trailReader struct {
	rest string
	bad  bool
}

func (r *trailReader) octet() byte {
	if r.rest == "" {
		r.bad = true
		return 0
	}
	b := r.rest[0]
	r.rest = r.rest[1:]
	return b
}

func (r *trailReader) uvarint() uint64 {
	var head [binary.MaxVarintLen64]byte
	n, width := binary.Uvarint(head[:copy(head[:], r.rest)])
	if width <= 0 {
		r.bad, r.rest = true, ""
		return 0
	}
	r.rest = r.rest[width:]
	return n
}

func (r *trailReader) varint() int64 {
	n := r.uvarint()
	return int64(n>>1) ^ -int64(n&1)
}

// text of the vocabulary of a later version is empty.
func (r *trailReader) text() string {
	n := r.uvarint()
	if n&1 == 1 {
		return spell(n >> 1)
	}
	if n >>= 1; n > uint64(len(r.rest)) {
		r.bad, r.rest = true, ""
		return ""
	}
	s := r.rest[:n]
	r.rest = r.rest[n:]
	return s
}

func spell(w uint64) string {
	if w < uint64(len(vocabulary)) {
		return vocabulary[w]
	}
	return ""
}

func (r *trailReader) step() *rousev1.TraceStep {
	marks := r.octet()
	p := &rousev1.TraceStep{Verdict: rousev1.StepVerdict(marks & verdictMask)}
	if marks&hasReason != 0 {
		p.Reason = rousev1.Reason(r.uvarint())
	}
	if marks&hasRule != 0 {
		p.Rule = r.text()
	}
	for range marks >> inputShift & inputMask {
		name, value := spell(uint64(r.octet())), r.value()
		if p.Inputs == nil {
			p.Inputs = make(map[string]string, maxInputs)
		}
		p.Inputs[name] = value
	}
	return p
}

func (r *trailReader) value() string {
	switch f := form(r.octet()); f {
	case formText:
		return r.text()
	case formNumber:
		return strconv.FormatInt(r.varint(), 10)
	case formNo:
		return "false"
	case formYes:
		return "true"
	default:
		n := r.varint()
		if of := int(f - formEnum); of < len(enumerations) {
			if name, ok := enumerations[of][int32(n)]; ok {
				return name
			}
		}
		return strconv.FormatInt(n, 10)
	}
}
