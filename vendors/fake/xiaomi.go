package fake

import (
	"crypto/tls"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Xiaomi is the send API of Mi Push: POST /v2/message/regid and its twins
// /v3 and /v4, with Authorization "key=<secret>". Business errors come with
// HTTP 200. Facts: "Mi Push server API" and "result codes"
// (dev.mi.com/xiaomihyperos/documentation, 2024-10 to 2026-06).
type Xiaomi struct {
	// Faults hit send requests. A fault limited to tokens hits the requests
	// that name one of them.
	Faults Faults
	// Receipts are what is reported of the pushes.
	Receipts *Receipts

	opts    XiaomiOptions
	server  *Server
	pace    *rate
	devices *shelf[XiaomiPush]
	tally   tally
	serial  atomic.Int64

	mu     sync.Mutex
	today  map[string]*span // by channel
	secret string
}

// XiaomiOptions configures a fake. Cert, Secret and Package are needed.
type XiaomiOptions struct {
	Cert tls.Certificate
	// Secret is the AppSecret; Package the one package name of the app.
	Secret, Package string
	// Channels are the approved notification classes by id; nil takes any id,
	// as a private one without templates.
	Channels map[string]XiaomiChannel
	// AnyDevice registers unknown tokens at their first push; otherwise they
	// are bad_regids.
	AnyDevice bool
	// MaxDevices bounds the devices remembered, default 100,000.
	MaxDevices int
	// KeepPerDevice bounds what is remembered of one device, default 64.
	KeepPerDevice int
	// PerSecond bounds the requests per second, default 3000.
	PerSecond int
	// Receipts configures what is reported of pushes.
	Receipts ReceiptOptions
	// OnPush is called for each token whose push was taken. It must not block.
	OnPush func(XiaomiPush)
}

// XiaomiChannel is a notification class.
type XiaomiChannel struct {
	// PerDay bounds the pushes of one day; 0 = no bound, as private classes have.
	PerDay int
	// Templates lists the variables of each message template by its id. A
	// channel with templates takes only messages that name one.
	Templates map[string][]string
}

// NewXiaomi makes a fake without devices; Serve starts it.
func NewXiaomi(o XiaomiOptions) *Xiaomi {
	for _, field := range []struct {
		value *int
		zero  int
	}{{&o.MaxDevices, 100_000}, {&o.KeepPerDevice, 64}, {&o.PerSecond, 3000}} {
		if *field.value == 0 {
			*field.value = field.zero
		}
	}
	x := &Xiaomi{
		opts: o, pace: newRate(o.PerSecond, time.Second), devices: newShelf[XiaomiPush](o.MaxDevices, o.KeepPerDevice),
		today: map[string]*span{}, secret: o.Secret,
	}
	x.Receipts = newReceipts(o.Receipts, receiptForm{
		delivered: "1", clicked: "2", invalid: "16/1", muted: "32", quota: "128", expired: "1024",
		keyed: true, write: writeXiaomiReceipts,
	})
	mux := http.NewServeMux()
	for _, version := range []string{"v2", "v3", "v4"} {
		mux.HandleFunc("/"+version+"/message/regid", x.serveSend)
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		xiaomiError(10020, "API not found").write(w)
	})
	x.server = NewServer(mux, &o.Cert)
	return x
}

// Serve answers on l until Close, then returns nil.
func (x *Xiaomi) Serve(l net.Listener) error { return x.server.Serve(l) }

// Close ends the listeners, all connections and the receipts. It must be
// called once.
func (x *Xiaomi) Close() error {
	x.Receipts.close()
	return x.server.Close()
}

// AddDevice registers a live token; one that was dead lives again.
func (x *Xiaomi) AddDevice(token string) { x.devices.set(token, "") }

// Unregister makes the token dead: it comes back in bad_regids.
func (x *Xiaomi) Unregister(token string) { x.devices.set(token, "bad_regids") }

// SetSecret changes the AppSecret, as a reset in the console does.
func (x *Xiaomi) SetSecret(secret string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.secret = secret
}

// XiaomiDevice is what the fake knows of one token.
type XiaomiDevice struct {
	// Received are the pushes taken, oldest first, at most KeepPerDevice.
	Received []XiaomiPush
	// Shown are those that the system drew: the first of each jobkey, with
	// later ones replacing earlier ones of the same notify_id.
	Shown []XiaomiPush
}

// Device returns a copy of what is known of token.
func (x *Xiaomi) Device(token string) (XiaomiDevice, bool) {
	received, shown, ok := x.devices.view(token)
	return XiaomiDevice{received, shown}, ok
}

// Stats returns the counts so far.
func (x *Xiaomi) Stats() Tally { return x.tally.read(x.devices.doubles()) }

func (x *Xiaomi) serveSend(w http.ResponseWriter, r *http.Request) {
	x.tally.opened()
	defer x.tally.open.Add(-1)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client went away, or sent more than maxBody
	}
	x.tally.requests.Add(1)
	form, _ := url.ParseQuery(string(body))
	judge := func() *xiaomiAnswer { return x.judge(r, form, body) }
	usual := func() { judge().write(w) }
	for token := range strings.SplitSeq(form.Get("registration_id"), ",") {
		if fault, hit := x.Faults.Take(token); hit {
			x.server.Fail(fault, w, r, func() { judge() }, usual)
			return
		}
	}
	usual()
}

// judge checks the credential before the content, and takes the push.
func (x *Xiaomi) judge(r *http.Request, form url.Values, body []byte) *xiaomiAnswer {
	now := time.Now()
	refusal := x.admit(r, now)
	var m *xiaomiMessage
	if refusal == nil {
		m, refusal = x.opts.parse(form)
	}
	if refusal == nil {
		refusal = x.spend(m, now)
	}
	if refusal != nil {
		x.tally.count(strconv.Itoa(refusal.Code))
		return refusal
	}
	return x.take(m, body, now)
}

func (x *Xiaomi) admit(r *http.Request, now time.Time) *xiaomiAnswer {
	x.mu.Lock()
	defer x.mu.Unlock()
	mediaType, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	switch {
	case r.Method != http.MethodPost:
		return xiaomiError(10021, "HTTP method not supported")
	case r.Header.Get("Authorization") != "key="+x.secret:
		return xiaomiError(21301, "Invalid application secret.")
	case mediaType != "application/x-www-form-urlencoded":
		return xiaomiError(10017, "Content-Type must be application/x-www-form-urlencoded")
	case !x.pace.spend(1, now):
		return xiaomiError(200002, "request exceeds the QPS limit of the app")
	}
	return nil
}

// xiaomiDay is the day of quotas, in China.
var xiaomiDay = time.FixedZone("UTC+8", 8*60*60)

// spend takes the targets from the day's quota of the channel.
func (x *Xiaomi) spend(m *xiaomiMessage, now time.Time) *xiaomiAnswer {
	limit := x.opts.Channels[m.channel].PerDay
	if limit == 0 {
		return nil
	}
	x.mu.Lock()
	defer x.mu.Unlock()
	day := now.In(xiaomiDay).Truncate(time.Second)
	day = time.Date(day.Year(), day.Month(), day.Day(), 0, 0, 0, 0, xiaomiDay)
	s := x.today[m.channel]
	if s == nil || s.start.Before(day) {
		s = &span{start: day}
		x.today[m.channel] = s // one of Channels
	}
	if s.count+len(m.targets) > limit {
		return xiaomiError(200001, "exceed quota, quota: "+strconv.Itoa(limit)+", have acked: "+strconv.Itoa(s.count))
	}
	s.count += len(m.targets)
	return nil
}

// take gives the push to the live targets.
func (x *Xiaomi) take(m *xiaomiMessage, body []byte, now time.Time) *xiaomiAnswer {
	id := "slm" + strconv.FormatInt(now.UnixMicro(), 36) + strconv.FormatInt(x.serial.Add(1), 36)
	var bad []string
	for _, token := range m.targets {
		if x.devices.fault(token, "bad_regids", x.opts.AnyDevice) != "" {
			bad = append(bad, token)
			continue
		}
		push := m.push
		push.Token, push.ID, push.At, push.Expires, push.Raw = token, id, now, now.Add(m.ttl), body
		x.tally.accepted.Add(1)
		show := x.devices.first(token, push.Extra["jobkey"])
		x.devices.record(token, push, show, strconv.Itoa(push.NotifyID), push.MessageID, push.PushID)
		if x.opts.OnPush != nil {
			x.opts.OnPush(push)
		}
		x.Receipts.taken(push.receipts())
	}
	for range bad {
		x.tally.count("bad_regids")
	}
	if len(bad) == len(m.targets) {
		return xiaomiError(20301, "No valid targets!")
	}
	data := map[string]string{"id": id, "day_quota": "200000", "day_acked": strconv.FormatInt(x.tally.accepted.Load(), 10)}
	if len(bad) > 0 {
		data["bad_regids"] = strings.Join(bad, ",")
	}
	return &xiaomiAnswer{
		Result: "ok", Trace: "Xcm" + id, Description: "成功", Info: "Received push messages for " + strconv.Itoa(len(m.targets)) + " regid", Data: data,
	}
}

// xiaomiAnswer is the answer's JSON.
type xiaomiAnswer struct {
	Result      string            `json:"result"`
	Trace       string            `json:"trace_id"`
	Code        int               `json:"code"`
	Reason      string            `json:"reason,omitempty"`
	Description string            `json:"description"`
	Info        string            `json:"info,omitempty"`
	Data        map[string]string `json:"data,omitempty"`
}

func xiaomiError(code int, reason string) *xiaomiAnswer {
	return &xiaomiAnswer{Result: "error", Trace: "Xcm0", Code: code, Reason: reason, Description: "发送消息失败"}
}

func (a *xiaomiAnswer) body() string {
	raw, err := json.Marshal(a)
	if err != nil {
		return "" // strings and a number always encode
	}
	return string(raw)
}

func (a *xiaomiAnswer) write(w http.ResponseWriter) {
	w.Header().Set("content-type", "application/json;charset=UTF-8")
	_, _ = io.WriteString(w, a.body())
}

// XiaomiRefusal is the fault that answers with a Xiaomi error; Xiaomi's own
// have HTTP status 200. retryAfter is the header's text, empty for none.
func XiaomiRefusal(httpStatus, code int, reason, retryAfter string) Fault {
	header := map[string]string{"content-type": "application/json;charset=UTF-8"}
	if retryAfter != "" {
		header["retry-after"] = retryAfter
	}
	return Fault{Kind: Answer, Status: httpStatus, Header: header, Body: xiaomiError(code, reason).body()}
}
