package gateway

import (
	"net/http"
	"strings"
	"testing"

	"github.com/rouse-im/rouse/actors"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// The attempts of a call that its caller repeats have one number, whatever node takes
// them; another method and another key have others, and so has a call without a key.
func TestIdempotencyKeyNumbersCalls(t *testing.T) {
	w := newWorld(t)
	var ops []uint64
	w.routes(func(e *actors.Envelope) {
		ops = append(ops, e.Op)
		e.Done(actors.Reply{Status: rousev1.ItemStatus_ITEM_STATUS_ACCEPTED, Response: &rousev1.BanUserResponse{}})
	})
	for _, key := range []string{"k1", "k1", "k2", ""} {
		if a := w.post(w.adminKey(), rousev1.UserService_BanUser_FullMethodName, `{"userId":"u","banned":true}`, "Idempotency-Key", key); a.status != http.StatusOK {
			t.Fatal(a.status, a.err)
		}
	}
	w.post(w.adminKey(), rousev1.UserService_SetBadge_FullMethodName, `{"userId":"u","deviceId":"d"}`, "Idempotency-Key", "k1")
	if len(ops) != 5 || ops[0] == 0 || ops[1] != ops[0] || ops[2] == ops[0] || ops[2] == 0 || ops[3] != 0 || ops[4] == ops[0] || ops[4] == 0 {
		t.Errorf("%d", ops)
	}
	a := w.post(w.adminKey(), rousev1.UserService_BanUser_FullMethodName, `{"userId":"u"}`, "Idempotency-Key", strings.Repeat("k", maxRepeatKey+1))
	wants(t, a.err, rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT)
}
