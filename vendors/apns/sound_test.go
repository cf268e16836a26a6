package apns

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/fake"
)

// The credential's sound is that of alerts that name none.
func TestSoundOfTheCredential(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, config := newFake(t, fake.APNsOptions{})
		config.Sound = "ding.caf"
		s := newSender(t, config)
		for _, c := range []struct {
			channel   vendors.Channel
			own, want string
		}{
			{vendors.ChannelAlert, "", `"sound":"ding.caf"`},
			{vendors.ChannelAlert, "default", `"sound":"default"`},
			{vendors.ChannelBadge, "", ""},
		} {
			n := &vendors.Notification{
				PushID: vendors.NewPushID(), Token: newToken(a, testBundle), Channel: c.channel, Class: vendors.ClassIM,
				Body: "hi", Sound: c.own, Badge: 1, Expires: time.Now().Add(time.Hour),
			}
			if r, err := s.Send(t.Context(), n); err != nil || r.Outcome != vendors.Accepted || n.Sound != c.own {
				t.Fatalf("%+v, %v, sound now %q", r, err, n.Sound)
			}
			d, _ := a.Device(n.Token)
			payload := string(d.Received[0].Payload)
			if !strings.Contains(payload, c.want) || c.want == "" && strings.Contains(payload, "sound") {
				t.Errorf("%+v: %s", c, payload)
			}
		}
	})
}
