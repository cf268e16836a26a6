package user

import (
	"encoding/binary"
	"time"

	"github.com/rouse-im/rouse/actors"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/plant"
)

// A router repeats what has no answer in time, so a command may come twice, and
// the second time late: after a cut, when others have changed the same since. Most
// commands bear that by themselves (messages by their id, sessions by their order).
// Of the others the record keeps the numbers for a while: without them a token that
// was unbound, or replaced, would come back.
const (
	// opsFor is longer than any repeat is under way: requests end after seconds, and
	// bytes that a peer does not acknowledge end the connection after three.
	opsFor = time.Minute
	// maxOps bounds them; the oldest are forgotten first.
	maxOps  = 64
	opBytes = 8
)

// did tells whether a command was carried out before.
func (s *State) did(op uint64) bool {
	if op == 0 || plant.On(plant.CommandDoneTwice) {
		return false
	}
	for rest := s.Ops; len(rest) >= opBytes; rest = rest[opBytes:] {
		if binary.LittleEndian.Uint64([]byte(rest[:opBytes])) == op {
			return true
		}
	}
	return false
}

// remember keeps the number of a command that was carried out, and forgets those
// that cannot come again. It tells whether it did: nothing is kept of a user who is
// not known, as he would be, by that alone.
func (s *State) remember(op uint64, now time.Time) bool {
	if now.Unix()-s.OpsAt > int64(opsFor/time.Second) {
		s.Ops = ""
	}
	if op == 0 || !s.Known {
		return false
	}
	kept := s.Ops[max(0, len(s.Ops)-(maxOps-1)*opBytes):]
	s.Ops = string(binary.LittleEndian.AppendUint64([]byte(kept), op))
	s.OpsAt = now.Unix()
	return true
}

// keepsQuietly tells that the number of a command which changed nothing need not be
// written: that is done with what next raises a count, and before there is nothing
// that a repeat could take out.
func keepsQuietly(cmd any) bool {
	switch cmd.(type) {
	case *rousev1.FetchedEvent, Read:
		return true
	}
	return false
}

// again answers a command that was carried out before: nothing changes, and its
// response tells what is so now.
func (s *State) again(cmd any, e *Env) Decision {
	r := actors.Reply{Status: accepted}
	switch c := cmd.(type) {
	case *rousev1.FetchedEvent, Read:
		r.Status = rousev1.ItemStatus_ITEM_STATUS_DUPLICATE
	case *rousev1.SetBadgeRequest:
		badge := int32(0)
		if d := s.device(c.GetDeviceId()); d != nil {
			badge = d.number(e)
		}
		r.Response = &rousev1.SetBadgeResponse{Badge: uint32(max(0, badge))}
	case *rousev1.BanUserRequest:
		r.Response = &rousev1.BanUserResponse{}
	case *rousev1.SetUserPolicyRequest:
		r.Response = &rousev1.SetUserPolicyResponse{}
	case *rousev1.SetUserSettingsRequest:
		r.Response = &rousev1.SetUserSettingsResponse{Settings: s.Settings.proto(e.Now)}
	case SetConversation:
		id := ConversationID{c.GetConversation().GetType(), c.GetConversation().GetId()}
		r.Response = &rousev1.SetConversationSettingsResponse{Settings: c.Current.proto(id, e.Now)}
	}
	return Decision{Reply: r} // responses of Bind and Unbind are made of the bindings
}
