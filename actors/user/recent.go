package user

import "github.com/cespare/xxhash/v2"

// recent remembers which messages were decided on one day, as bits of their
// hashes: a bit that is not set spares a look into the store. For a user with
// some tens of messages a day most looks are spared. Its fields are small to
// keep an actor within 128 bytes.
type recent struct {
	day   uint16 // unix day; 0 = none
	bits  [8]uint8
	whole bool // all messages of the day are in bits
}

// maybe is false only if no message of this id was decided on that day.
func (r *recent) maybe(day uint16, message string) bool {
	i, bit := place(message)
	return day != r.day || !r.whole || r.bits[i]&bit != 0
}

func (r *recent) add(day uint16, message string) {
	if day == r.day {
		i, bit := place(message)
		r.bits[i] |= bit
	}
}

func place(message string) (i uint64, bit uint8) {
	h := hash(message)
	return h >> 3 & 7, 1 << (h & 7)
}

func hash(message string) uint64 { return xxhash.Sum64String(message) }
