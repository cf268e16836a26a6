// Package receipt takes in what vendors report of pushes after they took them:
// it is the way from an HTTP request at a credential's address to the users
// whose outcomes and tokens the receipts are about.
//
// It is bounded so that a flood of receipts slows no push: requests and receipts
// under way are few, each credential has its share and its rate, and shards
// refuse receipts before anything else. What is beyond waits a little, and is
// then refused, so that the vendor repeats, if it is one that does. A request
// is taken only when all of it is durable or is known to be about nothing here;
// repeating it changes nothing.
package receipt

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rouse-im/rouse/actors"
	"github.com/rouse-im/rouse/actors/user"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/catalog"
	"github.com/rouse-im/rouse/storage/seal"
	"github.com/rouse-im/rouse/vendors"
)

const (
	// maxBody and maxInRequest bound one request. Vendors send at most 1,000
	// receipts, or what came together within a second.
	maxBody      = 1 << 20
	maxInRequest = 10_000

	// workTime bounds a request; Huawei asks for 200 ms in general.
	workTime  = 5 * time.Second
	warnEvery = time.Minute
	// retryAfter is told with a refusal, in seconds.
	retryAfter = "5"
	// taken is what Huawei wants to read; the others look at the status only.
	taken = `{"code":"0","message":"success"}`
)

// Reader checks a vendor's request and reads its receipts. Its error is
// vendors.ErrReceiptForged, or else tells what is malformed.
type Reader func(vendors.ReceiptRequest) ([]vendors.Receipt, error)

// Options of an Intake. All but PerSecond must be given.
type Options struct {
	Ring    *seal.Ring
	Catalog *catalog.Catalog
	// Reader is how the vendor of a credential reports; nil = it does not.
	Reader func(*rousev1.Credential) Reader
	// Report brings a receipt to its user. It must not block.
	Report func(*user.Reported)
	// Writable tells whether the disk has room for more.
	Writable func(now time.Time) error
	Logger   *slog.Logger
	Metrics  prometheus.Registerer
	// PerSecond bounds the receipts of one credential; 0 = 5000. A request's
	// worth may come at once.
	PerSecond int
}

// Intake serves the addresses of all credentials.
type Intake struct {
	Options
	bounds
	metrics *metrics

	mu        sync.RWMutex
	addresses map[id]*address
	named     map[credential]*address
}

type credential struct{ app, name string }

// New makes an Intake that knows the addresses of all credentials of the
// catalogue, from now on.
func New(o Options) (*Intake, error) {
	if o.PerSecond == 0 {
		o.PerSecond = 5000
	}
	in := &Intake{
		Options: o, bounds: newBounds(maxRequests, maxReceipts),
		addresses: make(map[id]*address), named: make(map[credential]*address),
	}
	var err error
	if in.metrics, err = newMetrics(o.Metrics); err != nil {
		return nil, fmt.Errorf("receipt: registering metrics: %w", err)
	}
	o.Catalog.Watch(in.watch)
	return in, nil
}

// refusal is how a request is answered that was not taken.
type refusal struct {
	status int
	result string // for metrics
	err    error  // for the log; shows neither token nor secret
}

// ServeHTTP answers a request of Pattern.
func (in *Intake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a := in.find(r.PathValue("vendor"), r.PathValue("secret"))
	if a == nil {
		in.metrics.requests.WithLabelValues("", requestUnknown).Inc()
		http.NotFound(w, r)
		return
	}
	if refused := in.work(a, w, r); refused != nil {
		in.refuse(a, w, refused)
		return
	}
	in.metrics.requests.WithLabelValues(a.vendor, requestTaken).Inc()
	w.Header().Set("Content-Type", "application/json")
	io.WriteString(w, taken) //nolint:errcheck // the caller is gone
}

func (in *Intake) refuse(a *address, w http.ResponseWriter, r *refusal) {
	in.metrics.requests.WithLabelValues(a.vendor, r.result).Inc()
	if r.result == requestForged || r.result == requestMalformed {
		a.warned.Do(func() {
			in.Logger.Warn("receipts of a vendor are refused; further ones within a minute are only counted",
				"app", a.app, "credential", a.notifier, "vendor", a.vendor, "result", r.result, "error", r.err)
		})
	}
	if r.status == http.StatusServiceUnavailable {
		w.Header().Set("Retry-After", retryAfter)
	}
	http.Error(w, r.result, r.status)
}

// work does all that a request asks for; nil = it is done.
func (in *Intake) work(a *address, w http.ResponseWriter, r *http.Request) *refusal {
	now := time.Now()
	leave := enter(a.bounds, in.bounds)
	if leave == nil || in.Writable(now) != nil {
		if leave != nil {
			leave()
		}
		return &refusal{http.StatusServiceUnavailable, requestBusy, nil}
	}
	defer leave()
	ctx, cancel := context.WithTimeout(r.Context(), workTime)
	defer cancel()
	body, refused := readBody(w, r, now)
	if refused != nil {
		return refused
	}
	receipts, err := a.read(vendors.ReceiptRequest{Header: r.Header, Body: body, Now: now})
	switch {
	case errors.Is(err, vendors.ErrReceiptForged):
		return &refusal{http.StatusForbidden, requestForged, err}
	case err != nil:
		return &refusal{http.StatusBadRequest, requestMalformed, err}
	case len(receipts) > maxInRequest:
		return &refusal{http.StatusRequestEntityTooLarge, requestTooLarge, nil}
	}
	if a.rate.WaitN(ctx, len(receipts)) != nil || !in.deliver(ctx, a, receipts) {
		return &refusal{http.StatusServiceUnavailable, requestBusy, nil}
	}
	return nil
}

// forms are the content types of the vendors; none is taken for one of them.
var forms = map[string]bool{"": true, "application/json": true, "application/x-www-form-urlencoded": true, "text/plain": true, "text/json": true}

func readBody(w http.ResponseWriter, r *http.Request, now time.Time) ([]byte, *refusal) {
	contentType, encoding := r.Header.Get("Content-Type"), r.Header.Get("Content-Encoding")
	if contentType != "" {
		var err error
		if contentType, _, err = mime.ParseMediaType(contentType); err != nil {
			contentType = "unreadable"
		}
	}
	if !forms[contentType] || encoding != "" && encoding != "identity" {
		return nil, &refusal{http.StatusUnsupportedMediaType, requestForm, nil}
	}
	control := http.NewResponseController(w)
	control.SetReadDeadline(now.Add(workTime)) //nolint:errcheck // HTTP/1 and 2 both can
	defer control.SetReadDeadline(time.Time{}) //nolint:errcheck // as above
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		return nil, &refusal{http.StatusRequestEntityTooLarge, requestTooLarge, nil}
	case err != nil:
		return nil, &refusal{http.StatusBadRequest, requestUnread, nil}
	}
	return body, nil
}

// deliver brings receipts to their users, in their order, and waits until what
// follows is durable. False: some were refused or are still on their way, so that
// the request must be repeated.
func (in *Intake) deliver(ctx context.Context, a *address, receipts []vendors.Receipt) bool {
	sent := 0
	results := make(chan string, len(receipts)) // room for all: no actor's turn waits
	whole := true
	count := func(kind vendors.ReceiptKind, result string) {
		in.metrics.receipts.WithLabelValues(a.vendor, kind.String(), result).Inc()
	}
	for i := range receipts {
		r := &receipts[i]
		if whole = whole && a.take(ctx); !whole {
			break
		}
		if whole = in.take(ctx); !whole {
			a.give()
			break
		}
		in.Report(in.reported(a, r, func(reply actors.Reply) {
			in.give()
			a.give()
			result := resultOf(reply)
			count(r.Kind, result)
			results <- result
		}))
		sent++
		select {
		case result := <-results:
			sent--
			whole = result != receiptRefused
		default:
		}
	}
	for range sent {
		select {
		case result := <-results:
			whole = whole && result != receiptRefused
		case <-ctx.Done():
			return false
		}
	}
	return whole
}

func (in *Intake) reported(a *address, r *vendors.Receipt, done func(actors.Reply)) *user.Reported {
	return &user.Reported{
		App: a.app, NewToken: r.NewToken, Done: done,
		Receipt: user.Receipt{
			Notifier: a.notifier, Sum: user.SumOf(in.Ring, a.app, a.notifier, r.Token), Kind: r.Kind,
			PushID: r.PushID, VendorID: r.VendorID, Code: r.Code, At: r.At,
		},
	}
}

// resultOf names what became of a receipt. What cannot be helped by a repeat is
// dropped and counted.
func resultOf(reply actors.Reply) string {
	switch {
	case reply.Err.GetCode() == rousev1.ErrorCode_ERROR_CODE_NOT_FOUND:
		return receiptNoPush
	case reply.Err.GetTemporary():
		return receiptRefused
	case reply.Err != nil:
		return receiptFailed
	case reply.Status == rousev1.ItemStatus_ITEM_STATUS_STALE:
		return receiptNoToken
	case reply.Status == rousev1.ItemStatus_ITEM_STATUS_DUPLICATE:
		return receiptDuplicate
	}
	return receiptKept
}
