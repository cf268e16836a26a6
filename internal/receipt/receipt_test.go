package receipt

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"

	"github.com/rouse-im/rouse/actors"
	"github.com/rouse-im/rouse/actors/user"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/catalog"
	"github.com/rouse-im/rouse/storage"
	"github.com/rouse-im/rouse/storage/seal"
	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/huawei"
)

const (
	token = "CN_0123456789abcdef0123456789abcdef-canary"
	proof = "canary-key-of-the-receipts"
)

func ringOf(t testing.TB, keys ...byte) *seal.Ring {
	t.Helper()
	line := func(b byte) string { return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{b}, 32)) }
	text := "index:" + line(1)
	for i, k := range keys {
		text += fmt.Sprintf("\n%d:%s", len(keys)-i, line(k))
	}
	ring, err := seal.Parse(text)
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

// world is an Intake with credentials "hms" and "other" of Huawei, which signs,
// and "fcm", which has no receipts.
type world struct {
	*Intake
	t   testing.TB
	mux *http.ServeMux
	log *bytes.Buffer

	mu     sync.Mutex
	got    []*user.Reported
	answer func(*user.Reported)
	full   error
}

func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func newWorld(t testing.TB, edit func(*Options)) *world {
	t.Helper()
	w := &world{t: t, mux: http.NewServeMux(), log: &bytes.Buffer{}}
	w.answer = func(r *user.Reported) { r.Done(actors.Reply{Status: rousev1.ItemStatus_ITEM_STATUS_ACCEPTED}) }
	quiet := slog.New(slog.DiscardHandler)
	store, err := storage.Open("data", storage.Options{FS: vfs.NewMem(), Logger: quiet, MinFreeBytes: 1})
	w.ok(err)
	t.Cleanup(func() { w.ok(store.Close()) })
	ring := ringOf(t, 2)
	cat, err := catalog.Open(catalog.Options{Store: store, Ring: ring, Logger: quiet})
	w.ok(err)
	_, err = cat.CreateApp("chat", "", nil, time.Now())
	w.ok(err)
	for _, name := range []string{"hms", "other"} {
		w.ok(cat.PutCredential("chat", hms(name), catalog.Put{}))
	}
	w.ok(cat.PutCredential("chat", &rousev1.Credential{Name: "fcm", Vendor: &rousev1.Credential_Fcm{}}, catalog.Put{}))
	o := Options{
		Ring: ring, Catalog: cat, Logger: slog.New(slog.NewTextHandler(w.log, nil)), Metrics: prometheus.NewRegistry(),
		Writable: func(time.Time) error { return w.full },
		Reader: func(c *rousev1.Credential) Reader {
			if c.GetHuawei() == nil {
				return nil
			}
			return huawei.Config{ReceiptUserName: c.GetReceipts().GetUserName(), ReceiptSecret: c.GetReceipts().GetSecret()}.Receipts
		},
		Report: func(r *user.Reported) {
			w.mu.Lock()
			w.got = append(w.got, r)
			answer := w.answer
			w.mu.Unlock()
			answer(r)
		},
	}
	if edit != nil {
		edit(&o)
	}
	w.Intake, err = New(o)
	w.ok(err)
	w.mux.Handle(Pattern, w)
	return w
}

func hms(name string) *rousev1.Credential {
	return &rousev1.Credential{
		Name: name, Receipts: &rousev1.ReceiptSettings{UserName: "rouse", Secret: proof},
		Vendor: &rousev1.Credential_Huawei{Huawei: &rousev1.HuaweiCredential{AppId: "1"}},
	}
}

// request of Huawei with n receipts, signed now.
func request(path string, n int) *http.Request {
	one := `{"biTag":"p1","token":"` + token + `","status":0,"timestamp":1489993883189,"requestId":"r1"}`
	r := httptest.NewRequest(http.MethodPost, path, strings.NewReader(`{"statuses":[`+strings.Repeat(one+",", n-1)+one+`]}`))
	stamp := fmt.Sprint(time.Now().UnixMilli())
	mac := hmac.New(sha256.New, []byte(proof))
	mac.Write([]byte(stamp + "n" + "rouse"))
	r.Header.Set("X-HUAWEI-CALLBACK-ID", "timestamp="+stamp+"; nonce=n; value="+base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	r.Header.Set("Content-Type", "application/json; charset=UTF-8")
	return r
}

func (w *world) send(r *http.Request) *httptest.ResponseRecorder {
	a := httptest.NewRecorder()
	w.mux.ServeHTTP(a, r)
	return a
}

func (w *world) path(name string) string { return Path(w.Ring, "chat", hms(name)) }

func (w *world) counted(kind, result string) float64 {
	return value(w.t, w.metrics.receipts.WithLabelValues("huawei", kind, result))
}

func value(t testing.TB, c prometheus.Counter) float64 {
	t.Helper()
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
}

func TestTaken(t *testing.T) {
	w := newWorld(t, nil)
	a := w.send(request(w.path("hms"), 2))
	if a.Code != http.StatusOK || a.Body.String() != `{"code":"0","message":"success"}` {
		t.Errorf("%d %s", a.Code, a.Body)
	}
	want := user.Receipt{
		Notifier: "hms", Sum: user.SumOf(w.Ring, "chat", "hms", token), Kind: vendors.ReceiptDelivered,
		PushID: "p1", VendorID: "r1", Code: "0", At: time.UnixMilli(1489993883189),
	}
	if len(w.got) != 2 || w.got[0].App != "chat" || w.got[0].User != "" || w.got[0].Receipt != want {
		t.Errorf("%+v", w.got)
	}
	if n := w.counted("delivered", receiptKept); n != 2 {
		t.Errorf("%v counted", n)
	}
}

func TestRefused(t *testing.T) {
	w := newWorld(t, nil)
	path := w.path("hms")
	edited := func(edit func(*http.Request)) *http.Request {
		r := request(path, 1)
		edit(r)
		return r
	}
	last := string(path[len(path)-2] ^ 1) // the bits of the last character need not count
	for name, c := range map[string]struct {
		r      *http.Request
		status int
		result string
	}{
		"nearly the secret":      {request(path[:len(path)-2]+last+path[len(path)-1:], 1), 404, requestUnknown},
		"another vendor":         {request(strings.Replace(path, "huawei", "harmony", 1), 1), 404, requestUnknown},
		"another app":            {request(Path(w.Ring, "other", hms("hms")), 1), 404, requestUnknown},
		"another key":            {request(Path(ringWith(t, 9), "chat", hms("hms")), 1), 404, requestUnknown},
		"no secret":              {request("/receipts/huawei/x", 1), 404, requestUnknown},
		"nothing":                {request("/receipts/huawei/"+strings.Repeat("A", 32), 1), 404, requestUnknown},
		"vendor without":         {request(Path(w.Ring, "chat", &rousev1.Credential{Name: "fcm", Vendor: &rousev1.Credential_Fcm{}}), 1), 404, requestUnknown},
		"not a post":             {edited(func(r *http.Request) { r.Method = http.MethodGet }), 405, ""},
		"no proof":               {edited(func(r *http.Request) { r.Header.Del("X-HUAWEI-CALLBACK-ID") }), 403, requestForged},
		"wrong proof":            {edited(func(r *http.Request) { r.Header.Set("X-HUAWEI-CALLBACK-ID", "timestamp=1; nonce=n; value=AAAA") }), 403, requestForged},
		"a picture":              {edited(func(r *http.Request) { r.Header.Set("Content-Type", "image/png") }), 415, requestForm},
		"unreadable type":        {edited(func(r *http.Request) { r.Header.Set("Content-Type", "a/b; =") }), 415, requestForm},
		"compressed":             {edited(func(r *http.Request) { r.Header.Set("Content-Encoding", "gzip") }), 415, requestForm},
		"not the vendor's form":  {edited(func(r *http.Request) { r.Body = http.NoBody }), 400, requestMalformed},
		"a body that is too big": {request(path, maxBody/50), 413, requestTooLarge},
	} {
		t.Run(name, func(t *testing.T) {
			counter := func() float64 {
				vendor := "huawei"
				if c.status == 404 {
					vendor = ""
				}
				return value(t, w.metrics.requests.WithLabelValues(vendor, c.result))
			}
			before := counter()
			a := w.send(c.r)
			if a.Code != c.status || c.result != "" && counter() != before+1 {
				t.Errorf("%d %s", a.Code, a.Body)
			}
			if strings.Contains(a.Body.String(), "canary") {
				t.Errorf("%s", a.Body)
			}
		})
	}
	if len(w.got) > 0 {
		t.Errorf("%d receipts got through", len(w.got))
	}
	secret := path[strings.LastIndexByte(path, '/')+1:]
	if log := w.log.String(); strings.Contains(log, "canary") || strings.Contains(log, secret) || strings.Count(log, "level=WARN") != 1 {
		t.Errorf("%s", log)
	}
}

func ringWith(t testing.TB, key byte) *seal.Ring {
	t.Helper()
	line := func(b byte) string { return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{b}, 32)) }
	ring, err := seal.Parse("index:" + line(key) + "\n1:" + line(key+1))
	if err != nil {
		t.Fatal(err)
	}
	return ring
}

func TestTooManyReceipts(t *testing.T) {
	w := newWorld(t, func(o *Options) {
		o.Reader = func(*rousev1.Credential) Reader {
			return func(vendors.ReceiptRequest) ([]vendors.Receipt, error) {
				return make([]vendors.Receipt, maxInRequest+1), nil
			}
		}
	})
	if a := w.send(request(w.path("hms"), 1)); a.Code != http.StatusRequestEntityTooLarge || len(w.got) > 0 {
		t.Errorf("%d, %d got through", a.Code, len(w.got))
	}
}

// A request is taken if a repeat could not do better.
func TestAnswers(t *testing.T) {
	refused := func(code rousev1.ErrorCode, temporary bool) actors.Reply {
		return actors.Reply{Err: &rousev1.Error{Code: code, Temporary: temporary}}
	}
	for result, c := range map[string]struct {
		reply  actors.Reply
		status int
	}{
		receiptDuplicate: {actors.Reply{Status: rousev1.ItemStatus_ITEM_STATUS_DUPLICATE}, 200},
		receiptNoToken:   {actors.Reply{Status: rousev1.ItemStatus_ITEM_STATUS_STALE}, 200},
		receiptNoPush:    {refused(rousev1.ErrorCode_ERROR_CODE_NOT_FOUND, false), 200},
		receiptFailed:    {refused(rousev1.ErrorCode_ERROR_CODE_INTERNAL, false), 200},
		receiptRefused:   {refused(rousev1.ErrorCode_ERROR_CODE_UNAVAILABLE, true), 503},
	} {
		w := newWorld(t, nil)
		w.answer = func(r *user.Reported) { r.Done(c.reply) }
		a := w.send(request(w.path("hms"), 3))
		if a.Code != c.status || (a.Header().Get("Retry-After") != "") != (c.status == 503) || w.counted("delivered", result) == 0 {
			t.Errorf("%s: %d %v", result, a.Code, a.Header())
		}
		if c.status == 503 && len(w.got) == 3 {
			t.Errorf("%s: the rest was sent all the same", result)
		}
	}
	w := newWorld(t, nil)
	w.full = context.DeadlineExceeded
	if a := w.send(request(w.path("hms"), 3)); a.Code != 503 || len(w.got) > 0 {
		t.Errorf("full disk: %d", a.Code)
	}
}

// While users do not answer, no more receipts are under way than the bounds, a
// credential leaves room for the others, and what is beyond is refused in time.
func TestFlood(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		var held []*user.Reported
		w.answer = func(r *user.Reported) {
			w.mu.Lock()
			defer w.mu.Unlock()
			held = append(held, r)
		}
		const flood = 200
		statuses := make(chan int, 2*flood)
		burst := func(name string) {
			for range flood {
				go func() { statuses <- w.send(request(w.path(name), 50)).Code }()
			}
			synctest.Wait()
		}
		burst("hms")
		if len(held) != maxReceipts/4 || len(statuses) != flood-maxRequests/4 {
			t.Errorf("%d receipts under way, %d requests refused at once", len(held), len(statuses))
		}
		burst("other")
		if len(held) != maxReceipts/2 || len(w.Intake.receipts) != maxReceipts/2 {
			t.Errorf("%d receipts under way, %d counted", len(held), len(w.Intake.receipts))
		}
		start := time.Now()
		for range 2 * flood {
			if s := <-statuses; s != http.StatusServiceUnavailable {
				t.Fatalf("answered %d though nothing is durable", s)
			}
		}
		if took := time.Since(start); took > workTime {
			t.Errorf("refused after %v", took)
		}
		for _, r := range held {
			r.Done(actors.Reply{Status: rousev1.ItemStatus_ITEM_STATUS_ACCEPTED})
		}
		if len(w.Intake.receipts)+len(w.Intake.requests) != 0 {
			t.Error("room was not given back")
		}
		w.answer = func(r *user.Reported) { r.Done(actors.Reply{Status: rousev1.ItemStatus_ITEM_STATUS_ACCEPTED}) }
		<-time.After(time.Minute)
		if a := w.send(request(w.path("hms"), 50)); a.Code != http.StatusOK {
			t.Errorf("after the flood: %d", a.Code)
		}
	})
}

// A credential's receipts come at its rate: a request's worth at once, more wait,
// and what would wait for too long is refused.
func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, func(o *Options) {
			o.PerSecond = 1000
			o.Reader = func(*rousev1.Credential) Reader {
				return func(r vendors.ReceiptRequest) ([]vendors.Receipt, error) {
					return make([]vendors.Receipt, len(r.Body)), nil
				}
			}
		})
		post := func(n int) (int, time.Duration) {
			start := time.Now()
			return w.send(httptest.NewRequest(http.MethodPost, w.path("hms"), strings.NewReader(strings.Repeat("x", n)))).Code, time.Since(start)
		}
		for _, c := range []struct {
			n, status int
			took      time.Duration
		}{{maxInRequest, 200, 0}, {2000, 200, 2 * time.Second}, {6000, 503, 0}, {0, 200, 0}} {
			if got, took := post(c.n); got != c.status || took != c.took {
				t.Errorf("%d receipts: %d after %v", c.n, got, took)
			}
		}
		w.ok(w.Catalog.PutCredential("chat", hms("hms"), catalog.Put{}))
		if got, _ := post(6000); got != http.StatusServiceUnavailable {
			t.Errorf("a change of the credential granted a second burst: %d", got)
		}
	})
}

// An address stays while the credential has its name and vendor, whatever else
// changes, and is gone with it.
func TestAddressLife(t *testing.T) {
	w := newWorld(t, nil)
	path := w.path("hms")
	if got := Path(ringOf(t, 7, 2), "chat", hms("hms")); got != path {
		t.Error("another sealing key makes another address")
	}
	changed := hms("hms")
	changed.Receipts.UserName, changed.RatePerSecond = "another", 7
	w.ok(w.Catalog.PutCredential("chat", changed, catalog.Put{}))
	if a := w.send(request(path, 1)); a.Code != http.StatusForbidden {
		t.Errorf("signed with the former user name: %d", a.Code)
	}
	w.ok(w.Catalog.PutCredential("chat", hms("hms"), catalog.Put{}))
	if a := w.send(request(path, 1)); a.Code != http.StatusOK {
		t.Errorf("put again: %d", a.Code)
	}
	w.ok(w.Catalog.PutCredential("chat", &rousev1.Credential{Name: "hms", Vendor: &rousev1.Credential_Fcm{}}, catalog.Put{}))
	if a := w.send(request(path, 1)); a.Code != http.StatusNotFound {
		t.Errorf("of another vendor now: %d", a.Code)
	}
	w.ok(w.Catalog.PutCredential("chat", hms("hms"), catalog.Put{}))
	w.ok(w.Catalog.DeleteCredential("chat", "hms", true))
	if a := w.send(request(path, 1)); a.Code != http.StatusNotFound {
		t.Errorf("deleted: %d", a.Code)
	}
	if a := w.send(request(w.path("other"), 1)); a.Code != http.StatusOK {
		t.Errorf("the other credential: %d", a.Code)
	}
}

// While a replaced credential helps out, its proofs are taken, and no longer.
func TestFormerProof(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, nil)
		changed := hms("hms")
		changed.Receipts.Secret = "another"
		w.ok(w.Catalog.PutCredential("chat", changed, catalog.Put{Keep: time.Hour, Now: time.Now()}))
		if a := w.send(request(w.path("hms"), 1)); a.Code != http.StatusOK {
			t.Errorf("within the hour: %d", a.Code)
		}
		<-time.After(time.Hour)
		if a := w.send(request(w.path("hms"), 1)); a.Code != http.StatusForbidden {
			t.Errorf("after the hour: %d", a.Code)
		}
	})
}

// No path but the right one comes past the door, and none panics.
func FuzzPath(f *testing.F) {
	w := newWorld(f, nil)
	right := w.path("hms")
	for _, seed := range []string{right, right + "/", right + "\n", "/receipts//", "/receipts/huawei/%2e%2e", "/receipts/huawei/====", strings.ToUpper(right), right[:30]} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		r := request("/", 1)
		r.URL.Path = path
		a := w.send(r)
		if passed := a.Code == http.StatusOK; passed != (path == right) {
			t.Errorf("%q: %d", path, a.Code)
		}
	})
}
