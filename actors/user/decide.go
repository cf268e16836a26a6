package user

import (
	"fmt"
	"time"

	"github.com/rouse-im/rouse/actors"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// Commands that are not rouse.v1 messages themselves.
type (
	// Presence is a session event with the IM node that reported it.
	Presence struct {
		*rousev1.PresenceEvent
		Node actors.Node
	}
	// Message is a MessageEvent for this user.
	Message struct {
		*rousev1.MessageEvent
		// Seen: it was decided before.
		Seen bool
		// Stopped: the app's hook wants no push.
		Stopped bool
		// Conversation is what the user wishes for the message's conversation;
		// Kept: something is kept of it.
		Conversation Conversation
		Kept         bool
	}
	// SetConversation is a SetConversationSettingsRequest with what is kept now.
	SetConversation struct {
		*rousev1.SetConversationSettingsRequest
		Current Conversation
		Kept    bool
		// Void are others that are kept and say nothing any more, told when there
		// is no room.
		Void []ConversationID
	}
	// Read is a ReadEvent with those of its messages that have ended.
	Read struct {
		*rousev1.ReadEvent
		Found []*Pending
	}
	// Recall is a RecallEvent with its message, if that has ended.
	Recall struct {
		*rousev1.RecallEvent
		Found []*Pending
	}
	// Bind is a BindTokenRequest whose token was sealed.
	Bind struct {
		*rousev1.BindTokenRequest
		Sealed string
		Sum    Sum
	}
	// Release takes a token away that another user or device has bound since.
	Release struct {
		Sum     Sum
		BoundAt int64 // unix ms of the bind that won
	}
	// Ended is a lane's report of one push.
	Ended struct {
		Message, Device, Notifier string
		Status                    rousev1.OutcomeStatus
		Reason                    rousev1.Reason
		VendorCode, VendorID      string
		// InDoubt: the vendor may have taken it all the same.
		InDoubt bool
		// TokenInvalid: drop the token if it still is Sum, bound before
		// InvalidSince (zero = not said).
		TokenInvalid bool
		InvalidSince time.Time
		Sum          Sum
		// NewSealed and NewSum replace the token; empty = none.
		NewSealed string
		NewSum    Sum
	}
	// Due says that delayed or waiting pushes may be ready.
	Due struct{}
)

// Decision answers a command: apply Events, commit, then reply and act.
type Decision struct {
	Events []Event
	Reply  actors.Reply
	// Changed: the record must be written.
	Changed bool
	// Touched are the pending messages whose outbox or outcome must be written.
	Touched []*Pending
	// Send are pushes to hand to their lanes.
	Send []Push
	// Cancel are pushes to withdraw from their lanes.
	Cancel []Push
	// Claim are tokens bound just now; Disown those given up, without a device.
	Claim  []Claim
	Disown []Claim
	// Conversations are settings to be written with the record.
	Conversations []ConversationChange
	// Erase: remove all that is kept.
	Erase bool
}

// Push names one verdict of a pending message.
type Push struct {
	Pending *Pending
	Verdict int // index
	Reason  rousev1.Reason
}

// Claim says that a token was bound, or that what was bound then is given up.
type Claim struct {
	Sum     Sum
	Device  string
	BoundAt int64 // unix ms
}

// Decide says what a command changes. It changes nothing itself, apart from
// taking room in lanes. Unknown commands are refused.
func (s *State) Decide(cmd any, e *Env) Decision {
	switch c := cmd.(type) {
	case Message:
		return s.decideMessage(c, e)
	case Presence:
		return s.decidePresence(c, e)
	case *rousev1.FetchedEvent:
		return s.decideFetched(c, e)
	case Read:
		return s.decideRead(c, e)
	case Recall:
		return s.decideRecall(c, e)
	case *rousev1.SetBadgeRequest:
		return s.decideSetBadge(c, e)
	case Bind:
		return s.decideBind(c, e)
	case *rousev1.UnbindTokenRequest:
		return s.decideUnbind(c, e)
	case Release:
		return s.decideRelease(c, e)
	case Ended:
		return s.decideEnded(c, e)
	case Receipt:
		return s.decideReceipt(c, e)
	case Due:
		return s.decideDue(e)
	case *rousev1.BanUserRequest:
		return s.decideBan(c, e)
	case *rousev1.SetUserPolicyRequest:
		return s.decidePolicy(c)
	case *rousev1.SetUserSettingsRequest:
		return s.decideSettings(c, e)
	case SetConversation:
		return s.decideConversation(c, e)
	case *rousev1.EraseUserRequest:
		return s.decideErase()
	}
	return refuse(rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, false, fmt.Sprintf("command %T is not one of a user", cmd))
}

func refuse(code rousev1.ErrorCode, temporary bool, message string) Decision {
	return Decision{Reply: actors.Reply{
		Status: rousev1.ItemStatus_ITEM_STATUS_REFUSED,
		Err:    &rousev1.Error{Code: code, Temporary: temporary, Message: message},
	}}
}

func answer(s rousev1.ItemStatus) actors.Reply { return actors.Reply{Status: s} }

const accepted = rousev1.ItemStatus_ITEM_STATUS_ACCEPTED

func (s *State) decidePolicy(c *rousev1.SetUserPolicyRequest) Decision {
	dec := Decision{Reply: actors.Reply{Status: accepted, Response: &rousev1.SetUserPolicyResponse{}}}
	if p := policyOf(c.GetPolicy()); p != s.Policy {
		dec.Events, dec.Changed = []Event{policySet{p}}, true
	}
	return dec
}

// decideBan takes back what waits for a user who is banned.
func (s *State) decideBan(c *rousev1.BanUserRequest, e *Env) Decision {
	dec := Decision{Reply: actors.Reply{Status: accepted, Response: &rousev1.BanUserResponse{}}}
	if c.GetBanned() == s.Banned {
		return dec
	}
	dec.Events, dec.Changed = []Event{banSet{c.GetBanned()}}, true
	if c.GetBanned() {
		s.endPushes(&dec, e, rousev1.OutcomeStatus_OUTCOME_STATUS_CANCELLED, rousev1.Reason_REASON_USER_BANNED, func(*Verdict) bool { return true })
	}
	return dec
}

// decideErase gives up all tokens and withdraws all pushes; outcomes go too.
func (s *State) decideErase() Decision {
	d := Decision{
		Events: []Event{userErased{}},
		Erase:  true,
		Reply:  actors.Reply{Status: accepted, Response: &rousev1.EraseUserResponse{}},
	}
	for i := range s.Devices {
		for j := range s.Devices[i].Bindings {
			d.disown(&s.Devices[i].Bindings[j])
		}
	}
	for _, p := range s.Pending {
		for i := range p.Verdicts {
			if p.Verdicts[i].Stage == StageLane {
				d.Cancel = append(d.Cancel, Push{Pending: p, Verdict: i, Reason: rousev1.Reason_REASON_ERASED})
			}
		}
	}
	return d
}
