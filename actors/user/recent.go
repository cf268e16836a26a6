package user

import "github.com/cespare/xxhash/v2"

// recent remembers which messages were decided on one day, as bits of their
// hashes: a bit that is not set spares a look into the store. For a user with
// some tens of messages a day most looks are spared.
type recent struct {
	bits  uint64
	day   uint16 // unix day; 0 = none
	whole bool   // all messages of the day are in bits
}

// maybe is false only if no message of this id was decided on that day.
func (r *recent) maybe(day uint16, message string) bool {
	return day != r.day || !r.whole || r.bits&bit(message) != 0
}

func (r *recent) add(day uint16, message string) {
	if day == r.day {
		r.bits |= bit(message)
	}
}

func bit(message string) uint64 { return 1 << (xxhash.Sum64String(message) & 63) }
