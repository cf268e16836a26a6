package fake

import (
	"slices"
	"strings"
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
	// Reset does not take the push and ends the request without an answer or a
	// reason: RST_STREAM with INTERNAL_ERROR on HTTP/2, a closed connection on
	// HTTP/1.1.
	Reset
	// Drip is an Answer whose body comes byte by byte, Delay before each.
	Drip
	// Streams sends SETTINGS with MaxStreams, then answers as usual; only
	// the APNs fake knows it, elsewhere it is Slow.
	Streams
)

// Fault is one scripted failure.
type Fault struct {
	Kind FaultKind
	// Delay comes first, for every kind but Drip.
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

// HalfJSON is an answer that ends in the middle of its JSON.
func HalfJSON(status int) Fault {
	return Fault{
		Kind: Answer, Status: status, Header: map[string]string{"content-type": "application/json"},
		Body: `{"code":0,"result":{"ok`,
	}
}

// GBK is a JSON answer without a code whose text is in GBK, though it says
// UTF-8: "服务器忙" ("the server is busy").
func GBK(status int) Fault {
	return Fault{
		Kind: Answer, Status: status, Header: map[string]string{"content-type": "application/json;charset=UTF-8"},
		Body: "{\"message\":\"\xb7\xfe\xce\xf1\xc6\xf7\xc3\xa6\"}",
	}
}

// HugeBytes is the size of the body of Huge.
const HugeBytes = 10 << 20

// Huge is an answer with a body beyond reason.
func Huge(status int) Fault {
	return Fault{
		Kind: Answer, Status: status, Header: map[string]string{"content-type": "application/json"},
		Body: strings.Repeat("x", HugeBytes),
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
