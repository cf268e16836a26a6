package gateway

import (
	"slices"
	"strings"
	"testing"

	"github.com/rouse-im/rouse/actors"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// The attempts of a call that its caller repeats have one number, whatever node takes
// them. Another user, app, kind of call and key have others: an erasure that is taken
// for another one would not be carried out. A call without a key has none.
func TestIdempotencyKeyNumbersCalls(t *testing.T) {
	w := newWorld(t)
	var ops []uint64
	w.routes(func(e *actors.Envelope) {
		ops = append(ops, e.Op)
		e.Done(actors.Reply{Status: rousev1.ItemStatus_ITEM_STATUS_ACCEPTED, Response: &rousev1.BanUserResponse{}})
	})
	for _, c := range []struct{ method, user, app, key string }{
		{rousev1.UserService_BanUser_FullMethodName, "u", "a", "k1"},
		{rousev1.UserService_BanUser_FullMethodName, "u", "a", "k1"},
		{rousev1.UserService_BanUser_FullMethodName, "v", "a", "k1"},
		{rousev1.UserService_BanUser_FullMethodName, "u", "b", "k1"},
		{rousev1.UserService_BanUser_FullMethodName, "u", "a", "k2"},
		{rousev1.UserService_EraseUser_FullMethodName, "u", "a", "k1"},
		{rousev1.UserService_BanUser_FullMethodName, "u", "a", ""},
	} {
		w.post(w.operator(), c.method, `{"userId":"`+c.user+`"}`, "Idempotency-Key", c.key, "Rouse-App", c.app)
	}
	if len(ops) != 7 || ops[0] != ops[1] || ops[6] != 0 {
		t.Fatalf("%d", ops)
	}
	if ops = ops[1:6]; slices.Contains(ops, 0) || len(slices.Compact(slices.Sorted(slices.Values(ops)))) != len(ops) {
		t.Errorf("%d", ops)
	}
	a := w.post(w.adminKey(), rousev1.UserService_BanUser_FullMethodName, `{"userId":"u"}`, "Idempotency-Key", strings.Repeat("k", maxRepeatKey+1))
	wants(t, a.err, rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT)
}
