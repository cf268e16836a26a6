package shard

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	"github.com/rouse-im/rouse/actors"
	"github.com/rouse-im/rouse/actors/user"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/storage"
)

// A command that its router repeats comes late a second time, when another one
// has changed the same since: it changes nothing, whoever leads by then.
func TestRepeatComesLate(t *testing.T) {
	group := &rousev1.ConversationRef{Type: rousev1.ConversationType_CONVERSATION_TYPE_GROUP, Id: "g"}
	mode := func(m rousev1.NotifyMode) *rousev1.SetConversationSettingsRequest {
		return &rousev1.SetConversationSettingsRequest{UserId: "ann", Conversation: group, Mode: &m}
	}
	nickname := func(n string) *rousev1.SetUserSettingsRequest {
		return &rousev1.SetUserSettingsRequest{UserId: "ann", Settings: &rousev1.UserSettings{Nickname: n}, UpdateMask: &fieldmaskpb.FieldMask{Paths: []string{"nickname"}}}
	}
	policy := func(p rousev1.MultiDevicePolicy) *rousev1.SetUserPolicyRequest {
		return &rousev1.SetUserPolicyRequest{UserId: "ann", Policy: &rousev1.DevicePolicy{Policy: p}}
	}
	badge := func(n uint32) *rousev1.SetBadgeRequest {
		return &rousev1.SetBadgeRequest{UserId: "ann", DeviceId: "phone", OfflineCount: &n}
	}
	ban := func(b bool) *rousev1.BanUserRequest { return &rousev1.BanUserRequest{UserId: "ann", Banned: b} }
	unbind := &rousev1.UnbindTokenRequest{UserId: "ann", DeviceId: "phone"}
	for _, c := range []struct {
		name         string
		first, since proto.Message
	}{
		{"bind", bindRequest("ann", "bb"), bindRequest("ann", "cc")},
		{"bind, then unbound", bindRequest("ann", "bb"), unbind},
		{"unbind", unbind, bindRequest("ann", "cc")},
		{"badge", badge(3), badge(7)},
		{"ban", ban(true), ban(false)},
		{"policy", policy(rousev1.MultiDevicePolicy_MULTI_DEVICE_POLICY_ALL_OFFLINE), policy(rousev1.MultiDevicePolicy_MULTI_DEVICE_POLICY_AWAY_DELAY)},
		{"settings", nickname("Ann"), nickname("Anna")},
		{"conversation", mode(rousev1.NotifyMode_NOTIFY_MODE_NONE), mode(rousev1.NotifyMode_NOTIFY_MODE_ALL)},
		{"fetched", &rousev1.FetchedEvent{UserId: "ann", DeviceId: "phone"}, event("m2")},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 3)
				k := w.nodes[0].store.ShardOf("app", "ann")
				w.move(k, 1)
				w.mustAt(0, "ann", bindRequest("ann", "aa"))
				w.mustAt(0, "ann", event("m1"))
				do := func(at int) {
					answered := make(chan actors.Reply, 1)
					w.nodes[at].router.Route(&actors.Envelope{App: "app", User: "ann", Command: c.first, Op: 42, Done: func(r actors.Reply) { answered <- r }})
					if r := <-answered; r.Err != nil {
						t.Fatalf("%+v", r)
					}
				}
				do(0)
				w.mustAt(2, "ann", c.since)
				<-time.After(5 * time.Second)
				want := stateOf(w, 1, group)
				do(0)
				if diff := cmp.Diff(want, stateOf(w, 1, group)); diff != "" {
					t.Errorf("at the same leader: %s", diff)
				}
				w.move(k, 2)
				do(2)
				if diff := cmp.Diff(want, stateOf(w, 2, group)); diff != "" {
					t.Errorf("at the next leader: %s", diff)
				}
				w.stop()
			})
		})
	}
}

// An event that took nothing out of the count, as a read that overtook its message,
// comes again by way of another node, late: what was counted since stays, whoever leads
// by then. Another one takes it out: of another id, run of an IM node, or kind.
func TestCountSurvivesLateEvents(t *testing.T) {
	fetched := func(id uint64) proto.Message {
		return &rousev1.FetchedEvent{UserId: "ann", DeviceId: "phone", Id: id}
	}
	read := func(id uint64) proto.Message {
		return &rousev1.ReadEvent{UserId: "ann", MessageIds: []string{"m1"}, Id: id}
	}
	im := actors.Node{Name: "im", Incarnation: 1}
	for _, c := range []struct {
		name         string
		first, other proto.Message
		by           actors.Node // of the other
	}{
		{"fetched", fetched(42), fetched(43), im},
		{"fetched, from another IM node", fetched(42), fetched(42), actors.Node{Name: "im2", Incarnation: 1}},
		{"fetched, from another run", fetched(42), fetched(42), actors.Node{Name: "im", Incarnation: 2}},
		{"fetched, then read", fetched(42), read(42), im},
		{"read", read(42), read(43), im},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, 3)
				k := w.nodes[0].store.ShardOf("app", "ann")
				w.move(k, 1)
				w.mustAt(0, "ann", bindRequest("ann", "aa"))
				tell := func(at int, m proto.Message, by actors.Node, want int) {
					t.Helper()
					answered := make(chan actors.Reply, 1)
					w.nodes[at].router.Route(&actors.Envelope{App: "app", User: "ann", Node: by, Command: m, Done: func(r actors.Reply) { answered <- r }})
					if r := <-answered; r.Err != nil {
						t.Fatalf("%+v", r)
					}
					r := w.mustAt(at, "ann", &rousev1.ListDevicesRequest{UserId: "ann"})
					if n := r.Response.(*rousev1.ListDevicesResponse).GetDevices()[0].GetOfflineCount(); int(n) != want {
						t.Errorf("%d messages are counted, want %d", n, want)
					}
				}
				tell(0, c.first, im, 0)
				w.mustAt(2, "ann", event("m1"))
				tell(2, c.first, im, 1)
				w.move(k, 2)
				tell(0, c.first, im, 1)
				tell(0, c.other, c.by, 0)
				w.stop()
			})
		})
	}
}

// stateOf is what the store of a shard's leader holds of ann, in words.
func stateOf(w *world, leader int, conversation *rousev1.ConversationRef) string {
	rec, err := w.nodes[leader].store.Get(storage.AppendUserKey(nil, w.nodes[leader].store.ShardOf("app", "ann"), "app", "ann"))
	if err != nil {
		w.t.Fatal(err)
	}
	var s user.State
	if err := s.Decode(string(rec)); err != nil {
		w.t.Fatal(err)
	}
	s.Ops, s.OpsAt = "", 0
	of := w.mustAt(leader, "ann", &rousev1.GetConversationSettingsRequest{UserId: "ann", Conversations: []*rousev1.ConversationRef{conversation}})
	return fmt.Sprintf("%+v %v", s, of.Response)
}

// Numbers of commands leave the record when none of them can come again, and are
// bounded before that.
func TestNumbersOfCommandsAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, 1)
		numbers := func() int {
			rec, err := w.nodes[0].store.Get(storage.AppendUserKey(nil, w.nodes[0].store.ShardOf("app", "ann"), "app", "ann"))
			if err != nil {
				t.Fatal(err)
			}
			var s user.State
			if err := s.Decode(string(rec)); err != nil {
				t.Fatal(err)
			}
			return len(s.Ops) / 8
		}
		for i := range 100 {
			w.mustAt(0, "ann", bindRequest("ann", fmt.Sprintf("%04x", i)))
		}
		if n := numbers(); n != 64 {
			t.Errorf("%d numbers are kept, want 64", n)
		}
		<-time.After(time.Minute + 2*time.Second)
		w.mustAt(0, "ann", &rousev1.PresenceEvent{UserId: "ann", DeviceId: "phone", State: rousev1.SessionState_SESSION_STATE_CONNECTED, Session: 1})
		if n := numbers(); n != 0 {
			t.Errorf("%d numbers are kept after a minute", n)
		}
		w.stop()
	})
}
