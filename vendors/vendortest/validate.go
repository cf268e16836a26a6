package vendortest

import (
	"strings"
	"testing"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/fake"
	"github.com/rouse-im/rouse/vendors/reply"
)

// testValidate: a good credential is accepted, no device gets anything, and the
// vendor's answers are kept without secrets.
func testValidate(t *testing.T, p *probe) {
	v, ok := p.Sender.(vendors.Validator)
	if !ok {
		t.Fatal("the sender cannot validate its credential")
	}
	log := &reply.Log{}
	asked, res, err := v.Validate(reply.With(within(t), log))
	if err != nil || res.Outcome != vendors.Accepted || asked == "" {
		t.Fatalf("%q: %+v, %v", asked, res, err)
	}
	replies := log.Replies()
	if len(replies) == 0 || replies[0].Status == 0 {
		t.Fatalf("kept %+v", replies)
	}
	for _, r := range replies {
		if strings.Contains(r.Body, "eyJ") {
			t.Errorf("a JWT shows in %s", r.Body)
		}
	}
}

// testReplies: the raw answer to a push is kept, with token and bearer masked
// though the vendor repeats them.
func testReplies(t *testing.T, p *probe) {
	n := p.push()
	body := `{"msg":"` + n.Token + ` is what you sent","token":"` + n.Token + `"}`
	p.Faults.Script(fake.Fault{Kind: fake.Answer, Status: 418, Body: body})
	log := &reply.Log{}
	log.Hide(n.Token)
	if _, err := p.send(reply.With(within(t), log), n); err != nil {
		t.Fatal(err)
	}
	replies := log.Replies()
	last := replies[len(replies)-1]
	if last.Status != 418 || !strings.Contains(last.Body, "is what you sent") {
		t.Fatalf("kept %+v", last)
	}
	for _, r := range replies {
		for _, secret := range append([]string{n.Token}, p.Secrets...) {
			if strings.Contains(r.Body+r.Address, secret) {
				t.Errorf("%.8s… shows in %+v", secret, r)
			}
		}
	}
}
