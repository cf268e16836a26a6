package client

import (
	"math/rand/v2"
	"slices"
	"strings"

	"google.golang.org/protobuf/proto"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// eachUser calls f for every user that the event changes.
func eachUser(ev *rousev1.Event, f func(user string)) {
	anyUser(ev, func(user string) bool { f(user); return false })
}

// anyUser reports whether f holds for a user that the event changes.
func anyUser(ev *rousev1.Event, f func(user string) bool) bool {
	switch k := ev.GetKind().(type) {
	case *rousev1.Event_Presence:
		return f(k.Presence.GetUserId())
	case *rousev1.Event_Fetched:
		return f(k.Fetched.GetUserId())
	case *rousev1.Event_Read:
		return f(k.Read.GetUserId())
	case *rousev1.Event_Message:
		return slices.ContainsFunc(k.Message.GetRecipients(), f)
	case *rousev1.Event_Recall:
		return slices.ContainsFunc(k.Recall.GetRecipients(), f)
	}
	return false
}

// named is the event with an id where it needs one to be known again when the client
// repeats it to another engine.
func named(ev *rousev1.Event) *rousev1.Event {
	switch fetched, read := ev.GetFetched(), ev.GetRead(); {
	case fetched != nil && fetched.GetId() == 0:
		ev = proto.CloneOf(ev)
		ev.GetFetched().Id = rand.Uint64() | 1
	case read != nil && read.GetId() == 0:
		ev = proto.CloneOf(ev)
		ev.GetRead().Id = rand.Uint64() | 1
	}
	return ev
}

// unanswered is the result of an event that was given up. The server's text in
// fault holds no secret; it is cut to what an Error may hold.
func unanswered(fault string) *rousev1.ItemResult {
	const most = 512
	message := "no answer before the event's deadline; the effect is unknown, sending it again with the same ids is safe"
	if fault != "" {
		message += "; last fault: " + fault
	}
	if len(message) > most {
		message = strings.ToValidUTF8(message[:most], "")
	}
	return &rousev1.ItemResult{
		Status: rousev1.ItemStatus_ITEM_STATUS_REFUSED,
		Error:  &rousev1.Error{Code: rousev1.ErrorCode_ERROR_CODE_DEADLINE, Message: message, Temporary: true},
	}
}
