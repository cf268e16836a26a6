package client

import (
	"slices"
	"time"
)

// maxEngines bounds the addresses that a client knows.
const maxEngines = 64

// nextEngine is the longest pause before another engine is tried, of which a
// random part is taken: many clients lose a node at the same moment.
const nextEngine = 20 * time.Millisecond

// engines are the nodes of a cluster, and which of them is the client's. It is
// pure: the caller brings the lock and the chance.
type engines struct {
	given  []string // by the options
	all    []string
	at     int // in all
	failed int // attempts in a row
}

// newEngines begins anywhere, so that the clients spread; random is in [0, 1).
func newEngines(given []string, random float64) *engines {
	e := &engines{}
	for _, address := range given {
		if !slices.Contains(e.given, address) {
			e.given = append(e.given, address)
		}
	}
	e.all = slices.Clone(e.given)
	e.at = int(random*float64(len(e.all))) % len(e.all)
	return e
}

// current is the engine to connect to.
func (e *engines) current() string { return e.all[e.at] }

// learn takes over what the current engine says of the others. Those of the
// options stay: they may be names that lead to any node.
func (e *engines) learn(told []string) {
	here := e.current()
	all := slices.Clone(e.given)
	for _, address := range append([]string{here}, told...) {
		if len(all) < maxEngines && !slices.Contains(all, address) {
			all = append(all, address)
		}
	}
	e.all, e.at = all, max(0, slices.Index(all, here))
}

// worked says that the connection was a good one.
func (e *engines) worked() { e.failed = 0 }

// next goes on to the next engine and tells the pause before: a short one, or
// the usual one when all have been tried.
func (e *engines) next(random float64) time.Duration {
	e.failed++
	e.at = (e.at + 1) % len(e.all)
	if e.failed%len(e.all) != 0 {
		return time.Duration(random * float64(nextEngine))
	}
	return backoff(e.failed/len(e.all), firstReconnect, mostReconnect, random)
}
