package vivo

import (
	"testing"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/courier"
	"github.com/rouse-im/rouse/vendors/vendortest"
)

func TestSame(t *testing.T) {
	for _, add := range []bool{false, true} {
		c := testConfig()
		c.AddBadge = add
		s, err := New(c)
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		vendortest.CheckSame(t, "NEWS", s.Same, func(n *vendors.Notification) string {
			m, refusal := s.style.compose(n, vendortest.SameNow)
			return string(courier.JSON(m)) + refusal
		})
	}
}
