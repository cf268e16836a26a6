package vendortest

import (
	"crypto/tls"
	"testing"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/fake"
)

// Harness describes one protocol to the suite.
type Harness struct {
	// Protocol names it in the count of cases and in the names of golden files.
	Protocol string
	// Start makes a fake and a Sender connected to it, with MaxInFlight at
	// most 64. It runs inside a synctest bubble, so connections go through
	// fake.PipeListener; it registers its own clean-up with t.Cleanup.
	Start func(t *testing.T) *Rig
	// Answers are scripted vendor answers and what Send must make of each.
	Answers map[Situation]Answer
	// Codes are the result codes of the vendor's documents.
	Codes []Code
	// Classes is what Push.Kind must be for each class of message, all four.
	Classes map[vendors.Class]string
	// Own is what Push.Kind must be for a push with that category of its own,
	// of ClassIM.
	Own map[string]string
	// Override is what the vendor's fake takes of a message in place of the
	// credential's: all that the protocol has.
	Override vendors.Override
	// MaxBytes bounds Push.Bytes.
	MaxBytes int
	// MaxBadge is what a greater badge becomes; 0 = badges have no bound.
	MaxBadge int
	// Batch tells how the vendor answers for many tokens; nil = it cannot.
	Batch *Batch
	// Lacks names what the vendor's protocol cannot express.
	Lacks Feature
}

// Rig is one running fake with its Sender.
type Rig struct {
	Sender vendors.Sender
	Faults *fake.Faults
	// AuthFaults hit requests for a bearer; nil when none is asked for.
	AuthFaults *fake.Faults
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
	// SetRate bounds what the vendor counts, per second; 0 = no bound.
	SetRate func(perSecond int)
	// SetCert changes the certificate of the fake for new connections. It is
	// signed by CA for Hosts.
	SetCert func(tls.Certificate)
	CA      *fake.CA
	Hosts   []string
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
	// Kind is what the vendor is told of the class of message: its words for
	// category, channel, importance and priority, parted by spaces.
	Kind string
	// Badge is nil when the icon stays unchanged or counts by itself.
	Badge *int
	// Add is what the icon's number grows by.
	Add  int
	Data map[string]string
	// Expires is when the vendor gives up, to the second; zero = at once.
	Expires time.Time
	// Bytes is the size that the vendor's limit is about.
	Bytes int
	// Wire is the request as it came, without what differs in each run.
	Wire string
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
	AddBadge   // a badge that grows by one
	BadgeOnly  // ChannelBadge
	VoIP
	TTL
	PushID // the vendor is told PushID
	InvalidSince
	Goaway // an HTTP/2 server that says goodbye properly
	Bearer // access tokens that expire
	Grant  // which are asked for at the vendor's
	Batches
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
	// BearerRefused is needed by protocols with bearers.
	BearerRefused Situation = "bearer refused for good"
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

// Code is a result code of the vendor's documents and its meaning.
type Code struct {
	// Name of the code; Result.Code is the same unless the push is accepted.
	Name  string
	Fault fake.Fault
	Want  vendors.Outcome
	// Shown is Result.Code where it is not Name.
	Shown string
}

// CodesOf makes codes from lists by outcome; fault answers with one.
func CodesOf(fault func(code string) fake.Fault, by map[vendors.Outcome][]string) []Code {
	var codes []Code
	for outcome, names := range by {
		for _, name := range names {
			codes = append(codes, Code{Name: name, Fault: fault(name), Want: outcome})
		}
	}
	return codes
}

// Batch is how a vendor answers a call with several tokens.
type Batch struct {
	// Reply takes the push for all but the dead. It names tokens in the order
	// given, where the vendor names them at all; they may repeat, and may be
	// none of the call's. The push itself is not recorded.
	Reply func(fine, dead []string) fake.Fault
	// Dead is the outcome of the dead, and of none other.
	Dead vendors.Outcome
	// Unnamed is the outcome of tokens that the reply does not name.
	Unnamed vendors.Outcome
}
