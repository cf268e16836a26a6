package apns

import (
	"context"
	"strings"

	"github.com/rouse-im/rouse/vendors"
)

var _ vendors.Validator = (*Sender)(nil)

// noDevice has the form of a device token and is none.
var noDevice = strings.Repeat("0", 64)

// Validate pushes to a device token that cannot exist: APNs looks at the
// credential and the topic first.
func (s *Sender) Validate(ctx context.Context) (string, vendors.Result, error) {
	const asked = "push to a device token that cannot exist: BadDeviceToken means that key or certificate, team and bundle id are accepted"
	n := vendors.Impossible(noDevice)
	if s.voip {
		n.Channel = vendors.ChannelVoIP
	}
	push, _ := compose(s.topic, n) // it is short
	x, err := s.push(ctx, push)
	return asked, x.result().OfCredential(), err
}
