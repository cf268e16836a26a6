package shard

import (
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/rouse-im/rouse/actors"
	"github.com/rouse-im/rouse/actors/user"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/storage"
)

// dump is all keys and values of the users.
func (e *engine) dump() map[string]string {
	e.t.Helper()
	all := map[string]string{}
	for s := uint16(1); s <= e.store.Shards(); s++ {
		for _, r := range storage.ShardRanges(s) {
			if err := e.store.Scan(r, func(k, v []byte) bool { all[string(k)] = string(v); return true }); err != nil {
				e.t.Fatal(err)
			}
		}
	}
	return all
}

func (e *engine) explain(who string, m *rousev1.MessageEvent) *rousev1.ExplainResponse {
	e.t.Helper()
	return e.must(who, &rousev1.ExplainRequest{UserId: who, Message: m}).Response.(*rousev1.ExplainResponse)
}

func TestExplainLeavesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := startEngine(t, vfs.NewMem(), nil)
		e.bind("ann", "phone", "aabb")
		synctest.Wait() // the claim on the token is acknowledged
		before := e.dump()
		r := e.explain("ann", event("m1"))
		if len(r.GetDevices()) != 1 || r.GetDevices()[0].GetOutcome().GetReason() != rousev1.Reason_REASON_QUEUED || len(r.GetSteps()) == 0 {
			t.Errorf("explained as %v", r)
		}
		e.explain("nobody", event("m1"))
		synctest.Wait()
		if s := e.lanes.Get("app", "apns").Stats(); s.Reserved != 0 || len(e.vendor.pushes()) != 0 {
			t.Error("explaining came as far as the lane")
		}
		if after := e.dump(); len(after) != len(before) {
			t.Errorf("%d keys before, %d after", len(before), len(after))
		}
		e.must("ann", event("m1")) // it was not decided before
		synctest.Wait()
		check(t, e.outcomes("ann"), map[string]string{"m1/phone": "ACCEPTED DELIVERED_TO_VENDOR"})
		if in := e.explain("ann", event("m1")).GetSteps()[0].GetInputs(); in["decided_before"] != "true" {
			t.Errorf("the repeat step looked at %v", in)
		}
		e.stop()
	})
}

func mute(id string, mode rousev1.NotifyMode) *rousev1.SetConversationSettingsRequest {
	return &rousev1.SetConversationSettingsRequest{UserId: "ann", Conversation: &rousev1.ConversationRef{Type: rousev1.ConversationType_CONVERSATION_TYPE_GROUP, Id: id}, Mode: mode.Enum()}
}

func inTeam(id string) *rousev1.MessageEvent {
	m := event(id)
	m.ConversationType, m.ConversationId = rousev1.ConversationType_CONVERSATION_TYPE_GROUP, "team"
	return m
}

const (
	none  = rousev1.NotifyMode_NOTIFY_MODE_NONE
	unset = rousev1.NotifyMode_NOTIFY_MODE_UNSPECIFIED
)

// later routes commands without waiting; the replies are counted.
func (e *engine) later(replied *atomic.Int32, cmds ...proto.Message) {
	for _, cmd := range cmds {
		e.set.Route(&actors.Envelope{App: "app", User: "ann", Command: cmd, Done: func(r actors.Reply) {
			if r.Err != nil {
				e.t.Errorf("%T: %v", cmd, r.Err)
			}
			replied.Add(1)
		}})
	}
}

// A setting that is not durable yet is heeded by the next message, and is not
// answered before it is durable.
func TestSettingsInFlight(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := startEngine(t, vfs.NewMem(), nil)
		e.bind("ann", "phone", "aa")
		synctest.Wait()
		var hold []func()
		e.hold(func(id uint16, ms []storage.Mutation, done func(error)) {
			hold = append(hold, func() { e.store.Propose(id, ms, done) })
		})
		var replied atomic.Int32
		e.later(&replied, mute("team", none), inTeam("m1"), mute("team", unset), inTeam("m2"), mute("team", none),
			&rousev1.SetUserSettingsRequest{UserId: "ann", QuietFor: durationpb.New(time.Hour)}, inTeam("m3"))
		synctest.Wait()
		if n := replied.Load(); n != 0 {
			t.Errorf("%d replies before the commit", n)
		}
		e.held.Store(nil)
		for _, commit := range hold {
			commit()
		}
		synctest.Wait()
		if n := replied.Load(); n != 7 {
			t.Errorf("%d replies", n)
		}
		check(t, e.outcomes("ann"), map[string]string{
			"m1/phone": "SUPPRESSED MODE_NONE", "m2/phone": "ACCEPTED DELIVERED_TO_VENDOR", "m3/phone": "SUPPRESSED QUIET_DURATION",
		})
		e.stop()
	})
}

// Of a user erased just now nothing is heeded, although the store has it yet.
func TestSettingsOfAnErasedUser(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := startEngine(t, vfs.NewMem(), nil)
		e.bind("ann", "phone", "aa")
		e.must("ann", mute("team", none))
		synctest.Wait()
		var hold []func()
		e.hold(func(id uint16, ms []storage.Mutation, done func(error)) {
			hold = append(hold, func() { e.store.Propose(id, ms, done) })
		})
		var replied atomic.Int32
		e.later(&replied, &rousev1.EraseUserRequest{UserId: "ann"}, &rousev1.BindTokenRequest{UserId: "ann", DeviceId: "phone", Notifier: "apns", Token: "bb"},
			mute("other", none), inTeam("m1"))
		synctest.Wait()
		e.held.Store(nil)
		for _, commit := range hold {
			commit()
		}
		synctest.Wait()
		check(t, e.outcomes("ann"), map[string]string{"m1/phone": "ACCEPTED DELIVERED_TO_VENDOR"})
		e.must("ann", &rousev1.EraseUserRequest{UserId: "ann"})
		synctest.Wait()
		for k := range e.dump() {
			t.Errorf("left behind: %q", k)
		}
		e.stop()
	})
}

func TestSettingsSurvive(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem()
		e := startEngine(t, fs, nil)
		e.bind("ann", "phone", "aa")
		e.must("ann", mute("team", none))
		e.must("ann", &rousev1.SetUserSettingsRequest{UserId: "ann", Settings: &rousev1.UserSettings{Nickname: "Annie"}})
		e.hold(func(_ uint16, _ []storage.Mutation, done func(error)) { done(errors.New("no leader")) })
		if r := e.ask("ann", mute("other", none)); r.Err.GetCode() != rousev1.ErrorCode_ERROR_CODE_UNAVAILABLE {
			t.Errorf("reply %+v", r)
		}
		synctest.Wait()
		e.held.Store(nil)
		e.kill()
		e = startEngine(t, fs, nil)
		e.must("ann", inTeam("m1"))
		check(t, e.outcomes("ann"), map[string]string{"m1/phone": "SUPPRESSED MODE_NONE"})
		r := e.must("ann", &rousev1.GetUserSettingsRequest{UserId: "ann"}).Response.(*rousev1.GetUserSettingsResponse)
		if r.GetSettings().GetNickname() != "Annie" || r.GetConversations() != 1 {
			t.Errorf("settings %v", r)
		}
		got := e.must("ann", &rousev1.GetConversationSettingsRequest{UserId: "ann", Conversations: []*rousev1.ConversationRef{
			mute("other", none).GetConversation(), mute("team", none).GetConversation(),
		}}).Response.(*rousev1.GetConversationSettingsResponse).GetSettings()
		if len(got) != 1 || got[0].GetConversation().GetId() != "team" || got[0].GetMode() != none {
			t.Errorf("conversations %v", got)
		}
		e.stop()
	})
}

// The first message after a quiet time removes what is kept of it.
func TestMessageForgetsVoid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := startEngine(t, vfs.NewMem(), nil)
		e.bind("ann", "phone", "aa")
		r := mute("team", unset)
		r.QuietFor = durationpb.New(time.Minute)
		e.must("ann", r)
		e.must("ann", inTeam("m1"))
		<-time.After(time.Minute)
		e.must("ann", inTeam("m2"))
		synctest.Wait()
		check(t, e.outcomes("ann"), map[string]string{"m1/phone": "SUPPRESSED QUIET_CONVERSATION", "m2/phone": "ACCEPTED DELIVERED_TO_VENDOR"})
		shard := e.store.ShardOf("app", "ann")
		if err := e.store.Scan(storage.UserSettings(shard, "app", "ann"), func(k, _ []byte) bool { t.Errorf("left behind: %q", k); return true }); err != nil {
			t.Fatal(err)
		}
		if n := e.must("ann", &rousev1.GetUserSettingsRequest{UserId: "ann"}).Response.(*rousev1.GetUserSettingsResponse).GetConversations(); n != 0 {
			t.Errorf("the record counts %d", n)
		}
		e.stop()
	})
}

func TestListConversationSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := startEngine(t, vfs.NewMem(), nil)
		for i := range 25 {
			e.must("ann", mute(fmt.Sprintf("team%02d", i), none))
		}
		e.must("ann", &rousev1.SetConversationSettingsRequest{
			UserId: "ann", Conversation: &rousev1.ConversationRef{Type: rousev1.ConversationType_CONVERSATION_TYPE_DIRECT, Id: "bob"}, Remark: new("Bobby"),
		})
		e.must("ann", &rousev1.SetConversationSettingsRequest{UserId: "ann", Conversation: mute("brief", none).GetConversation(), QuietFor: durationpb.New(time.Second)})
		neighbour := mute("team", none)
		neighbour.UserId = "anna"
		e.must("anna", neighbour)
		<-time.After(time.Second)
		list := func(size uint32, token string) *rousev1.ListConversationSettingsResponse {
			t.Helper()
			return e.must("ann", &rousev1.ListConversationSettingsRequest{UserId: "ann", PageSize: size, PageToken: token}).Response.(*rousev1.ListConversationSettingsResponse)
		}
		if r := list(0, ""); len(r.GetSettings()) != 26 || r.GetNextPageToken() != "" {
			t.Errorf("%d on one page, next %q", len(r.GetSettings()), r.GetNextPageToken())
		}
		var names []string
		for token := ""; ; {
			r := list(10, token)
			for _, s := range r.GetSettings() {
				names = append(names, s.GetConversation().GetId())
			}
			if token = r.GetNextPageToken(); token == "" {
				break
			}
		}
		if len(names) != 26 || names[0] != "bob" || !slices.IsSorted(names) {
			t.Errorf("pages hold %v", names)
		}
		if r := list(26, ""); len(r.GetSettings()) != 26 || r.GetNextPageToken() != "" {
			t.Errorf("a page that holds the last has a next one: %q", r.GetNextPageToken())
		}
		for _, token := range []string{"x", "not base64!", "ZGJvYg==", "cWJvYg", "ZA"} {
			if r := e.ask("ann", &rousev1.ListConversationSettingsRequest{UserId: "ann", PageToken: token}); r.Err.GetCode() != rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT {
				t.Errorf("token %q: %+v", token, r)
			}
		}
		e.stop()
	})
}

// The most that is kept; what says nothing any more makes room.
func TestMostConversations(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := startEngine(t, vfs.NewMem(), nil)
		e.bind("ann", "phone", "aa")
		record := func() int {
			rec, err := e.store.Get(storage.AppendUserKey(nil, e.store.ShardOf("app", "ann"), "app", "ann"))
			if err != nil {
				t.Fatal(err)
			}
			return len(rec)
		}
		before := record()
		var replied atomic.Int32
		for i := range user.MaxConversations {
			r := mute(fmt.Sprint("team", i), unset)
			r.QuietFor = durationpb.New(time.Hour)
			e.later(&replied, r)
			if i%512 == 0 {
				synctest.Wait() // the user's mailbox is bounded
			}
		}
		synctest.Wait()
		if n := replied.Load(); n != user.MaxConversations {
			t.Fatalf("%d replies", n)
		}
		if n := record(); n > before+3 {
			t.Errorf("the record grew from %d to %d bytes", before, n)
		}
		if r := e.ask("ann", mute("one more", none)); r.Err.GetCode() != rousev1.ErrorCode_ERROR_CODE_LIMIT_EXCEEDED || r.Err.GetTemporary() {
			t.Errorf("one more: %+v", r)
		}
		e.must("ann", mute("team7", none))
		<-time.After(time.Hour)
		e.must("ann", mute("one more", none))
		r := e.must("ann", &rousev1.GetUserSettingsRequest{UserId: "ann"}).Response.(*rousev1.GetUserSettingsResponse)
		kept := 0
		if err := e.store.Scan(storage.UserSettings(e.store.ShardOf("app", "ann"), "app", "ann"), func(_, _ []byte) bool { kept++; return true }); err != nil {
			t.Fatal(err)
		}
		if int(r.GetConversations()) != kept || kept >= user.MaxConversations {
			t.Errorf("%d are kept, the record counts %d", kept, r.GetConversations())
		}
		e.stop()
	})
}
