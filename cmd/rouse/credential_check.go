package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/reason"
	"github.com/rouse-im/rouse/internal/rpc"
)

type credentialStatus struct {
	remote
	Name string `arg:"" help:"Name of the credential."`
}

// Help teaches by example.
func (*credentialStatus) Help() string {
	return `The state is untried, valid, out-of-quota, unreachable, invalid, disabled or banned; it is the worst of all nodes, and what waits is the sum.

Examples:

    rouse credential status --app chat ios`
}

// Run shows the state of a credential.
func (v *credentialStatus) Run(c *call) error {
	return ask(c, &v.remote, func(s *rpc.Services) (*rousev1.GetCredentialStatusResponse, error) {
		return s.Admin.GetCredentialStatus(c.ctx, &rousev1.GetCredentialStatusRequest{Name: v.Name})
	}, func(r *rousev1.GetCredentialStatusResponse) error {
		s := r.GetStatus()
		rate := "unlimited"
		if s.GetPerSecond() > 0 {
			rate = fmt.Sprintf("%g/s", s.GetPerSecond())
		}
		rows := [][]string{
			{"state", rpc.Word(s.GetState())},
			{"waiting", fmt.Sprint(s.GetQueued())},
			{"in flight", fmt.Sprint(s.GetInFlight())},
			{"rate", rate},
			{"paused until", at(s.GetPausedUntil())},
			{"previous until", at(s.GetPreviousUntil())},
			{"receipts at", dash(s.GetReceiptPath())},
		}
		for _, q := range s.GetQuotas() {
			rows = append(rows, []string{"quota " + rpc.Word(q.GetClass()), fmt.Sprintf("%d of %d, new at %s", q.GetUsed(), q.GetLimit(), at(q.GetResetsAt()))})
		}
		return errors.Join(c.columns(rows), c.why(s.GetReason(), s.GetVendorCode()), c.incomplete(r.GetMissingNodes()))
	})
}

// incomplete tells which nodes an answer lacks; nothing when none.
func (c *call) incomplete(missing []string) error {
	if len(missing) == 0 {
		return nil
	}
	return c.say("! without %s: no answer came; rouse cluster status tells more", strings.Join(missing, ", "))
}

// why says in words what a reason means and what to do; nothing when there is none.
func (c *call) why(r rousev1.Reason, vendorCode string) error {
	if r == rousev1.Reason_REASON_UNSPECIFIED {
		return nil
	}
	text := reason.In(c.speech.reasons, r)
	if vendorCode != "" {
		vendorCode = " (" + vendorCode + ")"
	}
	return c.say("%s%s: %s %s", rpc.Word(r), vendorCode, text.What, text.Advice)
}

type credentialValidate struct {
	remote
	Name string `arg:"" optional:"" help:"Name of a stored credential."`
	File string `help:"JSON of a credential that need not be stored, and is not stored by this." placeholder:"FILE"`
}

// Help teaches by example.
func (*credentialValidate) Help() string {
	return `The vendor is asked whether it takes the credential; no device gets anything. Fails when it does not.

Examples:

    rouse credential validate --app chat ios
    rouse credential validate --app chat --file huawei.json`
}

// Run asks the vendor.
func (v *credentialValidate) Run(c *call) error {
	r := &rousev1.ValidateCredentialRequest{}
	switch {
	case (v.Name == "") == (v.File == ""):
		return errors.New("which credential? give the NAME of a stored one, or --file for one that is not stored")
	case v.Name != "":
		r.Which = &rousev1.ValidateCredentialRequest_Name{Name: v.Name}
	default:
		k, err := readCredential(v.File)
		if err != nil {
			return err
		}
		r.Which = &rousev1.ValidateCredentialRequest_Credential{Credential: k}
	}
	return ask(c, &v.remote, func(s *rpc.Services) (*rousev1.ValidateCredentialResponse, error) {
		return s.Admin.ValidateCredential(c.ctx, r)
	}, func(r *rousev1.ValidateCredentialResponse) error {
		err := errors.Join(c.say("%s", rpc.Word(r.GetState())), c.say("asked: %s", r.GetMethod()), c.why(r.GetReason(), r.GetVendorCode()), c.replies(r.GetReplies()))
		if err == nil && r.GetState() != rousev1.CredentialState_CREDENTIAL_STATE_VALID {
			err = errors.New("the credential is not known to be valid")
		}
		return err
	})
}

type credentialTest struct {
	remote
	Name  string `arg:"" help:"Name of the credential."`
	Token string `help:"Vendor token of the device." required:""`
	Title string `help:"Title of the notification." placeholder:"TEXT"`
	Body  string `help:"Text of the notification; without one it says what it is." placeholder:"TEXT"`
}

// Help teaches by example.
func (*credentialTest) Help() string {
	return `One notification is sent to one token at once, past presence, policies, queues and quotas, and the vendor's answer is shown. Fails when the vendor did not take it.

Examples:

    rouse credential test --app chat ios --token 00fc13adff785122b4ad28809a3420982341241421348097878e577c991de8f0
    rouse credential test --app chat huawei --token IQAAAACy0k --title Hello --body "Can you see this?"`
}

// Run sends the test.
func (v *credentialTest) Run(c *call) error {
	return ask(c, &v.remote, func(s *rpc.Services) (*rousev1.TestCredentialResponse, error) {
		return s.Admin.TestCredential(c.ctx, &rousev1.TestCredentialRequest{
			Name: v.Name, Token: v.Token, Content: &rousev1.Content{Title: v.Title, Body: v.Body},
		})
	}, func(r *rousev1.TestCredentialResponse) error {
		err := errors.Join(
			c.columns([][]string{{"outcome", rpc.Word(r.GetStatus())}, {"push id", r.GetPushId()}, {"vendor id", dash(r.GetVendorId())}}),
			c.why(r.GetReason(), r.GetVendorCode()), c.replies(r.GetReplies()))
		if err == nil && r.GetStatus() != rousev1.OutcomeStatus_OUTCOME_STATUS_ACCEPTED {
			err = errors.New("the vendor did not take the push")
		}
		return err
	})
}

// replies shows the vendor's answers.
func (c *call) replies(all []*rousev1.VendorReply) error {
	var errs []error
	for _, r := range all {
		status := fmt.Sprint(r.GetStatus())
		if r.GetStatus() == 0 {
			status = "no answer"
		}
		errs = append(errs, c.say("\n%s: %s after %s", r.GetAddress(), status, r.GetTook().AsDuration().Round(time.Millisecond)))
		if body := strings.TrimSpace(r.GetBody()); body != "" {
			errs = append(errs, c.say("%s", body))
		}
	}
	return errors.Join(errs...)
}
