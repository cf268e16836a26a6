// Package vendortest is the conformance suite of vendors.Sender: the same
// cases run against every vendor's client and its fake server, in fake time.
package vendortest

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/fake"
)

// Harness describes one vendor to the suite.
type Harness struct {
	// Start makes a fake and a Sender connected to it, with MaxInFlight at
	// most 64. It runs inside a synctest bubble, so connections go through
	// fake.PipeListener; it registers its own clean-up with t.Cleanup.
	Start func(t *testing.T) *Rig
	// Answers are scripted vendor answers and what Send must make of each.
	Answers map[Situation]Answer
	// MaxBytes bounds Push.Bytes.
	MaxBytes int
	// Lacks names what the vendor's protocol cannot express.
	Lacks Feature
}

// Rig is one running fake with its Sender.
type Rig struct {
	Sender vendors.Sender
	Faults *fake.Faults
	// NewToken returns a live device token that no earlier call returned.
	NewToken func() string
	// Kill makes the vendor answer that token is dead since then.
	Kill func(token string, since time.Time)
	// Seen lists the pushes that the vendor took for token, oldest first.
	Seen func(token string) []Push
	// Requests counts the send requests that arrived, answered or not.
	Requests func() int
	// Peak is the greatest number of send requests that were open at one time.
	Peak func() int
	// ExpireAuth ends the validity of the bearer in use; nil when the vendor has none.
	ExpireAuth func()
	// Bearers counts the distinct bearers given out or first seen.
	Bearers func() int
	// Secrets must never show in a Result or an error.
	Secrets []string
}

// Push is what a vendor took, read back from the wire.
type Push struct {
	ID, Title, Subtitle, Body, Sound  string
	ImageURL, Category, Thread, Group string // Group is the collapse id
	// Badge is nil when the icon stays unchanged.
	Badge *int
	Data  map[string]string
	// Expires is when the vendor gives up, to the second; zero = at once.
	Expires time.Time
	// Bytes is the size that the vendor's limit is about.
	Bytes int
}

// Feature is a set of protocol abilities.
type Feature uint32

// Features a vendor may lack.
const (
	Subtitle Feature = 1 << iota
	Sound
	Image
	Category
	Thread
	Collapse
	AbsoluteBadge
	BadgeClear // an absolute badge of 0
	BadgeOnly  // ChannelBadge
	VoIP
	TTL
	PushID // the vendor is told PushID
	InvalidSince
	Goaway // an HTTP/2 server that says goodbye properly
)

func (h *Harness) has(f Feature) bool { return h.Lacks&f == 0 }

// Situation names a class of vendor answers.
type Situation string

// Situations. A harness must script each of Required.
const (
	Throttled       Situation = "throttled"
	ThrottledPause  Situation = "throttled, with a pause asked for"
	ThrottledDevice Situation = "throttled, this device only"
	QuotaUsedUp     Situation = "daily quota used up"
	ServerError     Situation = "500"
	Unavailable     Situation = "503"
	UnavailablePage Situation = "503 with a proxy's HTML page and Retry-After"
	NotFoundPage    Situation = "404 with a proxy's HTML page"
	EmptyBody       Situation = "502 with an empty body"
	HugeBody        Situation = "500 with a body beyond reason"
	BadCredential   Situation = "credential refused"
	BadRequest      Situation = "request refused"
	Unknown4xx      Situation = "400 with a code from the future"
	Unknown5xx      Situation = "599 with a code from the future"
)

// Required lists the situations that every vendor has.
var Required = []Situation{
	Throttled, ServerError, Unavailable, UnavailablePage, NotFoundPage, EmptyBody, HugeBody,
	BadCredential, BadRequest, Unknown4xx, Unknown5xx,
}

// Answer is a scripted answer and its meaning.
type Answer struct {
	Fault fake.Fault
	// Want is compared with the Result, VendorID excepted.
	Want vendors.Result
	// Requests is how often Send asks the vendor; 0 means once.
	Requests int
}

// Run runs every case in its own bubble.
func Run(t *testing.T, h Harness) {
	for _, s := range Required {
		if _, ok := h.Answers[s]; !ok {
			t.Errorf("the harness scripts no answer for %q", s)
		}
	}
	for _, c := range cases {
		if h.Lacks&c.needs != 0 {
			continue
		}
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := start(t, &h)
				c.run(t, p)
				p.checkCanaries(t)
			})
		})
	}
	for s, answer := range h.Answers {
		t.Run("answer/"+string(s), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := start(t, &h)
				p.answer(t, answer)
				p.checkCanaries(t)
			})
		})
	}
}
