package oppo

import (
	"testing"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/vendortest"
)

func TestSame(t *testing.T) {
	s, err := New(testConfig())
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	vendortest.CheckSame(t, "SOCIAL", s.Same, func(n *vendors.Notification) string {
		shown, refusal := s.style.compose(n, vendortest.SameNow)
		return string(shown) + refusal
	})
}
