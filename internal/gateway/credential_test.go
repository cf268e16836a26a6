package gateway

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/catalog"
)

const adminService = "/rouse.v1.AdminService/"

func fcmJSON(name, channel, more string) string {
	return fmt.Sprintf(`{"credential":{"name":%q,"fcm":{"serviceAccountJson":%q,"channelId":%q}%s}`, name, canary, channel, more)
}

// With validate, nothing is stored that the vendor refuses or says nothing about.
func TestPutValidatesFirst(t *testing.T) {
	w := newWorld(t)
	put := func(channel string) answer {
		return w.post(w.adminKey(), adminService+"PutCredential", fcmJSON("new", channel, `},"validate":true`))
	}
	refused := put("refused")
	wants(t, refused.err, rousev1.ErrorCode_ERROR_CODE_CREDENTIAL_REJECTED)
	if !strings.Contains(refused.err.GetMessage(), "invalid_grant") {
		t.Errorf("the vendor's code is missing: %v", refused.err)
	}
	wants(t, put("silent").err, rousev1.ErrorCode_ERROR_CODE_UNAVAILABLE)
	app, _ := w.Catalog.App("a")
	if _, stored := app.Credential("new"); stored {
		t.Error("a refused credential was stored")
	}
	if a := put("good"); a.err != nil || a.status != 200 {
		t.Fatal(a)
	}
	app, _ = w.Catalog.App("a")
	if _, stored := app.Credential("new"); !stored {
		t.Error("a good credential was not stored")
	}
}

func TestValidateStoredAndGiven(t *testing.T) {
	w := newWorld(t)
	a := w.post(w.adminKey(), adminService+"ValidateCredential", `{"name":"fcm-a"}`)
	if !strings.Contains(a.body, "CREDENTIAL_STATE_VALID") || !strings.Contains(a.body, "asked") {
		t.Error(a)
	}
	a = w.post(w.adminKey(), adminService+"ValidateCredential", fcmJSON("x", "refused", "}"))
	if !strings.Contains(a.body, "CREDENTIAL_STATE_INVALID") || strings.Contains(a.body, canary) {
		t.Error(a)
	}
	app, _ := w.Catalog.App("a")
	if _, stored := app.Credential("x"); stored {
		t.Error("a validation stored the credential")
	}
	gone := w.post(w.adminKey(), adminService+"ValidateCredential", `{"name":"none"}`)
	wants(t, gone.err, rousev1.ErrorCode_ERROR_CODE_NOT_FOUND)
	wants(t, w.post(w.adminKey(), adminService+"GetCredentialStatus", `{"name":"none"}`).err, rousev1.ErrorCode_ERROR_CODE_NOT_FOUND)
	wants(t, w.post(w.adminKey(), adminService+"ValidateCredential", `{}`).err, rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT)
	wants(t, w.post(w.adminKey(), adminService+"ValidateCredential", `{"appId":"b","name":"fcm-b"}`).err, rousev1.ErrorCode_ERROR_CODE_PERMISSION_DENIED)
}

// Validations and tests are bounded in number, tests in rate.
func TestProbesAreBounded(t *testing.T) {
	entered, leave := make(chan struct{}), make(chan struct{})
	w := newWorld(t, func(o *Options) {
		o.ValidateCredential = func(context.Context, *rousev1.Credential) (*rousev1.ValidateCredentialResponse, error) {
			entered <- struct{}{}
			<-leave
			return &rousev1.ValidateCredentialResponse{}, nil
		}
	})
	validate := func() answer {
		return w.post(w.adminKey(), adminService+"ValidateCredential", `{"name":"fcm-a"}`)
	}
	ended := make(chan answer, maxProbes)
	for range maxProbes {
		go func() { ended <- validate() }()
		<-entered
	}
	wants(t, validate().err, rousev1.ErrorCode_ERROR_CODE_OVERLOADED)
	close(leave)
	for range maxProbes {
		if a := <-ended; a.err != nil {
			t.Error(a)
		}
	}
	test := func(token string) answer {
		return w.post(w.adminKey(), adminService+"TestCredential", fmt.Sprintf(`{"name":"fcm-a","token":%q,"content":{"body":"hi"}}`, token))
	}
	wants(t, test("bad"+canary).err, rousev1.ErrorCode_ERROR_CODE_INVALID_TOKEN)
	last := answer{}
	for range testBurst + 3 {
		if last = test("t"); last.err != nil {
			break
		}
		if !strings.Contains(last.body, "of hi") {
			t.Fatal(last)
		}
	}
	wants(t, last.err, rousev1.ErrorCode_ERROR_CODE_RATE_LIMITED)
}

// Only an operator bans, and neither a put nor a deletion by others ends a ban.
func TestBans(t *testing.T) {
	w := newWorld(t)
	banned := fcmJSON("fcm-a", "", `,"banned":true}`)
	wants(t, w.post(w.adminKey(), adminService+"PutCredential", banned).err, rousev1.ErrorCode_ERROR_CODE_PERMISSION_DENIED)
	if a := w.post(w.operator(), adminService+"PutCredential", banned, "rouse-app", "a"); a.err != nil {
		t.Fatal(a)
	}
	if a := w.post(w.adminKey(), adminService+"PutCredential", banned); a.err != nil {
		t.Error("a put that leaves the ban: ", a)
	}
	wants(t, w.post(w.adminKey(), adminService+"PutCredential", fcmJSON("fcm-a", "", "}")).err, rousev1.ErrorCode_ERROR_CODE_PERMISSION_DENIED)
	wants(t, w.post(w.adminKey(), adminService+"DeleteCredential", `{"name":"fcm-a"}`).err, rousev1.ErrorCode_ERROR_CODE_PERMISSION_DENIED)
	wants(t, w.post(w.adminKey(), adminService+"TestCredential", `{"name":"fcm-a","token":"t"}`).err, rousev1.ErrorCode_ERROR_CODE_PERMISSION_DENIED)
	if a := w.post(w.operator(), adminService+"DeleteCredential", `{"appId":"a","name":"fcm-a"}`); a.err != nil {
		t.Error(a)
	}
}

// The address for receipts is secret: those who may only read are not told it.
func TestStatusHidesTheReceiptPath(t *testing.T) {
	w := newWorld(t)
	for role, shown := range map[rousev1.Role]bool{adminRole: true, viewerRole: false} {
		a := w.post(w.key("a", role), adminService+"GetCredentialStatus", `{"name":"fcm-a"}`)
		if !strings.Contains(a.body, "fcm-a") || strings.Contains(a.body, "secret-path") != shown {
			t.Errorf("%s: %s", role, a.body)
		}
	}
}

func TestKeepPrevious(t *testing.T) {
	w := newWorld(t)
	other := `{"credential":{"name":"fcm-a","meizu":{"appId":"1","appSecret":"s"}},"keepPrevious":"3600s"}`
	wants(t, w.post(w.adminKey(), adminService+"PutCredential", other).err, rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT)
	wants(t, w.post(w.adminKey(), adminService+"PutCredential", fcmJSON("fcm-a", "", `},"keepPrevious":"9999999s"`)).err, rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT)
	w.ok(w.Catalog.PutCredential("a", &rousev1.Credential{Name: "fcm-a", Vendor: &rousev1.Credential_Fcm{Fcm: &rousev1.FcmCredential{ServiceAccountJson: "old"}}}, catalog.Put{}))
	if a := w.post(w.adminKey(), adminService+"PutCredential", fcmJSON("fcm-a", "", `},"keepPrevious":"3600s"`)); a.err != nil {
		t.Fatal(a)
	}
	app, _ := w.Catalog.App("a")
	p := app.Previous("fcm-a")
	if p == nil || p.Credential.GetFcm().GetServiceAccountJson() != "old" || time.Until(p.Until) > time.Hour {
		t.Fatalf("%+v", p)
	}
}
