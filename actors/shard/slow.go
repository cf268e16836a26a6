package shard

import "time"

// slowAfter is how long a commit or a confirmation takes before the log tells of it:
// as long as a router tries, and half as long as a gateway waits, so that the reason
// stands in the log before what callers are told.
const slowAfter = 5 * time.Second

// began is when something that shards wait for began.
type began struct {
	at   time.Time
	told bool // that it takes long
}

// complain tells once of a commit, and of a confirmation, that takes too long.
func (a *Actor) complain(now time.Time) {
	a.complainOf("commit", &a.began, len(a.inFlight), now)
	a.complainOf("confirmation", &a.unsure.began, len(a.unsure.asked), now)
}

func (a *Actor) complainOf(stage string, b *began, steps int, now time.Time) {
	if steps == 0 || b.told || now.Sub(b.at) < slowAfter {
		return
	}
	b.told = true
	a.o.Logger.Warn("a shard waits for its log, and callers will give up", "stage", stage, "shard", a.id, "term", a.term,
		"for", now.Sub(b.at).Round(time.Millisecond), "steps", steps, "waiting", a.waiting())
}
