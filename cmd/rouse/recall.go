package main

import (
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/rpc"
)

type recallVerb struct {
	remote
	Message string   `arg:"" help:"Id of the message."`
	Users   []string `arg:"" help:"Its recipients."`
	Title   string   `help:"New title: the message was edited, not withdrawn."`
	Body    string   `help:"New body: the message was edited, not withdrawn."`
	Version uint32   `help:"Order of the changes of the message; the highest wins." default:"1"`
}

// Help teaches by example.
func (*recallVerb) Help() string {
	return `Queued pushes are cancelled or changed, and the offline counts fall. What was shown is overwritten if the app's settings say recall_overwrites.

Examples:

    rouse recall --app chat m-1 ann
    rouse recall --app chat m-1 ann --body "At nine, not at eight." --version 2`
}

// Run reports the recall.
func (v *recallVerb) Run(c *call) error {
	r := &rousev1.RecallEvent{MessageId: v.Message, Recipients: v.Users, Version: v.Version}
	if v.Title != "" || v.Body != "" {
		r.Edited = &rousev1.Content{Title: v.Title, Body: v.Body}
	}
	return c.tell(&v.remote, &rousev1.Event{Kind: &rousev1.Event_Recall{Recall: r}})
}

type readVerb struct {
	remote
	User     string   `arg:""`
	Messages []string `arg:"" help:"Ids of the messages."`
}

// Help teaches by example.
func (*readVerb) Help() string {
	return `Queued pushes of the messages are cancelled, and devices that have not fetched them count them no more.

Examples:

    rouse read --app chat ann m-1 m-2`
}

// Run reports that messages were read.
func (v *readVerb) Run(c *call) error {
	return c.tell(&v.remote, &rousev1.Event{Kind: &rousev1.Event_Read{Read: &rousev1.ReadEvent{UserId: v.User, MessageIds: v.Messages}}})
}

// tell sends one event and shows how it was taken.
func (c *call) tell(to *remote, e *rousev1.Event) error {
	return ask(c, to, func(s *rpc.Services) (*rousev1.ItemResult, error) { return c.ingest(s, e) }, c.verdict)
}

type badgeVerb struct {
	remote
	User   string  `arg:""`
	Device string  `arg:""`
	Count  *uint32 `help:"Messages that the device has not fetched." placeholder:"N"`
	Base   *uint32 `help:"What the app counts itself; badges count on from it in badge mode BASE_PLUS." placeholder:"N"`
}

// Help teaches by example.
func (*badgeVerb) Help() string {
	return `Without flags it shows the number that the device's icon should have.

Examples:

    rouse badge --app chat ann phone
    rouse badge --app chat ann phone --count 0`
}

// Run sets or shows the number.
func (v *badgeVerb) Run(c *call) error {
	return ask(c, &v.remote, func(s *rpc.Services) (*rousev1.SetBadgeResponse, error) {
		return s.User.SetBadge(c.ctx, &rousev1.SetBadgeRequest{UserId: v.User, DeviceId: v.Device, OfflineCount: v.Count, Base: v.Base})
	}, func(r *rousev1.SetBadgeResponse) error { return c.say("badge %d", r.GetBadge()) })
}
