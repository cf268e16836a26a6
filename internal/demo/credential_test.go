package demo

import (
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/app"
	"github.com/rouse-im/rouse/internal/config"
	"github.com/rouse-im/rouse/vendors/fake"
)

// tokens are of the form of each vendor; anyToken is that of the others.
var tokens = map[string]string{
	IOS: strings.Repeat("ca9a51e5", 8), IOSVoIP: strings.Repeat("ca9a51e6", 8), OPPO: "OPPO_CN_ca9a51e5ca9a51e5ca9a51e5ca9a51e5",
}

var hour = durationpb.New(time.Hour)

const anyToken = "ca9a51e5-token-of-a-phone"

func tokenFor(c *rousev1.Credential) string {
	if t, ok := tokens[c.GetName()]; ok {
		return t
	}
	return anyToken
}

// wrong is the credential with secrets that the vendor does not know.
func wrong(t *testing.T, c *rousev1.Credential) *rousev1.Credential {
	t.Helper()
	c = proto.CloneOf(c)
	switch v := c.GetVendor().(type) {
	case *rousev1.Credential_Apns:
		key, _, err := fake.NewAPNsKey()
		if err != nil {
			t.Fatal(err)
		}
		v.Apns.AuthKeyPem = string(key)
	case *rousev1.Credential_Fcm:
		account, err := fake.NewFCMAccount(project)
		if err != nil {
			t.Fatal(err)
		}
		v.Fcm.ServiceAccountJson = string(account.JSON(v.Fcm.GetEndpoint()))
	case *rousev1.Credential_Harmony:
		account, err := fake.NewHuaweiAccount(huaweiProject)
		if err != nil {
			t.Fatal(err)
		}
		v.Harmony.ServiceAccountJson = string(account.JSON())
	case *rousev1.Credential_Huawei:
		v.Huawei.AppSecret = "wrong-ca9a51e5"
	case *rousev1.Credential_Xiaomi:
		v.Xiaomi.AppSecret = "wrong-ca9a51e5"
	case *rousev1.Credential_Oppo:
		v.Oppo.MasterSecret = "wrong-ca9a51e5"
	case *rousev1.Credential_Honor:
		v.Honor.ClientSecret = "wrong-ca9a51e5"
	case *rousev1.Credential_Vivo:
		v.Vivo.AppSecret = "wrong-ca9a51e5"
	case *rousev1.Credential_Meizu:
		v.Meizu.AppSecret = "wrong-ca9a51e5"
	}
	return c
}

func openCredentials(t *testing.T) (*world, *Vendors) {
	t.Helper()
	fakes, err := StartVendors(VendorsOptions{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(fakes.Close)
	dir := t.TempDir()
	c := config.Default()
	c.Data.Dir, c.GRPC.Listen, c.HTTP.Listen, c.Data.MinFreeDisk = dir, "127.0.0.1:0", "127.0.0.1:0", 64<<20
	node, err := app.Start(app.Options{Config: c, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := node.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	})
	w, err := openWorld(t.Context(), dir, node, fakes)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	return w, fakes
}

// quiet fails when an answer shows a secret or a token.
func quiet(t *testing.T, m proto.Message, secrets ...string) {
	t.Helper()
	text := protojson.Format(m)
	for _, s := range append(secrets, "ca9a51e5", "eyJ", "PRIVATE KEY", secret) {
		if strings.Contains(text, s) {
			t.Errorf("%.8s… shows in %s", s, text)
		}
	}
}

// Each vendor tells a good credential from a bad one without a push to a phone,
// takes a test push, and shows its answers without secrets.
func TestCredentialsOfAllVendors(t *testing.T) {
	w, fakes := openCredentials(t)
	for _, c := range fakes.Credentials() {
		t.Run(c.GetName(), func(t *testing.T) {
			good, err := w.admin.Admin.ValidateCredential(t.Context(), &rousev1.ValidateCredentialRequest{
				Which: &rousev1.ValidateCredentialRequest_Name{Name: c.GetName()},
			})
			if err != nil || good.GetState() != rousev1.CredentialState_CREDENTIAL_STATE_VALID || good.GetMethod() == "" || len(good.GetReplies()) == 0 {
				t.Fatalf("good: %v, %v", good, err)
			}
			quiet(t, good)
			bad, err := w.admin.Admin.ValidateCredential(t.Context(), &rousev1.ValidateCredentialRequest{
				Which: &rousev1.ValidateCredentialRequest_Credential{Credential: wrong(t, c)},
			})
			if err != nil || bad.GetState() != rousev1.CredentialState_CREDENTIAL_STATE_INVALID || bad.GetVendorCode() == "" ||
				bad.GetReason() != rousev1.Reason_REASON_CREDENTIAL_REJECTED || len(bad.GetReplies()) == 0 {
				t.Fatalf("bad: %v, %v", bad, err)
			}
			quiet(t, bad)
			test, err := w.admin.Admin.TestCredential(t.Context(), &rousev1.TestCredentialRequest{Name: c.GetName(), Token: tokenFor(c)})
			if err != nil || test.GetStatus() != rousev1.OutcomeStatus_OUTCOME_STATUS_ACCEPTED || test.GetPushId() == "" {
				t.Fatalf("test: %v, %v", test, err)
			}
			last := test.GetReplies()[len(test.GetReplies())-1]
			if last.GetStatus() != 200 || last.GetAddress() == "" || last.GetTook().AsDuration() <= 0 {
				t.Errorf("reply %v", last)
			}
			quiet(t, test)
		})
	}
}

// While the vendor refuses the new secret, pushes go through the one before,
// over a restart of the node too; the status tells it.
func TestRotationOfAllVendors(t *testing.T) {
	w, fakes := openCredentials(t)
	for _, c := range fakes.Credentials() {
		if _, err := w.admin.Admin.PutCredential(t.Context(), &rousev1.PutCredentialRequest{
			Credential: wrong(t, c), Validate: true,
		}); err == nil || !strings.Contains(err.Error(), "refuses it") {
			t.Errorf("%s: a refused credential was put: %v", c.GetName(), err)
		}
		if _, err := w.admin.Admin.PutCredential(t.Context(), &rousev1.PutCredentialRequest{
			Credential: wrong(t, c), KeepPrevious: hour,
		}); err != nil {
			t.Fatal(err)
		}
		if _, err := w.admin.Device.BindToken(t.Context(), &rousev1.BindTokenRequest{
			UserId: c.GetName(), DeviceId: "phone", Notifier: c.GetName(), Token: tokenFor(c),
		}); err != nil {
			t.Fatal(err)
		}
		class := rousev1.MessageClass_MESSAGE_CLASS_IM
		if c.GetApns().GetVoip() {
			class = rousev1.MessageClass_MESSAGE_CLASS_CALL
		}
		if _, err := w.admin.Intake.IngestBatch(t.Context(), &rousev1.IngestBatchRequest{Events: []*rousev1.Event{{Kind: &rousev1.Event_Message{
			Message: &rousev1.MessageEvent{MessageId: "m", Recipients: []string{c.GetName()}, Sender: "bob", Class: class, Content: &rousev1.Content{Body: "hi"}},
		}}}}); err != nil {
			t.Fatal(err)
		}
		if o := ended(t, w, c.GetName()); o.GetStatus() != rousev1.OutcomeStatus_OUTCOME_STATUS_ACCEPTED {
			t.Errorf("%s: %v", c.GetName(), o)
		}
		r, err := w.admin.Admin.GetCredentialStatus(t.Context(), &rousev1.GetCredentialStatusRequest{Name: c.GetName()})
		s := r.GetStatus()
		if err != nil || s.GetState() != rousev1.CredentialState_CREDENTIAL_STATE_INVALID || s.GetVendorCode() == "" || s.GetPreviousUntil() == nil {
			t.Errorf("%s: %v, %v", c.GetName(), s, err)
		}
	}
}

// ended waits for the outcome of the user's one message.
func ended(t *testing.T, w *world, user string) *rousev1.Outcome {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(20 * time.Second); ; {
		r, err := w.admin.User.ListOutcomes(t.Context(), &rousev1.ListOutcomesRequest{UserId: user})
		if err != nil {
			t.Fatal(err)
		}
		if all := r.GetOutcomes(); len(all) == 1 && all[0].GetStatus() != rousev1.OutcomeStatus_OUTCOME_STATUS_PENDING {
			return all[0]
		}
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("%s: %v", user, r.GetOutcomes())
		}
	}
}
