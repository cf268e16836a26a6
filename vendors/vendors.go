// Package vendors is the contract between lanes and push vendors: what a lane
// hands over (Notification), what comes back (Result), and who does it (Sender).
//
// A Sender answers with an error only when the vendor gave no answer: network
// fault, deadline, cancelled context. Whatever the vendor did answer is a
// Result, never an error, and an answer that is not understood never drops a
// token. The list of vendors is in internal/app, not here: the vendor packages
// import this one.
package vendors

import (
	"context"
	"time"
)

// Sender sends to one vendor with one credential. Its methods may be called
// from many goroutines; Send blocks until the vendor answers or ctx ends, and
// keeps its own bound of pushes in flight (a further Send waits).
type Sender interface {
	// Send delivers one push. The error is nil when the vendor answered.
	// Errors hold no token, secret or text.
	Send(ctx context.Context, n *Notification) (Result, error)
	// MaxInFlight is the number of Sends that make progress at one time, >= 1.
	MaxInFlight() int
	// Close ends the connections; Sends under way fail.
	Close()
}

// BatchSender is a Sender whose vendor takes many tokens in one call. Found
// once, when a lane gets its sender.
type BatchSender interface {
	Sender
	// MaxBatch is the most tokens of one call, >= 2.
	MaxBatch() int
	// Same tells whether a and b look the same on the vendor's wire but for
	// PushID and Token, so that one SendBatch can carry both. Expires counts to
	// the second or coarser. It must be fast, and an equivalence.
	Same(a, b *Notification) bool
	// SendBatch sends what n shows to all tokens; n.Token and n.PushID are of
	// the first. len(tokens) is 1..MaxBatch(), without repeats. It returns a
	// Result for each token, in the order of tokens, whatever order and number
	// the vendor answered in; a token that the vendor did not mention has the
	// Result of the call as a whole. The error is as that of Send.
	SendBatch(ctx context.Context, n *Notification, tokens []string) ([]Result, error)
}

// Channel is the way a push travels within a vendor.
type Channel uint8

// Channels. A binding belongs to one of Alert and VoIP.
const (
	// ChannelAlert shows a notification.
	ChannelAlert Channel = iota + 1
	// ChannelVoIP wakes the app for a call (APNs PushKit).
	ChannelVoIP
	// ChannelBadge changes the icon's number and shows nothing.
	ChannelBadge
)

// Class chooses vendor category, priority and quota.
type Class uint8

// Classes, most urgent first.
const (
	ClassCall Class = iota + 1
	ClassIM
	ClassSystem
	ClassMarketing
)

// Notification is one push to one token. Lanes own it until Send returns;
// senders do not change or keep it.
type Notification struct {
	// PushID is a lower-case UUID, the same for each attempt.
	PushID  string
	Token   string
	Channel Channel
	Class   Class

	Title, Subtitle, Body string
	Sound                 string // vendor's sound name, "default" = system's, empty = none
	ImageURL              string
	Category              string // vendor category or channel, empty = the credential's
	ThreadID              string // groups notifications of one conversation
	CollapseID            string // at most 64 bytes, empty = none
	// Badge is the absolute number for the icon; negative = leave unchanged.
	Badge int
	// Override beats the credential.
	Override Override
	// Data goes to the app beside the notification.
	Data map[string]string
	// Expires is when the push is no longer wanted; never zero.
	Expires time.Time
}

// Override is what one message asks of the vendor in place of the credential.
// Zero fields leave it to the credential; what a vendor lacks has no effect there.
type Override struct {
	Category       string // beats Notification.Category
	ChannelID      string
	ClickAction    string // action, activity or intent
	Importance     string // Honor
	NotifyLevel    int    // OPPO
	ReceiptID      string // Huawei, HarmonyOS
	NotifyID       uint32 // HarmonyOS
	Test           bool   // Huawei, HarmonyOS, Honor
	Public         bool   // Meizu
	MutableContent bool   // APNs
	// ContentAvailable wakes the app (APNs).
	ContentAvailable bool
	AnalyticsLabel   string // FCM
}

// Outcome classes every vendor answer.
type Outcome uint8

// Outcomes.
const (
	// Accepted: the vendor took the push.
	Accepted Outcome = iota + 1
	// TokenInvalid: the token is dead; drop it if it is still the one stored
	// and InvalidSince (when given) is later than its binding.
	TokenInvalid
	// TokenReplaced: as Accepted, and NewToken replaces the token.
	TokenReplaced
	// Throttled: slow down within Scope, repeat after RetryAfter.
	Throttled
	// QuotaExhausted: a daily quota of the credential is used up.
	QuotaExhausted
	// Transient: repeat later with backoff.
	Transient
	// Rejected: this push can never be accepted; the token stays.
	Rejected
	// CredentialBad: key, certificate or project cannot be used; an operator must act.
	CredentialBad
)

// Scope tells what a Throttled answer is about.
type Scope uint8

// Scopes. The zero value is ScopeCredential.
const (
	ScopeCredential Scope = iota
	ScopeDevice
)

// Result is a vendor's answer.
type Result struct {
	Outcome Outcome
	Scope   Scope
	// Code is the vendor's own, at most 64 bytes ("BadDeviceToken"), for people and metrics.
	Code string
	// VendorID is the vendor's message id, at most 128 bytes.
	VendorID string
	// RetryAfter is the least pause that the vendor asked for; 0 = not said.
	RetryAfter time.Duration
	// InvalidSince is when the vendor knew the token to be dead; zero = not said.
	InvalidSince time.Time
	// NewToken is set with TokenReplaced.
	NewToken string
}
