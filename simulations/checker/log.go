// Package checker judges a run after its end: from what its clients, engine and
// vendors wrote down and from what is in the stores, it finds what must never be.
// Each invariant is a check with a name; what it finds names the events.
package checker

import (
	"time"

	"github.com/rouse-im/rouse/simulations"
)

// Entry is one line of a run's log: exactly one field is set.
type Entry struct {
	Event    *simulations.Event `json:"event,omitempty"` // what happened, before it is told
	Fault    *simulations.Fault `json:"fault,omitempty"`
	Limits   *Limits            `json:"limits,omitempty"`
	Ack      *Ack               `json:"ack,omitempty"`
	Outcome  *Outcome           `json:"outcome,omitempty"`
	Push     *Push              `json:"push,omitempty"`
	Stored   *Stored            `json:"stored,omitempty"`
	Dropped  *Dropped           `json:"dropped,omitempty"`
	Commit   *Commit            `json:"commit,omitempty"`
	Moved    *Moved             `json:"moved,omitempty"`
	Lead     *Lead              `json:"lead,omitempty"`
	Register *Register          `json:"register,omitempty"`
	Gauge    *Gauge             `json:"gauge,omitempty"`
	Counter  *Counter           `json:"counter,omitempty"`
	Probe    *Probe             `json:"probe,omitempty"`
	Stop     *Stop              `json:"stop,omitempty"`
	Access   *Access            `json:"access,omitempty"`
	Canary   *Canary            `json:"canary,omitempty"`
	Write    *Write             `json:"write,omitempty"`
	Audit    *Audit             `json:"audit,omitempty"`
}

// Limits that hold for a run.
type Limits struct {
	// Start is the wall clock at offset 0; without it quiet windows are not judged.
	Start time.Time `json:"start,omitzero"`
	// Rates by notifier: pushes a second, and the burst beside it.
	Rates map[string]Rate `json:"rates,omitempty"`
	// Quotas by notifier: pushes that its vendor may take in the whole run, calls
	// left out.
	Quotas map[string]uint64 `json:"quotas,omitempty"`
	// TTL of messages that have none of their own, in ms; 0 = none is judged.
	TTL simulations.Offset `json:"ttl,omitempty"`
	// Handover is how long a push may be on its way to a vendor, in ms.
	Handover simulations.Offset `json:"handover,omitempty"`
	// Drain is how long backlogs may take after the last fault, in ms.
	Drain simulations.Offset `json:"drain,omitempty"`
	// Quick latencies, below this many ms, are never called slow; 0 = 50.
	Quick simulations.Offset `json:"quick,omitempty"`
}

// Rate of a credential.
type Rate struct {
	PerSecond float64 `json:"per_second"`
	Burst     float64 `json:"burst"`
}

// Ack is the engine's answer to an event, as the client saw it.
type Ack struct {
	Event    uint64             `json:"event"`
	Sent     simulations.Offset `json:"sent"`
	Answered simulations.Offset `json:"answered"`
	// Status: "accepted", "duplicate", "stale", "refused", or "unknown" for none.
	Status string `json:"status"`
}

// Outcome as the engine keeps it at the end.
type Outcome struct {
	App      string `json:"app,omitempty"`
	Event    uint64 `json:"event"` // of the message
	User     string `json:"user"`
	Message  string `json:"message"`
	Device   string `json:"device,omitempty"`
	Notifier string `json:"notifier,omitempty"`
	// Status in lower case ("accepted", "pending", …), Reason as the contract has it.
	Status string `json:"status"`
	Reason string `json:"reason"`
	PushID string `json:"push,omitempty"`
	Badge  *int   `json:"badge,omitempty"`
	// Delayed: the push waited for its time by decision.
	Delayed bool               `json:"delayed,omitempty"`
	Decided simulations.Offset `json:"decided"`
	Ended   simulations.Offset `json:"ended,omitempty"`
}

// Push is one attempt, as the vendor saw it.
type Push struct {
	App      string             `json:"app,omitempty"`
	At       simulations.Offset `json:"at"`
	Vendor   string             `json:"vendor"`
	Notifier string             `json:"notifier"`
	Token    string             `json:"token"`
	PushID   string             `json:"push"`
	Message  string             `json:"message,omitempty"`
	Badge    *int               `json:"badge,omitempty"`
	// Answer: "accepted", "invalid-token", "rejected", "throttled", "error", or
	// "none" if the sender could not see one.
	Answer string `json:"answer"`
	// RetryAfter in ms, with throttled. Device: it is asked of this token alone.
	RetryAfter simulations.Offset `json:"retry_after,omitempty"`
	Device     bool               `json:"device,omitempty"`
	// Since is from when on the token is invalid, if the vendor said so.
	Since simulations.Offset `json:"since,omitempty"`
	// By is the run of a node that sent it, and Shard that of its user; Answered
	// is when the run had the answer. Empty and 0 where nobody looked.
	By       string             `json:"by,omitempty"`
	Shard    uint16             `json:"shard,omitempty"`
	Answered simulations.Offset `json:"answered,omitempty"`
}

// Stored is a device as the stores have it at the end.
type Stored struct {
	User    string `json:"user"`
	Device  string `json:"device"`
	Session uint64 `json:"session,omitempty"`
	Step    uint64 `json:"step,omitempty"`
	Count   int    `json:"count,omitempty"`
	// Tokens by notifier.
	Tokens map[string]string `json:"tokens,omitempty"`
}

// Dropped is a token that the engine removed because of a vendor's answer.
type Dropped struct {
	At       simulations.Offset `json:"at"`
	Notifier string             `json:"notifier"`
	Token    string             `json:"token"`
	// Since is from when on the vendor calls it invalid; Bound when it was registered.
	Since simulations.Offset `json:"since,omitempty"`
	Bound simulations.Offset `json:"bound"`
}

// Commit of a shard's leader.
type Commit struct {
	At    simulations.Offset `json:"at"`
	Shard uint16             `json:"shard"`
	Epoch uint64             `json:"epoch"`
	Node  string             `json:"node"`
	// Index of the entry in the shard's log.
	Index uint64 `json:"index"`
}

// Moved says that a node lost leaderships which it did not hand over, in this
// time: what it was doing for their shards then may be done again.
type Moved struct {
	Node string             `json:"node"`
	From simulations.Offset `json:"from"`
	To   simulations.Offset `json:"to"`
}

// Lead is a time in which a run of a node took itself for the leader of a shard.
// It was looked at now and then: it may have begun and ended up to LeadSlack
// earlier or later.
type Lead struct {
	By    string             `json:"by"`
	Shard uint16             `json:"shard"`
	Term  uint64             `json:"term"`
	From  simulations.Offset `json:"from"`
	To    simulations.Offset `json:"to"`
}

// LeadSlack is how often leaders are looked at, at least.
const LeadSlack = simulations.Offset(100)

// Register is an operation on something with one value, as its caller saw it.
type Register struct {
	Key    string             `json:"key"`
	Client int                `json:"client"`
	Write  bool               `json:"write,omitempty"`
	Value  string             `json:"value"`
	Call   simulations.Offset `json:"call"`
	Return simulations.Offset `json:"return"`
	// Unknown: the write got no answer, so that it may come true at any time from
	// Call on, or never.
	Unknown bool   `json:"unknown,omitempty"`
	Event   uint64 `json:"event,omitempty"`
}

// Gauge is something that is measured now and then.
type Gauge struct {
	At    simulations.Offset `json:"at"`
	Node  string             `json:"node"`
	Name  string             `json:"name"`
	Value float64            `json:"value"`
	// Bound that is configured; 0 = none.
	Bound float64 `json:"bound,omitempty"`
	// Backlog: it must fall to 0 after the last fault.
	Backlog bool `json:"backlog,omitempty"`
}

// Counter is a metric at the end, summed over nodes and their restarts.
type Counter struct {
	Name  string  `json:"name"` // "outcomes"
	Label string  `json:"label"`
	Value float64 `json:"value"`
}

// Probe is input that must be refused.
type Probe struct {
	Name string `json:"name"`
	// Answer: "typed-error", "ok", "hang", "crash".
	Answer  string `json:"answer"`
	Counted bool   `json:"counted"`
	Changed bool   `json:"changed,omitempty"` // it left something behind
}

// Stop of a node that was asked to.
type Stop struct {
	Node     string             `json:"node"`
	Asked    simulations.Offset `json:"asked"`
	Done     simulations.Offset `json:"done"` // 0 = never
	Deadline simulations.Offset `json:"deadline"`
}

// Access of one app to what belongs to another.
type Access struct {
	App     string `json:"app"`
	Of      string `json:"of"`
	What    string `json:"what"`
	Allowed bool   `json:"allowed"`
}

// Canary is a search for something that must not be there.
type Canary struct {
	What string `json:"what"`
	// Where: "logs", "metrics", "store", …
	Where string `json:"where"`
	Bytes int64  `json:"bytes"` // searched
	Found int    `json:"found"`
	// Erased user whose data they are; empty = a secret.
	Erased string `json:"erased,omitempty"`
}

// Write of somebody in the console, and its Audit record.
type Write struct {
	ID   string `json:"id"`
	What string `json:"what"`
}

// Audit record of a write.
type Audit struct {
	Write string `json:"write"`
	Who   string `json:"who"`
}
