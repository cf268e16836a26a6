package fake

import (
	"slices"
	"sync"
	"time"
)

// FaultKind says how a request goes wrong.
type FaultKind uint8

// Kinds of fault. The zero value adds Delay and then answers as usual.
const (
	// Slow only delays.
	Slow FaultKind = iota
	// Answer replaces the vendor's answer by Status, Header and Body; the
	// push is not taken.
	Answer
	// Hang never answers: the request stays open until the client gives up.
	Hang
	// Cut takes the push and closes the connection instead of answering, so
	// that the client cannot know the outcome.
	Cut
	// Abort takes the push, sends half an answer and ends the stream.
	Abort
	// Refuse does not take the push and says so on the protocol level:
	// REFUSED_STREAM on HTTP/2, a closed connection on HTTP/1.1.
	Refuse
	// Goaway ends an HTTP/2 connection with a GOAWAY frame whose debug data
	// is Body; this request is not taken. On HTTP/1.1 it is Refuse.
	Goaway
	// Freeze stops the whole connection without closing it: nothing is handled
	// or written any more, PING included. On HTTP/1.1 it is Hang.
	Freeze
	// Streams sends SETTINGS with MaxStreams, then answers as usual; only
	// the APNs fake knows it, elsewhere it is Slow.
	Streams
)

// Fault is one scripted failure.
type Fault struct {
	Kind FaultKind
	// Delay comes first, for every kind.
	Delay time.Duration
	// Status, Header and Body make up an Answer; Body is also Goaway's debug data.
	Status int
	Header map[string]string
	Body   string
	// MaxStreams is the limit that Streams announces.
	MaxStreams uint32
	// Times is the number of requests to hit; 0 = until Clear.
	Times int
	// Tokens limits the fault to these device tokens; empty = all.
	Tokens []string
}

// HTML is a proxy's error page: an answer that is no vendor's.
func HTML(status int) Fault {
	return Fault{
		Kind: Answer, Status: status,
		Header: map[string]string{"content-type": "text/html"},
		Body:   "<html><head><title>Error</title></head><body><h1>upstream failed</h1></body></html>",
	}
}

// maxFaults bounds a script; beyond, the oldest faults are forgotten.
const maxFaults = 10_000

// Faults is the script of one server. The zero value has no faults.
type Faults struct {
	mu    sync.Mutex
	queue []Fault
}

// Script adds faults behind those already waiting.
func (s *Faults) Script(faults ...Fault) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = append(s.queue, faults...)
	s.queue = s.queue[max(0, len(s.queue)-maxFaults):]
}

// Clear ends all faults; requests already hit stay hit.
func (s *Faults) Clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.queue = nil
}

// Take returns the first fault that applies to token and counts it as used.
func (s *Faults) Take(token string) (Fault, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, f := range s.queue {
		if len(f.Tokens) > 0 && !slices.Contains(f.Tokens, token) {
			continue
		}
		switch f.Times {
		case 0:
		case 1:
			s.queue = slices.Delete(s.queue, i, i+1)
		default:
			s.queue[i].Times--
		}
		return f, true
	}
	return Fault{}, false
}
