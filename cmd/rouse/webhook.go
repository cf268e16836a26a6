package main

import (
	"errors"
	"os"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/rpc"
)

type webhookVerb struct {
	Put webhookPut `cmd:"" help:"Replace the webhooks of an app."`
	Get webhookGet `cmd:"" help:"Show the webhooks of an app and how many events wait."`
}

type webhookPut struct {
	remote
	Outcomes     string        `help:"Address that is told outcomes; without it none is." placeholder:"URL"`
	Accepted     bool          `help:"Tell pushes that the vendor took, too."`
	Receipts     bool          `help:"Tell receipts of vendors, too."`
	Before       string        `help:"Address that may change or stop a message before it is decided." placeholder:"URL"`
	Timeout      time.Duration `help:"How long that one is waited for, 10ms to 5s." default:"1s"`
	Required     bool          `help:"Refuse messages for which it gives no answer."`
	Secret       string        `help:"File with the key of the signatures, 16 bytes or more; without it the old one stays." placeholder:"FILE"`
	AllowPrivate bool          `help:"Addresses of private networks may be called; operator keys only."`
	Easemob      bool          `help:"Tell outcomes in the form of Easemob's callback."`
}

// Help teaches by example.
func (*webhookPut) Help() string {
	return `Calls are signed: see docs/webhooks.md. Examples:

    rouse webhook put --app chat --outcomes https://im.example/push-outcomes --secret hook.secret
    rouse webhook put --app chat --before https://im.example/before-push --timeout 300ms --secret hook.secret
    rouse webhook put --app chat    # none any more`
}

// Run replaces the webhooks.
func (v *webhookPut) Run(c *call) error {
	w := &rousev1.Webhooks{
		OutcomeUrl: v.Outcomes, Accepted: v.Accepted, Receipts: v.Receipts, BeforePushUrl: v.Before, BeforePushTimeout: durationpb.New(v.Timeout),
		BeforePushRequired: v.Required, AllowPrivate: v.AllowPrivate, EasemobForm: v.Easemob,
	}
	if v.Secret != "" {
		text, err := os.ReadFile(v.Secret)
		if err != nil {
			return err
		}
		w.Secret = strings.TrimSpace(string(text))
	}
	return ask(c, &v.remote, func(s *rpc.Services) (*rousev1.PutWebhooksResponse, error) {
		return s.Admin.PutWebhooks(c.ctx, &rousev1.PutWebhooksRequest{Webhooks: w})
	}, func(*rousev1.PutWebhooksResponse) error { return c.say("the webhooks are set") })
}

type webhookGet struct{ remote }

// Run shows the webhooks.
func (v *webhookGet) Run(c *call) error {
	return ask(c, &v.remote, func(s *rpc.Services) (*rousev1.GetWebhooksResponse, error) {
		return s.Admin.GetWebhooks(c.ctx, &rousev1.GetWebhooksRequest{})
	}, func(r *rousev1.GetWebhooksResponse) error {
		w := r.GetWebhooks()
		err := c.say("outcomes: %s\nbefore pushes: %s\n%d events wait", dash(w.GetOutcomeUrl()), dash(w.GetBeforePushUrl()), r.GetQueued())
		return errors.Join(err, c.incomplete(r.GetMissingNodes()))
	})
}
