package vendortest

import (
	"testing"
)

// testCase is one case; it is left out for vendors that lack what it needs.
type testCase struct {
	name  string
	needs Feature
	run   func(t *testing.T, p *probe)
}

var cases = []testCase{
	{"accepted", 0, testAccepted},
}

func testAccepted(t *testing.T, p *probe) {
	got := p.accepted(t, p.push())
	if got.Title != canaryTitle || got.Body != canaryBody {
		t.Errorf("the vendor took title %q body %q", got.Title, got.Body)
	}
}
