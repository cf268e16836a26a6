package xiaomi

import (
	"testing"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/vendortest"
)

func TestSame(t *testing.T) {
	c := testConfig(t)
	c.IM = Route{ChannelID: "im", TemplateID: "T7", TemplateParams: map[string]string{"group": "subtitle"}}
	s, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	vendortest.CheckSame(t, "news", s.Same, func(n *vendors.Notification) string {
		form, code := s.config.compose(n, vendortest.SameNow)
		return form.Encode() + code
	})
}
