package meizu

import (
	"testing"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/vendortest"
)

func TestSame(t *testing.T) {
	s, err := New(testConfig(t))
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	vendortest.CheckSame(t, "public", s.Same, func(n *vendors.Notification) string {
		message, code := s.config.compose(n, vendortest.SameNow)
		return message + code
	})
}
