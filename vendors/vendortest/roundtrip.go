package vendortest

import (
	"crypto/tls"
	"errors"
	"io"
	"net/http"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/fake"
)

// ReceiptURL is the address that CheckReceipts listens on.
const ReceiptURL = "https://rouse.test/receipts/x"

// ReceiptHarness describes the receipts of one vendor to CheckReceipts.
type ReceiptHarness struct {
	// Start makes a fake that reports to ReceiptURL as o says, and a Sender
	// connected to it that asks for it. It runs inside a synctest bubble.
	Start func(t *testing.T, o fake.ReceiptOptions) *ReceiptRig
	// Kinds is what the vendor reports of each happening; others it does not.
	Kinds map[Happening]vendors.ReceiptKind
	// Signs: the vendor proves its receipts.
	Signs bool
}

// ReceiptRig is one running fake with its Sender and the reader of receipts.
type ReceiptRig struct {
	Sender vendors.BatchSender
	// Push makes a push to a new live token, wanted for an hour.
	Push     func() *vendors.Notification
	Receipts *fake.Receipts
	Read     ReceiptReader
}

// Happening names what can become of a push.
type Happening string

// Happenings.
const (
	Delivered   Happening = "delivered"
	Clicked     Happening = "clicked"
	Uninstalled Happening = "uninstalled"
	Muted       Happening = "muted"
	Inactive    Happening = "inactive"
	Replaced    Happening = "replaced"
	OverQuota   Happening = "over quota"
	Expired     Happening = "expired"
)

// happenings make it happen to a device, before and after a push to it.
var happenings = map[Happening]struct {
	before, after func(r *fake.Receipts, token string)
}{
	Delivered:   {},
	Clicked:     {after: (*fake.Receipts).Click},
	Uninstalled: {before: func(r *fake.Receipts, token string) { r.SetDevice(token, fake.Uninstalled) }},
	Muted:       {before: func(r *fake.Receipts, token string) { r.SetDevice(token, fake.Muted) }},
	Inactive:    {before: func(r *fake.Receipts, token string) { r.SetDevice(token, fake.Inactive) }},
	Replaced:    {before: func(r *fake.Receipts, token string) { r.Replace(token, ReceiptToken) }},
	OverQuota:   {},
	Expired: {
		before: func(r *fake.Receipts, token string) { r.SetDevice(token, fake.Offline) },
		after: func(r *fake.Receipts, token string) {
			synctest.Wait()
			<-time.After(3 * time.Hour)
			r.SetDevice(token, fake.Online)
		},
	},
}

// CheckReceipts sends pushes and compares what the vendor's fake reports, read
// by the vendor's client, with what was sent.
func CheckReceipts(t *testing.T, h ReceiptHarness) {
	for what, how := range happenings {
		h.run(t, string(what), func(t *testing.T, r *receiptRun) {
			n := r.Push()
			if how.before != nil {
				how.before(r.Receipts, n.Token)
			}
			if what == OverQuota {
				r.send(t, r.pushTo(n.Token), n.Token)
				r.receipts(t)
			}
			id := r.send(t, n, n.Token)[0].VendorID
			if how.after != nil {
				how.after(r.Receipts, n.Token)
			}
			var want []vendors.Receipt
			if kind := h.Kinds[what]; kind != 0 {
				want = []vendors.Receipt{{Kind: kind, Token: n.Token, PushID: n.PushID, VendorID: id}}
				if kind == vendors.ReceiptReplaced {
					want[0].NewToken = ReceiptToken
				}
			}
			got := r.receipts(t)
			if what == Clicked { // beside the delivery
				got = slices.DeleteFunc(got, func(r vendors.Receipt) bool { return r.Kind == vendors.ReceiptDelivered })
			}
			r.compare(t, want, got)
		})
	}
	h.run(t, "a batch", testReceiptBatch)
	h.run(t, "a device comes online", testReceiptOnline)
	h.run(t, "faults", testReceiptFaults)
	h.run(t, "forged", func(t *testing.T, r *receiptRun) {
		r.Receipts.Script(fake.ReceiptFault{Kind: fake.ReceiptForged})
		n := r.Push()
		r.send(t, n, n.Token)
		r.wait()
		for _, request := range r.receiver.take() {
			if _, err := r.Read(request); errors.Is(err, vendors.ErrReceiptForged) != h.Signs {
				t.Errorf("got %v", err)
			}
		}
	})
}

func testReceiptBatch(t *testing.T, r *receiptRun) {
	n, others := r.Push(), []*vendors.Notification{r.Push(), r.Push()}
	tokens := []string{n.Token, others[0].Token, others[1].Token}
	results := r.send(t, n, tokens...)
	var want []vendors.Receipt
	for i, token := range tokens {
		want = append(want, vendors.Receipt{Kind: vendors.ReceiptDelivered, Token: token, PushID: n.PushID, VendorID: results[i].VendorID})
	}
	r.compare(t, want, r.receipts(t))
}

func testReceiptOnline(t *testing.T, r *receiptRun) {
	n := r.Push()
	r.Receipts.SetDevice(n.Token, fake.Offline)
	id := r.send(t, n, n.Token)[0].VendorID
	r.compare(t, nil, r.receipts(t))
	r.Receipts.SetDevice(n.Token, fake.Online)
	r.compare(t, []vendors.Receipt{{Kind: vendors.ReceiptDelivered, Token: n.Token, PushID: n.PushID, VendorID: id}}, r.receipts(t))
}

func testReceiptFaults(t *testing.T, r *receiptRun) {
	n := r.Push()
	r.Receipts.Script(fake.ReceiptFault{Kind: fake.ReceiptLost, Times: 1}, fake.ReceiptFault{Kind: fake.ReceiptTwice, Delay: 5 * time.Second, Times: 1})
	r.send(t, n, n.Token)
	r.compare(t, nil, r.receipts(t))
	n = r.Push()
	id := r.send(t, n, n.Token)[0].VendorID
	one := vendors.Receipt{Kind: vendors.ReceiptDelivered, Token: n.Token, PushID: n.PushID, VendorID: id}
	r.compare(t, []vendors.Receipt{one, one}, r.receipts(t))
}

// receiptRun is one running case.
type receiptRun struct {
	*ReceiptRig
	receiver *receiver
}

func (h *ReceiptHarness) run(t *testing.T, name string, test func(*testing.T, *receiptRun)) {
	t.Run(name, func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			receiver := newReceiver(t)
			o := fake.ReceiptOptions{Transport: receiver.transport}
			if name == string(OverQuota) {
				o.PerDevice = 1
			}
			test(t, &receiptRun{h.Start(t, o), receiver})
		})
	})
}

// pushTo is another push to token.
func (r *receiptRun) pushTo(token string) *vendors.Notification {
	n := r.Push()
	n.Token = token
	return n
}

func (r *receiptRun) send(t *testing.T, n *vendors.Notification, tokens ...string) []vendors.Result {
	t.Helper()
	results, err := r.Sender.SendBatch(t.Context(), n, tokens)
	if err != nil {
		t.Fatal(err)
	}
	for _, result := range results {
		if result.Outcome != vendors.Accepted || result.VendorID == "" {
			t.Fatalf("got %+v", result)
		}
	}
	return results
}

// wait is longer than a fake takes to report.
func (r *receiptRun) wait() {
	<-time.After(10 * time.Second)
	synctest.Wait()
}

// receipts reads what has come since the last call.
func (r *receiptRun) receipts(t *testing.T) []vendors.Receipt {
	t.Helper()
	r.wait()
	var all []vendors.Receipt
	for _, request := range r.receiver.take() {
		got, err := r.Read(request)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, got...)
	}
	if failed := r.Receipts.Stats().Failed; failed != 0 {
		t.Errorf("%d requests failed", failed)
	}
	return all
}

// compare leaves out codes and times, and the order.
func (r *receiptRun) compare(t *testing.T, want, got []vendors.Receipt) {
	t.Helper()
	for i := range got {
		got[i].Code, got[i].At = "", time.Time{}
	}
	slices.SortFunc(got, func(a, b vendors.Receipt) int {
		at := func(r vendors.Receipt) int {
			return slices.IndexFunc(want, func(w vendors.Receipt) bool { return w.Token == r.Token })
		}
		return at(a) - at(b)
	})
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Error(diff)
	}
}

// receiver is an HTTPS server that keeps what it is sent.
type receiver struct {
	transport http.RoundTripper

	mu       sync.Mutex
	requests []vendors.ReceiptRequest
}

func newReceiver(t *testing.T) *receiver {
	t.Helper()
	ca, err := fake.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Server("rouse.test")
	if err != nil {
		t.Fatal(err)
	}
	r := &receiver{}
	server, l := fake.NewServer(http.HandlerFunc(r.serve), &cert), fake.NewPipeListener()
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	transport := &http.Transport{DialContext: l.DialContext, TLSClientConfig: &tls.Config{RootCAs: ca.Pool()}}
	r.transport = transport
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		_ = server.Close()
		if err := <-served; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	return r
}

func (r *receiver) serve(w http.ResponseWriter, request *http.Request) {
	body, err := io.ReadAll(request.Body)
	if err != nil || request.Method != http.MethodPost || "https://"+request.Host+request.URL.Path != ReceiptURL {
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests = append(r.requests, vendors.ReceiptRequest{Header: request.Header, Body: body, Now: time.Now()})
}

// take is what came since the last call.
func (r *receiver) take() []vendors.ReceiptRequest {
	r.mu.Lock()
	defer r.mu.Unlock()
	all := r.requests
	r.requests = nil
	return all
}
