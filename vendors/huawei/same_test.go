package huawei

import (
	"testing"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/vendortest"
)

func TestSame(t *testing.T) {
	for _, api := range []API{HMS, Harmony} {
		for _, mode := range []BadgeMode{BadgeSet, BadgeAdd, BadgeNone} {
			for _, class := range []string{"", class} {
				c := testConfig(t, api)
				c.Badge = mode
				if api == HMS {
					c.BadgeClass = class
				}
				s, err := New(c)
				if err != nil {
					t.Fatal(err)
				}
				defer s.Close()
				vendortest.CheckSame(t, "SUBSCRIPTION", s.Same, func(n *vendors.Notification) string {
					if n.Channel != vendors.ChannelAlert {
						return "refused"
					}
					body, _ := s.config.fit(s.write, n, []string{n.Token}, vendortest.SameNow)
					return string(body)
				})
			}
		}
	}
}
