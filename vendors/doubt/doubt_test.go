package doubt

import (
	"testing"

	"github.com/rouse-im/rouse/vendors"
)

// Answers that a credential of the wrong environment gives for live tokens
// drop none.
func TestDoubt(t *testing.T) {
	var d Doubt
	bad := vendors.Result{Outcome: vendors.TokenInvalid, Code: "BadDeviceToken"}
	gone := vendors.Result{Outcome: vendors.TokenInvalid, Code: "Unregistered"}
	if got := d.Weigh(bad, "Mismatch", "BadDeviceToken"); got.Outcome != vendors.Rejected || got.Code != bad.Code {
		t.Errorf("before any push was accepted: %+v", got)
	}
	if got := d.Weigh(gone, "BadDeviceToken"); got.Outcome != vendors.TokenInvalid {
		t.Errorf("unregistered: %+v", got)
	}
	d.Weigh(vendors.Result{Outcome: vendors.Accepted})
	for i := range maxDoubtful {
		if got := d.Weigh(bad, "Mismatch", "BadDeviceToken"); got.Outcome != vendors.TokenInvalid {
			t.Fatalf("token %d after an accepted push: %+v", i, got)
		}
	}
	if got := d.Weigh(bad, "Mismatch", "BadDeviceToken"); got.Outcome != vendors.Rejected {
		t.Errorf("one bad token too many: %+v", got)
	}
	d.Weigh(vendors.Result{Outcome: vendors.Accepted})
	if got := d.Weigh(bad, "Mismatch", "BadDeviceToken"); got.Outcome != vendors.TokenInvalid {
		t.Errorf("after the next accepted push: %+v", got)
	}
}
