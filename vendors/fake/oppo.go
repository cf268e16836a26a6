package fake

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"
)

// OPPO is the server API of OPPO PUSH: auth, unicast and unicast_batch below
// /server/v1, over TLS. Facts: OPPO PUSH server API, "Service addresses",
// "Authentication", "Single push", "Batch single push", "Notification message"
// (open.oppomobile.com, 2026).
type OPPO struct {
	// Faults hit send requests, those limited to tokens by the first token of
	// the request.
	Faults Faults
	// AuthFaults hit auth requests.
	AuthFaults Faults
	// Receipts are what is reported of the pushes.
	Receipts *Receipts

	opts    OPPOOptions
	server  *Server
	pace    *rate
	auth    oppoAuth
	devices *shelf[OPPOPush]
	stats   tally

	mu     sync.Mutex
	day    string // of Shanghai
	public int    // messages of content and marketing on that day
	serial int64
}

// OPPOOptions configures a fake. Only Cert is needed.
type OPPOOptions struct {
	Cert tls.Certificate
	// AnyDevice registers unknown registration ids at their first push;
	// otherwise they are answered with 10000.
	AnyDevice bool
	// MaxDevices bounds the devices remembered, default 100,000. Pushes to
	// further ones are taken and counted, not recorded.
	MaxDevices int
	// KeepPerDevice bounds the pushes remembered for one device, default 64;
	// the oldest go first.
	KeepPerDevice int
	// PerSecond bounds the messages per second of all apps, default 5000.
	PerSecond int
	// PublicPerDay bounds the messages of content and marketing per day,
	// default 100,000.
	PublicPerDay int
	// TokenLife is what is left of an auth token's 24 hours when it is given
	// out, default all of them.
	TokenLife time.Duration
	// Receipts configures what is reported of pushes.
	Receipts ReceiptOptions
	// OnPush is called for each push taken. It must not block.
	OnPush func(OPPOPush)
}

// OPPOApp is one app of the console.
type OPPOApp struct {
	AppKey, MasterSecret string
	// ID begins message ids.
	ID string
	// Loud grants notify_level 16.
	Loud bool
	// Template is the private template that categories of communication and
	// service need; empty = none is needed.
	Template string
	// Disabled refuses every message.
	Disabled bool
}

// OPPOPush is one push that the fake took.
type OPPOPush struct {
	AppKey, Token string
	// ID is OPPO's message id; PushID the app_message_id; MessageID the
	// parameter "m".
	ID, PushID, MessageID string
	At                    time.Time
	// Expires is when OPPO gives up; zero = at once.
	Expires                  time.Time
	Title, SubTitle, Content string
	ChannelID, Category      string
	NotifyLevel, NotifyID    int
	// Badge is what the icon's number is set to; nil = unchanged.
	Badge *int
	// Parameters are those of the click.
	Parameters map[string]string
	// Repeat: the same id came before, so nothing was shown.
	Repeat bool
	// Raw is the notification object.
	Raw []byte
	// Form is the request's form without the auth token.
	Form string
}

// OPPODevice is what the fake knows of one registration id.
type OPPODevice struct {
	// Badge is the number on the icon.
	Badge int
	// Received are the pushes taken, oldest first, at most KeepPerDevice.
	Received []OPPOPush
	// Shown are the notifications drawn, with later ones replacing earlier
	// ones of the same notify id.
	Shown []OPPOPush
}

// NewOPPO makes a fake without apps; Serve starts it.
func NewOPPO(o OPPOOptions) *OPPO {
	for _, field := range []struct {
		value *int
		zero  int
	}{
		{&o.MaxDevices, 100_000}, {&o.KeepPerDevice, 64}, {&o.PerSecond, 5000}, {&o.PublicPerDay, 100_000},
	} {
		if *field.value == 0 {
			*field.value = field.zero
		}
	}
	if o.TokenLife == 0 {
		o.TokenLife = oppoTokenLife
	}
	f := &OPPO{opts: o, pace: newRate(o.PerSecond, time.Second), devices: newShelf[OPPOPush](o.MaxDevices, o.KeepPerDevice)}
	f.auth.apps = map[string]OPPOApp{}
	f.auth.tokens = map[string]oppoToken{}
	f.Receipts = newReceipts(o.Receipts, receiptForm{
		delivered: "push_arrive", invalid: "regid_invalid", inactive: "regid_invalid", quota: "user_daily_limit",
		write: writeOPPOReceipts,
	})
	mux := http.NewServeMux()
	mux.HandleFunc("POST /server/v1/auth", f.serveAuth)
	mux.HandleFunc("POST /server/v1/message/notification/unicast", func(w http.ResponseWriter, r *http.Request) {
		f.serveSend(w, r, readOPPOSingle, f.single)
	})
	mux.HandleFunc("POST /server/v1/message/notification/unicast_batch", func(w http.ResponseWriter, r *http.Request) {
		f.serveSend(w, r, readOPPOBatch, f.batch)
	})
	f.server = NewServer(mux, &o.Cert)
	return f
}

// Serve answers on l until Close, then returns nil.
func (f *OPPO) Serve(l net.Listener) error { return f.server.Serve(l) }

// Close ends the listeners, all connections and the receipts. It must be
// called once.
func (f *OPPO) Close() error {
	f.Receipts.close()
	return f.server.Close()
}

// AddDevice registers a live registration id; one that was dead lives again.
func (f *OPPO) AddDevice(token string) { f.devices.set(token, "") }

// SetCode makes OPPO answer code for the registration id, such as 10000 for a
// dead one.
func (f *OPPO) SetCode(token string, code int) { f.devices.set(token, strconv.Itoa(code)) }

// Device returns a copy of what is known of a registration id.
func (f *OPPO) Device(token string) (OPPODevice, bool) {
	received, shown, ok := f.devices.view(token)
	d := OPPODevice{Received: received, Shown: shown}
	for _, p := range received {
		if p.Badge != nil && !p.Repeat {
			d.Badge = *p.Badge
		}
	}
	return d, ok
}

// Stats returns the counts so far. A batch is one request.
func (f *OPPO) Stats() Tally { return f.stats.read(f.devices.doubles()) }

// oppoAnswer is the body of every answer.
type oppoAnswer struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
	Data    any    `json:"data,omitempty"`
}

func (a oppoAnswer) body() []byte {
	raw, err := json.Marshal(a)
	if err != nil {
		return nil // strings and numbers always encode
	}
	return raw
}

// OPPORefusal is the fault that answers with a return code.
func OPPORefusal(code int, message string) Fault {
	return Fault{
		Kind: Answer, Status: http.StatusOK,
		Header: map[string]string{"content-type": "application/json;charset=UTF-8"},
		Body:   string(oppoAnswer{Code: code, Message: message}.body()),
	}
}

// oppoRequest is a send request: its app and messages.
type oppoRequest struct {
	app      OPPOApp
	form     string // without the auth token
	messages []oppoMessage
}

type (
	oppoReader = func(url.Values) ([]oppoMessage, *oppoAnswer)
	oppoTaker  = func(oppoRequest) oppoAnswer
)

func (f *OPPO) serveSend(w http.ResponseWriter, r *http.Request, read oppoReader, take oppoTaker) {
	f.stats.opened()
	defer f.stats.open.Add(-1)
	form, ok := oppoForm(r)
	if !ok {
		return // the client went away, or sent more than maxBody
	}
	f.stats.requests.Add(1)
	messages, malformed := read(form)
	judge := func() oppoAnswer {
		now := time.Now()
		app, refusal := f.auth.allow(r, form, now)
		if refusal == nil {
			refusal = malformed
		}
		if refusal == nil {
			refusal = f.spend(len(messages), now)
		}
		if refusal == nil {
			form.Del("auth_token")
			return take(oppoRequest{app, form.Encode(), messages})
		}
		f.stats.count(strconv.Itoa(refusal.Code))
		return *refusal
	}
	usual := func() {
		answer := judge()
		w.Header().Set("content-type", "application/json;charset=UTF-8")
		_, _ = w.Write(answer.body())
	}
	first := ""
	if len(messages) > 0 {
		first = messages[0].Value
	}
	if fault, hit := f.Faults.Take(first); hit {
		f.server.Fail(fault, w, r, func() { judge() }, usual)
		return
	}
	usual()
}

// oppoForm reads the whole body; what is no form is empty.
func oppoForm(r *http.Request) (url.Values, bool) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, false
	}
	form, err := url.ParseQuery(string(body))
	if err != nil || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded" {
		form = url.Values{}
	}
	return form, true
}

func (f *OPPO) spend(messages int, now time.Time) *oppoAnswer {
	if !f.pace.spend(messages, now) {
		return &oppoAnswer{Code: 55, Message: "app call frequency limit"}
	}
	return nil
}

func (f *OPPO) single(q oppoRequest) oppoAnswer {
	id, refusal := f.take(q, q.messages[0])
	if refusal != nil {
		return *refusal
	}
	return oppoAnswer{Data: map[string]string{"messageId": id}}
}

// batch answers in another order than asked, since OPPO promises none.
func (f *OPPO) batch(q oppoRequest) oppoAnswer {
	elements := make([]map[string]any, 0, len(q.messages))
	for _, m := range q.messages {
		id, refusal := f.take(q, m)
		element := map[string]any{"messageId": id, "registrationId": m.Value}
		if refusal != nil {
			element["errorCode"], element["errorMessage"] = refusal.Code, refusal.Message
		}
		elements = append(elements, element)
	}
	slices.Reverse(elements)
	return oppoAnswer{Data: elements}
}

// take checks one message and shows it.
func (f *OPPO) take(q oppoRequest, m oppoMessage) (string, *oppoAnswer) {
	now := time.Now()
	id := q.app.ID + "-1-1-" + f.nextID()
	refusal := m.check(q.app)
	if refusal == nil {
		refusal = f.target(m.Value)
	}
	if refusal == nil && m.public() {
		refusal = f.spendDay(now)
	}
	if refusal != nil {
		f.stats.count(strconv.Itoa(refusal.Code))
		return id, refusal
	}
	f.stats.accepted.Add(1)
	push := m.push(now)
	push.AppKey, push.ID, push.Form = q.app.AppKey, id, q.form
	push.Repeat = !f.devices.first(push.Token, push.PushID)
	key := ""
	if push.NotifyID != 0 {
		key = strconv.Itoa(push.NotifyID)
	}
	f.devices.record(push.Token, push, !push.Repeat, key, push.MessageID, push.PushID)
	if f.opts.OnPush != nil {
		f.opts.OnPush(push)
	}
	if !push.Repeat {
		f.Receipts.taken(sent{
			url: m.Notification.Callback, app: q.app.ID, token: push.Token, message: id,
			param: m.Notification.CallbackParam, expires: push.Expires,
		})
	}
	return id, nil
}

func (f *OPPO) nextID() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.serial++
	return fmt.Sprintf("622ff7cfae27%012x", f.serial)
}

func (f *OPPO) target(token string) *oppoAnswer {
	code := f.devices.fault(token, "10000", f.opts.AnyDevice)
	if code == "" {
		return nil
	}
	number, _ := strconv.Atoi(code) // SetCode's
	message := "refused"
	if number == 10000 {
		message = "registration_id格式不正确"
	}
	return &oppoAnswer{Code: number, Message: message}
}

// spendDay counts a message of content and marketing.
func (f *OPPO) spendDay(now time.Time) *oppoAnswer {
	f.mu.Lock()
	defer f.mu.Unlock()
	if day := now.In(shanghai).Format(time.DateOnly); day != f.day {
		f.day, f.public = day, 0
	}
	if f.public++; f.public > f.opts.PublicPerDay {
		return &oppoAnswer{Code: 33, Message: "the number of messages exceeds the daily limit"}
	}
	return nil
}

// shanghai is where the days of Chinese vendors end; it has no summer time.
var shanghai = time.FixedZone("UTC+8", 8*60*60)
