package quota

import (
	"time"

	"github.com/rouse-im/rouse/internal/plant"
)

// Holder is what one node may use of shared rates. It is not for concurrent use.
type Holder struct {
	node, run, seq uint64
	epoch          uint64    // of the last answer
	asked          time.Time // when the last question was asked
	held           map[Key]Held
}

// Held is a share in use.
type Held struct {
	Rate  uint64
	Until time.Time // nothing may be used from then on
}

// NewHolder begins without any share. run is a random number that no other
// process of the node has.
func NewHolder(node, run uint64) *Holder {
	return &Holder{node: node, run: run, held: make(map[Key]Held)}
}

// Ask makes the next question: of accounts that are not wished for nothing is
// used any more. Answers to earlier questions are void from now on.
func (h *Holder) Ask(demand map[Key]uint64, now time.Time) Question {
	h.seq++
	h.asked = now
	q := Question{Node: h.node, Run: h.run, Seq: h.seq, Epoch: h.epoch}
	for key := range h.held {
		if _, wished := demand[key]; !wished {
			delete(h.held, key)
		}
	}
	for key, d := range demand {
		w := Wish{Key: key, Demand: d}
		if held := h.held[key]; now.Before(held.Until) {
			w.Holds = held.Rate
		} else {
			delete(h.held, key)
		}
		q.Wishes = append(q.Wishes, w)
	}
	return q
}

// Take takes the answer to a question in, with the lease that it names and the
// epoch of who gave it; false = it is not the answer to the last one.
func (h *Holder) Take(run, seq, epoch uint64, lease time.Duration, grants []Grant) bool {
	if run != h.run || seq != h.seq || h.asked.IsZero() {
		return false
	}
	until := h.asked.Add(lease)
	if plant.On(plant.GrantOutlivesShare) {
		until = until.Add(lease)
	}
	h.asked, h.epoch = time.Time{}, epoch
	for _, g := range grants {
		h.held[g.Key] = Held{g.Rate, until}
	}
	return true
}

// Held is what may be used of an account; the zero value = nothing.
func (h *Holder) Held(key Key) Held { return h.held[key] }
