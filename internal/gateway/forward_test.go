package gateway

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	"github.com/rouse-im/rouse/actors"
	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// followed is a gateway that shows what another one, which leads, has stored.
type followed struct {
	*world
	leader *world
	mu     sync.Mutex
	calls  []*actorv1.AdminCall
	fault  error
}

func newFollowed(t *testing.T) *followed {
	t.Helper()
	f := &followed{leader: newWorld(t)}
	f.world = newWorld(t, func(o *Options) {
		o.Catalog, o.Leases = f.leader.Catalog, f.leader.Leases
		o.Forward = func(ctx context.Context, call *actorv1.AdminCall) ([]byte, error) {
			f.mu.Lock()
			f.calls = append(f.calls, call)
			fault := f.fault
			f.mu.Unlock()
			if fault != nil {
				return nil, fault
			}
			b, err := f.leader.Execute(ctx, call)
			if err != nil {
				return nil, &actors.Refusal{Detail: f.leader.Complaint(ctx, err)}
			}
			return b, nil
		}
	})
	f.keys = f.leader.keys
	return f
}

// forwarded are the methods that came to the leader since the last look.
func (f *followed) forwarded() (methods []string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, call := range f.calls {
		methods = append(methods, strings.TrimPrefix(call.GetMethod(), adminService))
	}
	f.calls = nil
	return methods
}

// Writes are executed by the leader in the caller's name, reads are not.
func TestWritesGoToTheLeader(t *testing.T) {
	f := newFollowed(t)
	created := f.post(f.operator(), adminService+"CreateApp", `{"appId":"new","displayName":"New"}`)
	if created.status != 200 || !strings.Contains(created.body, "New") {
		t.Fatal(created)
	}
	key := f.post(f.operator(), adminService+"CreateApiKey", `{"appId":"new","role":"ROLE_ADMIN"}`)
	if key.status != 200 || !strings.Contains(key.body, "rk_") {
		t.Fatal(key)
	}
	for _, call := range [][2]string{
		{"UpdateApp", `{"displayName":"A"}`},
		{"PutCredential", fcmJSON("extra", "c", "}")},
		{"DeleteCredential", `{"name":"extra"}`},
		{"PutTemplate", `{"template":{"name":"t","texts":{"":{"contentPattern":"y"}}}}`},
		{"DeleteTemplate", `{"name":"t"}`},
		{"PutWebhooks", `{"webhooks":{}}`},
	} {
		if a := f.post(f.adminKey(), adminService+call[0], call[1]); a.status != 200 {
			t.Errorf("%s: %v", call[0], a)
		}
	}
	if n := len(f.forwarded()); n != 8 {
		t.Errorf("%d calls were forwarded, want 8", n)
	}
	for _, method := range []string{"GetApp", "ListCredentials", "ListTemplates", "ListApiKeys", "GetWebhooks", "ListApps"} {
		if a := f.post(f.adminKey(), adminService+method, `{}`); a.status != 200 {
			t.Errorf("%s: %v", method, a)
		}
	}
	if got := f.forwarded(); len(got) != 0 {
		t.Errorf("reads were forwarded: %v", got)
	}
}

// The leader refuses as the asked node would have, with the same codes, and
// knows who calls.
func TestForwardedRefusals(t *testing.T) {
	f := newFollowed(t)
	wants(t, f.post(f.operator(), adminService+"CreateApp", `{"appId":"a"}`).err, rousev1.ErrorCode_ERROR_CODE_ALREADY_EXISTS)
	wants(t, f.post(f.adminKey(), adminService+"DeleteCredential", `{"name":"none"}`).err, rousev1.ErrorCode_ERROR_CODE_NOT_FOUND)
	wants(t, f.post(f.adminKey(), adminService+"UpdateApp", `{"appId":"b"}`).err, rousev1.ErrorCode_ERROR_CODE_PERMISSION_DENIED)
	wants(t, f.post(f.adminKey(), adminService+"CreateApiKey", `{"role":"ROLE_OPERATOR"}`).err, rousev1.ErrorCode_ERROR_CODE_PERMISSION_DENIED)
	f.leader.setFull(true)
	wants(t, f.post(f.adminKey(), adminService+"UpdateApp", `{}`).err, rousev1.ErrorCode_ERROR_CODE_DISK_FULL)
	f.leader.setFull(false)
	f.mu.Lock()
	f.fault = &actors.Refusal{Detail: complaint(rousev1.ErrorCode_ERROR_CODE_UNAVAILABLE, "nobody leads")}
	f.mu.Unlock()
	wants(t, f.post(f.adminKey(), adminService+"UpdateApp", `{}`).err, rousev1.ErrorCode_ERROR_CODE_UNAVAILABLE)
}

// A node that is taken over can at most do what its callers may: the leader looks
// at role, method and request again.
func TestLeaderChecksAgain(t *testing.T) {
	w := newWorld(t)
	viewer := &actorv1.AdminCall{KeyId: "k", Role: int32(rousev1.Role_ROLE_VIEWER), KeyApp: "a", App: "a"}
	for method, code := range map[string]rousev1.ErrorCode{
		"UpdateApp": rousev1.ErrorCode_ERROR_CODE_PERMISSION_DENIED, "GetApp": rousev1.ErrorCode_ERROR_CODE_NOT_FOUND, "Nothing": rousev1.ErrorCode_ERROR_CODE_NOT_FOUND,
	} {
		viewer.Method = adminService + method
		_, err := w.Execute(t.Context(), viewer)
		wants(t, w.Complaint(t.Context(), err), code)
	}
	admin := &actorv1.AdminCall{Method: adminService + "PutTemplate", KeyId: "k", Role: int32(rousev1.Role_ROLE_ADMIN), KeyApp: "a", App: "a"}
	_, err := w.Execute(t.Context(), admin)
	wants(t, w.Complaint(t.Context(), err), rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT)
	admin.Request = []byte{0xff}
	if _, err := w.Execute(t.Context(), admin); err == nil || errors.As(err, new(*refusal)) {
		t.Errorf("an unreadable request: %v", err)
	}
}

// What is marked as led can be executed by the leader, and nothing else is.
func TestEveryLedMethodCanBeExecuted(t *testing.T) {
	w := newWorld(t)
	eachMethod(func(name string, _ protoreflect.MethodDescriptor) {
		call := &actorv1.AdminCall{Method: name, Role: int32(rousev1.Role_ROLE_OPERATOR), Request: []byte{0xff}}
		_, err := w.Execute(t.Context(), call)
		unreadable := err != nil && strings.Contains(err.Error(), "cannot be read")
		if unreadable != methods[name].leads {
			t.Errorf("%s: led %t, but executing it says %v", name, methods[name].leads, err)
		}
	})
}
