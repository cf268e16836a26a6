package app

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/rouse-im/rouse/actors/lane"
	"github.com/rouse-im/rouse/actors/user"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/catalog"
	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/reply"
)

const (
	// probeTime bounds a validation or a test, with its access token.
	probeTime = 15 * time.Second
	// testTTL is how long a test push is wanted.
	testTTL = 10 * time.Minute
)

// What a test without a text says. Some vendors refuse texts that are only a
// word for a test.
const (
	testTitle = "Rouse"
	testBody  = "Pushes through this credential arrive on this device."
)

// probe gives do a sender of its own for the credential, whose answers are
// kept, and hides more beside the credential's secrets in them.
func probe(ctx context.Context, c *rousev1.Credential, hide []string, do func(context.Context, vendors.Validator)) ([]*rousev1.VendorReply, error) {
	sender, err := newSender(c, "", nil)
	if err != nil {
		return nil, fmt.Errorf("%q: %w: %w", c.GetName(), catalog.ErrInvalidCredential, err)
	}
	defer sender.Close()
	ctx, cancel := context.WithTimeout(ctx, probeTime)
	defer cancel()
	log := &reply.Log{}
	log.Hide(hide...)
	log.Hide(secrets(c)...)
	do(reply.With(ctx, log), sender)
	return repliesOf(log), nil
}

// secrets are what must not show of a credential: its secret fields, and of
// files their private keys and all lines of these.
func secrets(c *rousev1.Credential) []string {
	all := catalog.Secrets(c)
	for _, secret := range slices.Clone(all) {
		var file struct {
			Key string `json:"private_key"`
		}
		if json.Unmarshal([]byte(secret), &file) == nil && file.Key != "" {
			all = append(all, file.Key)
		}
	}
	for _, secret := range slices.Clone(all) {
		for line := range strings.Lines(secret) {
			if line = strings.TrimSpace(line); len(line) >= 32 {
				all = append(all, line)
			}
		}
	}
	return all
}

func repliesOf(log *reply.Log) (all []*rousev1.VendorReply) {
	for _, r := range log.Replies() {
		all = append(all, &rousev1.VendorReply{
			Address: r.Address, Status: uint32(max(r.Status, 0)), Headers: r.Header, Body: r.Body, Took: durationpb.New(r.Took),
		})
	}
	return all
}

// validateCredential asks the vendor whether it takes a credential.
func validateCredential(ctx context.Context, c *rousev1.Credential) (*rousev1.ValidateCredentialResponse, error) {
	v := &rousev1.ValidateCredentialResponse{}
	replies, err := probe(ctx, c, nil, func(ctx context.Context, sender vendors.Validator) {
		asked, result, err := sender.Validate(ctx)
		v.Method, v.State, v.VendorCode = asked, stateOf(result.Outcome), result.Code
		switch {
		case err != nil:
			v.Reason = lane.ReasonOfSilence(err)
		case result.Outcome != vendors.Accepted:
			v.Reason = lane.ReasonOf(result.Outcome)
		}
	})
	v.Replies = replies
	return v, err
}

// stateOf is what a validation says of the credential; no answer has outcome 0.
func stateOf(o vendors.Outcome) rousev1.CredentialState {
	switch o {
	case vendors.Accepted:
		return rousev1.CredentialState_CREDENTIAL_STATE_VALID
	case vendors.CredentialBad:
		return rousev1.CredentialState_CREDENTIAL_STATE_INVALID
	case vendors.QuotaExhausted:
		return rousev1.CredentialState_CREDENTIAL_STATE_OUT_OF_QUOTA
	case vendors.TokenInvalid, vendors.TokenReplaced, vendors.Throttled, vendors.Transient, vendors.Rejected:
	}
	return rousev1.CredentialState_CREDENTIAL_STATE_UNREACHABLE
}

// testCredential sends one notification to one token, once.
func testCredential(ctx context.Context, c *rousev1.Credential, r *rousev1.TestCredentialRequest) (*rousev1.TestCredentialResponse, error) {
	n := testPush(c, r)
	t := &rousev1.TestCredentialResponse{PushId: n.PushID, Status: rousev1.OutcomeStatus_OUTCOME_STATUS_FAILED}
	content := r.GetContent()
	hide := []string{r.GetToken(), content.GetTitle(), content.GetSubtitle(), content.GetBody()}
	hide = slices.AppendSeq(hide, maps.Values(content.GetData()))
	replies, err := probe(ctx, c, hide, func(ctx context.Context, sender vendors.Validator) {
		result, err := sender.Send(ctx, n)
		if err != nil {
			t.Reason = lane.ReasonOfSilence(err)
			return
		}
		t.Reason, t.VendorCode, t.VendorId = lane.ReasonOf(result.Outcome), result.Code, result.VendorID
		if t.GetReason() == rousev1.Reason_REASON_DELIVERED_TO_VENDOR {
			t.Status = rousev1.OutcomeStatus_OUTCOME_STATUS_ACCEPTED
		}
	})
	t.Replies = replies
	return t, err
}

func testPush(c *rousev1.Credential, r *rousev1.TestCredentialRequest) *vendors.Notification {
	content := r.GetContent()
	n := &vendors.Notification{
		PushID: vendors.NewPushID(), Token: r.GetToken(), Channel: vendors.ChannelAlert, Class: user.ClassOf(r.GetClass()),
		Title: content.GetTitle(), Subtitle: content.GetSubtitle(), Body: content.GetBody(), Sound: content.GetSound(),
		ImageURL: content.GetImageUrl(), Category: content.GetCategory(), Data: content.GetData(),
		Badge: -1, Expires: time.Now().Add(testTTL),
	}
	if n.Title == "" && n.Body == "" {
		n.Title, n.Body = testTitle, testBody
	}
	if c.GetApns().GetVoip() {
		n.Channel, n.Class = vendors.ChannelVoIP, vendors.ClassCall
	}
	return n
}
