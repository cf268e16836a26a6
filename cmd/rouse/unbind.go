package main

import (
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/rpc"
)

type unbindVerb struct {
	remote
	User     string `arg:""`
	Device   string `arg:""`
	Notifier string `arg:"" optional:"" help:"Name of a credential; without it all tokens of the device go."`
}

// Help teaches by example.
func (*unbindVerb) Help() string {
	return `Examples:

    rouse unbind --app chat ann phone
    rouse unbind --app chat ann phone ios-voip`
}

// Run removes the binding and shows those that remain.
func (v *unbindVerb) Run(c *call) error {
	return ask(c, &v.remote, func(s *rpc.Services) (*rousev1.UnbindTokenResponse, error) {
		return s.Device.UnbindToken(c.ctx, &rousev1.UnbindTokenRequest{UserId: v.User, DeviceId: v.Device, Notifier: v.Notifier})
	}, func(r *rousev1.UnbindTokenResponse) error { return c.bindings(r.GetBindings()) })
}
