package main

import (
	"errors"
	"fmt"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/rpc"
)

type presenceVerb struct {
	remote
	User     string `arg:""`
	Device   string `arg:""`
	State    string `arg:"" help:"connected, background, disconnected, kicked or logged-out."`
	Session  uint64 `help:"Order of the session; without it the device's own, or the one after it when the device connects." placeholder:"N"`
	Step     uint64 `help:"Order within the session; without --session the one after the last." placeholder:"N"`
	Unbind   bool   `help:"With logged-out: remove the device's tokens too."`
	Platform string `help:"ios, android, harmony, desktop or web." placeholder:"PLATFORM"`
}

// Help teaches by example.
func (*presenceVerb) Help() string {
	return `An event that is older than the last applied one of its device is answered stale and changes nothing.

Examples:

    rouse presence --app chat ann phone connected --platform ios
    rouse presence --app chat ann phone disconnected`
}

// Run reports the session.
func (v *presenceVerb) Run(c *call) error {
	state, err := rpc.Value[rousev1.SessionState](v.State)
	if err != nil {
		return fmt.Errorf("state: %w", err)
	}
	platform, err := rpc.Value[rousev1.Platform](v.Platform)
	if err != nil {
		return fmt.Errorf("--platform: %w", err)
	}
	return ask(c, &v.remote, func(s *rpc.Services) (*rousev1.ItemResult, error) {
		p := &rousev1.PresenceEvent{
			UserId: v.User, DeviceId: v.Device, State: state, Session: v.Session, Step: v.Step, Unbind: v.Unbind,
			Device: &rousev1.DeviceInfo{Platform: platform},
		}
		if v.Session == 0 {
			if err := v.follow(c, s, p); err != nil {
				return nil, err
			}
		}
		return c.ingest(s, &rousev1.Event{Kind: &rousev1.Event_Presence{Presence: p}})
	}, c.verdict)
}

// follow gives an event its place behind the last one of its device.
func (v *presenceVerb) follow(c *call, s *rpc.Services, p *rousev1.PresenceEvent) error {
	r, err := s.Device.ListDevices(c.ctx, &rousev1.ListDevicesRequest{UserId: v.User})
	if err != nil {
		return err
	}
	p.Session, p.Step = 1, 0
	for _, d := range r.GetDevices() {
		if d.GetDeviceId() != v.Device {
			continue
		}
		p.Session, p.Step = max(1, d.GetSession()), d.GetStep()+1
		up := d.GetState() == rousev1.SessionState_SESSION_STATE_CONNECTED || d.GetState() == rousev1.SessionState_SESSION_STATE_BACKGROUND
		if p.State == rousev1.SessionState_SESSION_STATE_CONNECTED && !up {
			p.Session, p.Step = d.GetSession()+1, 0
		}
	}
	return nil
}

// ingest sends one event; a refusal of it is an error.
func (c *call) ingest(s *rpc.Services, e *rousev1.Event) (*rousev1.ItemResult, error) {
	r, err := s.Intake.IngestBatch(c.ctx, &rousev1.IngestBatchRequest{Events: []*rousev1.Event{e}})
	if err != nil {
		return nil, err
	}
	if len(r.GetItems()) != 1 {
		return nil, fmt.Errorf("%d results for one event", len(r.GetItems()))
	}
	if item := r.GetItems()[0]; item.GetStatus() != rousev1.ItemStatus_ITEM_STATUS_REFUSED {
		return item, nil
	}
	return nil, errors.New("refused: " + r.GetItems()[0].GetError().GetMessage())
}

// verdict shows how an event was taken.
func (c *call) verdict(r *rousev1.ItemResult) error {
	switch r.GetStatus() {
	case rousev1.ItemStatus_ITEM_STATUS_DUPLICATE:
		return c.say("duplicate: it was applied before, nothing changed")
	case rousev1.ItemStatus_ITEM_STATUS_STALE:
		return c.say("stale: a later event of the device was applied before, nothing changed")
	}
	return c.say("%s", rpc.Word(r.GetStatus()))
}
