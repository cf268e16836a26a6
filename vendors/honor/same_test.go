package honor

import (
	"testing"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/vendortest"
)

func TestSame(t *testing.T) {
	for _, mode := range []BadgeMode{BadgeSet, BadgeAdd, BadgeNone} {
		for _, class := range []string{"", class} {
			c := testConfig(t)
			c.Badge, c.BadgeClass = mode, class
			s, err := New(c)
			if err != nil {
				t.Fatal(err)
			}
			defer s.Close()
			vendortest.CheckSame(t, low, s.Same, func(n *vendors.Notification) string {
				if n.Channel != vendors.ChannelAlert {
					return "refused"
				}
				body, _ := s.config.fit(n, []string{n.Token}, vendortest.SameNow)
				return string(body)
			})
		}
	}
}
