package demo

import (
	"context"
	"encoding/base64"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/vendors/fake"
)

const (
	// publicURL is where vendors report to; in the world there is a proxy.
	publicURL = "https://push.demo.example"
	// reportDelay is from a push to its receipt. Fakes report at whole seconds.
	reportDelay = 100 * time.Millisecond
	// receiptUser and receiptKey sign the receipts of Huawei and Honor; the key
	// is Meizu's access token too.
	receiptUser = "rouse"
)

var receiptKey = base64.StdEncoding.EncodeToString([]byte(secret))

// reporting has a credential ask for receipts, and check their proof.
func reporting() *rousev1.ReceiptSettings {
	return &rousev1.ReceiptSettings{Enabled: true, UserName: receiptUser, Secret: receiptKey}
}

// reports says that a vendor reports what became of pushes.
func reports(vendor string) bool { return vendor != APNs && vendor != FCM }

// receiptsDue knows which outcomes must hear of a receipt: those of pushes that a
// fake took for tokens whose owner has them still. What is reported of others is
// nobody's.
type receiptsDue struct {
	seen *ledger
	held map[binding]bool
}

func (r receiptsDue) missing(o *rousev1.Outcome) bool {
	return o.GetStatus() == rousev1.OutcomeStatus_OUTCOME_STATUS_ACCEPTED && reports(VendorOf(o.GetNotifier())) && o.GetDeliveredAt() == nil &&
		r.held[binding{o.GetUserId(), o.GetDeviceId(), o.GetNotifier(), r.seen.token(o.GetPushId())}]
}

// held are the tokens that devices have at the end of the day.
func held(lines []Line) map[binding]bool {
	type holder struct{ user, device, notifier string }
	tokens, owners := map[holder]string{}, map[string]holder{}
	for i := range lines {
		l := &lines[i]
		switch of := (holder{l.User, l.Device, l.Notifier}); {
		case l.Do == Bind:
			delete(tokens, owners[l.Token])
			tokens[of], owners[l.Token] = l.Token, of
		case l.Do == Dead:
			delete(tokens, owners[l.Token])
		case l.Do == Unbind:
			delete(tokens, of)
		case l.Do == Presence && l.Unbind:
			maps.DeleteFunc(tokens, func(h holder, _ string) bool { return h.user == l.User && h.device == l.Device })
		}
	}
	all := map[binding]bool{}
	for h, token := range tokens {
		all[binding{h.user, h.device, h.notifier, token}] = true
	}
	return all
}

// console is the entry of an address in a vendor's console.
func console(url string) fake.ReceiptAddress {
	return fake.ReceiptAddress{URL: url, ReceiptProof: fake.ReceiptProof{UserName: receiptUser, Secret: receiptKey}}
}

// proxy brings what is sent to the public address to the node. Its host is set
// before the first push.
type proxy struct{ host string }

func (p *proxy) RoundTrip(r *http.Request) (*http.Response, error) {
	if !strings.HasPrefix(r.URL.String(), publicURL+"/") {
		return nil, fmt.Errorf("receipts are for %s", publicURL)
	}
	forward := r.Clone(r.Context())
	forward.URL.Scheme, forward.URL.Host, forward.Host = "http", p.host, ""
	return http.DefaultTransport.RoundTrip(forward)
}

// enter tells a vendor's console where its receipts go, if it has to know.
func (w *world) enter(ctx context.Context, notifier string) error {
	s, err := w.fakes.station(VendorOf(notifier))
	if err != nil || s.enter == nil {
		return err
	}
	r, err := w.admin.Admin.GetCredentialStatus(ctx, &rousev1.GetCredentialStatusRequest{Name: notifier})
	if err != nil {
		return fmt.Errorf("the address of receipts of %s: %w", notifier, err)
	}
	s.enter(publicURL + r.GetStatus().GetReceiptPath())
	return nil
}

// tap opens the newest push of a token.
func (v *Vendors) tap(vendor, token string) error {
	s, err := v.station(vendor)
	if err != nil {
		return err
	}
	s.receipts.Click(token)
	return nil
}
