package fake

import (
	"crypto/md5"
	"crypto/rand"
	"crypto/tls"
	"encoding/hex"
	"encoding/json"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"
)

// Meizu is the send API of Flyme push: POST
// /garcia/api/server/push/varnished/pushByPushId with a signed form. Business
// errors come with HTTP 200. Facts: the README of MEIZUPUSH/PushAPI, 2025-04-09.
type Meizu struct {
	// Faults hit send requests. A fault limited to tokens hits the requests
	// that name one of them.
	Faults Faults
	// Receipts are what is reported of the pushes.
	Receipts *Receipts

	opts    MeizuOptions
	server  *Server
	pace    *rate
	devices *shelf[MeizuPush]
	tally   tally

	mu     sync.Mutex
	public span
	secret string
}

// MeizuOptions configures a fake. Cert, AppID and Secret are needed.
type MeizuOptions struct {
	Cert tls.Certificate
	// AppID and Secret are the app's App ID and App Secret.
	AppID, Secret string
	// AnyDevice registers unknown tokens at their first push; otherwise they
	// are illegal (110003).
	AnyDevice bool
	// MaxDevices bounds the devices remembered, default 100,000.
	MaxDevices int
	// KeepPerDevice bounds what is remembered of one device, default 64.
	KeepPerDevice int
	// PerSecond bounds the requests per second, default 200.
	PerSecond int
	// PublicPerDay bounds the public pushes of a day, default 1,000,000.
	PublicPerDay int
	// UnfoldedPerMinute is how many pushes a device shows in a minute, default
	// 5; more are folded (520).
	UnfoldedPerMinute int
	// Receipts configures what is reported of pushes.
	Receipts ReceiptOptions
	// Callbacks are the access tokens of the console by address; to others
	// nothing is reported.
	Callbacks map[string]string
	// OnPush is called for each token whose push was taken. It must not block.
	OnPush func(MeizuPush)
}

// NewMeizu makes a fake without devices; Serve starts it.
func NewMeizu(o MeizuOptions) *Meizu {
	for _, field := range []struct {
		value *int
		zero  int
	}{
		{&o.MaxDevices, 100_000},
		{&o.KeepPerDevice, 64},
		{&o.PerSecond, 200},
		{&o.PublicPerDay, 1_000_000},
		{&o.UnfoldedPerMinute, 5},
	} {
		if *field.value == 0 {
			*field.value = field.zero
		}
	}
	m := &Meizu{opts: o, pace: newRate(o.PerSecond, time.Second), devices: newShelf[MeizuPush](o.MaxDevices, o.KeepPerDevice), secret: o.Secret}
	m.Receipts = newReceipts(o.Receipts, receiptForm{delivered: "1", clicked: "2", write: writeMeizuReceipts})
	mux := http.NewServeMux()
	mux.HandleFunc("POST /garcia/api/server/push/varnished/pushByPushId", m.serveSend)
	m.server = NewServer(mux, &o.Cert)
	return m
}

// Serve answers on l until Close, then returns nil.
func (m *Meizu) Serve(l net.Listener) error { return m.server.Serve(l) }

// Close ends the listeners, all connections and the receipts. It must be
// called once.
func (m *Meizu) Close() error {
	m.Receipts.close()
	return m.server.Close()
}

// AddDevice registers a live token; one that was dead lives again.
func (m *Meizu) AddDevice(token string) { m.devices.set(token, "") }

// Unregister makes the token dead: 110002.
func (m *Meizu) Unregister(token string) { m.devices.set(token, "110002") }

// SwitchOff turns the notifications of the device off: 110010.
func (m *Meizu) SwitchOff(token string) { m.devices.set(token, "110010") }

// SetSecret changes the App Secret, as a reset in the console does.
func (m *Meizu) SetSecret(secret string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.secret = secret
}

// MeizuDevice is what the fake knows of one token.
type MeizuDevice struct {
	// Received are the pushes taken, oldest first, at most KeepPerDevice.
	Received []MeizuPush
	// Shown are those that the system drew: not the folded ones, with later
	// ones replacing earlier ones of the same notifyKey.
	Shown []MeizuPush
}

// Device returns a copy of what is known of token.
func (m *Meizu) Device(token string) (MeizuDevice, bool) {
	received, shown, ok := m.devices.view(token)
	return MeizuDevice{received, shown}, ok
}

// Stats returns the counts so far.
func (m *Meizu) Stats() Tally { return m.tally.read(m.devices.doubles()) }

func (m *Meizu) serveSend(w http.ResponseWriter, r *http.Request) {
	m.tally.opened()
	defer m.tally.open.Add(-1)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client went away, or sent more than maxBody
	}
	m.tally.requests.Add(1)
	form, _ := url.ParseQuery(string(body))
	judge := func() *meizuAnswer { return m.judge(r, form, body) }
	usual := func() { judge().write(w) }
	for token := range strings.SplitSeq(form.Get("pushIds"), ",") {
		if fault, hit := m.Faults.Take(token); hit {
			m.server.Fail(fault, w, r, func() { judge() }, usual)
			return
		}
	}
	usual()
}

// judge checks the signature before the content, and takes the push.
func (m *Meizu) judge(r *http.Request, form url.Values, body []byte) *meizuAnswer {
	now := time.Now()
	refusal := m.admit(r, form, now)
	var parsed *meizuMessage
	if refusal == nil {
		parsed, refusal = parseMeizu(form)
	}
	if refusal != nil {
		m.tally.count(refusal.Code)
		return refusal
	}
	return m.take(parsed, body, now)
}

func (m *Meizu) admit(r *http.Request, form url.Values, now time.Time) *meizuAnswer {
	m.mu.Lock()
	defer m.mu.Unlock()
	mediaType, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";")
	for _, name := range []string{"appId", "pushIds", "messageJson", "sign"} {
		if form.Get(name) == "" {
			return meizuError("110004", "empty parameter: "+name)
		}
	}
	switch {
	case mediaType != "application/x-www-form-urlencoded":
		return meizuError("1005", "Content-Type must be application/x-www-form-urlencoded")
	case form.Get("appId") != m.opts.AppID:
		return meizuError("110000", "appId illegal")
	case form.Get("sign") != meizuSign(form, m.secret):
		return meizuError("1006", "sign authentication failed")
	case !m.pace.spend(1, now):
		return meizuError("110010", "应用请求频率超过限制")
	}
	return nil
}

// meizuSign is the README's: parameters by name, raw, and the secret behind.
func meizuSign(form url.Values, secret string) string {
	var base strings.Builder
	for _, name := range slices.Sorted(maps.Keys(form)) {
		if name != "sign" {
			base.WriteString(name + "=" + form.Get(name))
		}
	}
	sum := md5.Sum([]byte(base.String() + secret))
	return hex.EncodeToString(sum[:])
}

// take gives the push to the live targets and lists the others by code.
func (m *Meizu) take(parsed *meizuMessage, body []byte, now time.Time) *meizuAnswer {
	id := make([]byte, 16)
	_, _ = rand.Read(id) // never fails
	a := &meizuAnswer{Code: "200", Value: json.RawMessage("{}"), MsgID: hex.EncodeToString(id)}
	refused := map[string][]string{}
	for _, token := range parsed.targets {
		code := m.devices.fault(token, "110003", m.opts.AnyDevice)
		if code == "" && !parsed.push.Private && !m.spendPublic(now) {
			code = "110011"
		}
		folded := false
		if code == "" && !m.devices.perMinute(token, m.opts.UnfoldedPerMinute, now) {
			code, folded = "520", true
		}
		if code != "" {
			m.tally.count(code)
			refused[code] = append(refused[code], token)
		}
		if code != "" && !folded {
			continue
		}
		push := parsed.push
		push.Token, push.ID, push.At, push.Expires, push.Raw = token, a.MsgID, now, now.Add(parsed.keep), body
		m.tally.accepted.Add(1)
		m.devices.record(token, push, !folded, push.NotifyKey, push.MessageID, push.PushID)
		if m.opts.OnPush != nil {
			m.opts.OnPush(push)
		}
		m.Receipts.taken(parsed.receipts(token, a.MsgID, push.Expires, m.opts.Callbacks))
	}
	if raw, err := json.Marshal(refused); err == nil {
		a.Value = raw
	}
	return a
}

// spendPublic takes one push from the day's public quota, by China's clock.
func (m *Meizu) spendPublic(now time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	day := now.In(meizuDay)
	day = time.Date(day.Year(), day.Month(), day.Day(), 0, 0, 0, 0, meizuDay)
	if m.public.start.Before(day) {
		m.public = span{start: day}
	}
	m.public.count++
	return m.public.count <= m.opts.PublicPerDay
}

var meizuDay = time.FixedZone("UTC+8", 8*60*60)

// meizuAnswer is the answer's JSON.
type meizuAnswer struct {
	Code     string          `json:"code"`
	Message  string          `json:"message"`
	Value    json.RawMessage `json:"value"`
	MsgID    string          `json:"msgId,omitempty"`
	Redirect string          `json:"redirect"`
}

// meizuError has an empty string where a success has an object.
func meizuError(code, message string) *meizuAnswer {
	return &meizuAnswer{Code: code, Message: message, Value: json.RawMessage(`""`)}
}

func (a *meizuAnswer) body() string {
	raw, err := json.Marshal(a)
	if err != nil {
		return "" // strings and encoded JSON always encode
	}
	return string(raw)
}

func (a *meizuAnswer) write(w http.ResponseWriter) {
	w.Header().Set("content-type", "application/json;charset=UTF-8")
	_, _ = io.WriteString(w, a.body())
}

// MeizuRefusal is the fault that answers with a Meizu error; Meizu's own have
// HTTP status 200. retryAfter is the header's text, empty for none.
func MeizuRefusal(httpStatus int, code, message, retryAfter string) Fault {
	header := map[string]string{"content-type": "application/json;charset=UTF-8"}
	if retryAfter != "" {
		header["retry-after"] = retryAfter
	}
	return Fault{Kind: Answer, Status: httpStatus, Header: header, Body: meizuError(code, message).body()}
}

// MeizuValue is the fault that answers code 200 with value as it is, JSON.
func MeizuValue(value string) Fault {
	return Fault{
		Kind: Answer, Status: http.StatusOK, Header: map[string]string{"content-type": "application/json;charset=UTF-8"},
		Body: `{"code":"200","message":"","value":` + value + `,"msgId":"c2ee5c3bf00448cfbceb7fdf68c3c8eb","redirect":""}`,
	}
}
