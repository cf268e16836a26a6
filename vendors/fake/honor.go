package fake

import (
	"crypto/rand"
	"crypto/tls"
	"encoding/json"
	"fmt"
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

// Honor is Honor Push: POST /auth/token and POST /api/v1/{app}/sendMessage,
// over TLS. Honor's reference could not be read: fields are from its blog and
// from what public clients agree on; success codes, bounds and the codes of
// refusals (Huawei's) are guesses, hence settings.
type Honor struct {
	// Faults hit send requests, by the first token of each.
	Faults Faults
	// OAuthFaults hit token requests.
	OAuthFaults Faults
	// Receipts are what is reported of the pushes.
	Receipts *Receipts

	opts    HonorOptions
	server  *Server
	pace    *rate
	auth    honorAuth
	devices honorDevices
	stats   fcmStats
	serial  atomic.Int64
}

// HonorOptions configures a fake. Only Cert is needed.
type HonorOptions struct {
	Cert tls.Certificate
	// AnyDevice registers unknown tokens at their first push; otherwise they
	// are in expireTokens.
	AnyDevice bool
	// MaxDevices bounds the devices remembered, default 100,000. Pushes to
	// further ones are taken and counted, not recorded.
	MaxDevices int
	// KeepPerDevice bounds the pushes remembered for one device, default 64.
	KeepPerDevice int
	// PerSecond bounds the tokens per second of all apps together, default
	// 1000; beyond, HTTP 503.
	PerSecond int
	// MaxTokens bounds the tokens of one call, default 1000.
	MaxTokens int
	// SuccessCode is the code of a success, default "200".
	SuccessCode string
	// CodeAsString writes codes as JSON strings, not as numbers.
	CodeAsString bool
	// Receipts configures what is reported of pushes.
	Receipts ReceiptOptions
	// Callback is the console's receipt configuration.
	Callback ReceiptAddress
	// OnPush is called for each push taken. It must not block.
	OnPush func(HonorPush)
}

// NewHonor makes a fake without apps; Serve starts it.
func NewHonor(o HonorOptions) *Honor {
	for _, field := range []struct {
		value *int
		zero  int
	}{{&o.MaxDevices, 100_000}, {&o.KeepPerDevice, 64}, {&o.PerSecond, 1000}, {&o.MaxTokens, 1000}} {
		if *field.value == 0 {
			*field.value = field.zero
		}
	}
	if o.SuccessCode == "" {
		o.SuccessCode = "200"
	}
	h := &Honor{opts: o, pace: newRate(o.PerSecond, time.Second)}
	h.auth.clients, h.auth.bearers = map[string]honorClient{}, map[string]honorBearer{}
	h.devices.byToken = map[string]*honorDevice{}
	h.stats.codes = map[string]int64{}
	h.Receipts = newReceipts(o.Receipts, receiptForm{
		delivered: "0", invalid: "2", muted: "6", inactive: "10", quota: "102", write: writeHuaweiReceipts,
	})
	mux := http.NewServeMux()
	mux.HandleFunc("POST /auth/token", h.serveToken)
	mux.HandleFunc("POST /api/v1/{app}/sendMessage", h.serveSend)
	h.server = NewServer(mux, &o.Cert)
	return h
}

// SetCallback enters the receipt configuration in the console, before the first
// push.
func (h *Honor) SetCallback(a ReceiptAddress) { h.opts.Callback = a }

// Serve answers on l until Close, then returns nil.
func (h *Honor) Serve(l net.Listener) error { return h.server.Serve(l) }

// Close ends the listeners, all connections and the receipts. It must be
// called once.
func (h *Honor) Close() error {
	h.Receipts.close()
	return h.server.Close()
}

// honorAnswer is what Honor answers.
type honorAnswer struct {
	http            int
	code, message   string
	sent            bool
	expired, failed []string
}

func honorRefusal(status int, code, message string) *honorAnswer {
	return &honorAnswer{http: status, code: code, message: message}
}

func (h *Honor) serveSend(w http.ResponseWriter, r *http.Request) {
	h.stats.opened()
	defer h.stats.open.Add(-1)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client went away, or sent more than maxBody
	}
	h.stats.requests.Add(1)
	m, malformed := parseHonor(body, h.opts.MaxTokens)
	judge := func() (string, *honorAnswer) {
		id, now := strconv.FormatInt(h.serial.Add(1), 10), time.Now()
		answer := h.auth.allow(r.Header.Get("Authorization"), r.PathValue("app"), now)
		if answer == nil {
			answer = checkHonorHeader(r, now)
		}
		if answer == nil {
			answer = malformed
		}
		if answer == nil {
			answer = h.take(m, r.PathValue("app"), id, now)
		}
		if !answer.sent {
			h.stats.count(answer.code)
		}
		return id, answer
	}
	usual := func() {
		id, answer := judge()
		w.Header().Set("content-type", "application/json;charset=UTF-8")
		w.WriteHeader(answer.http)
		_, _ = io.WriteString(w, answer.body(id, h.opts.CodeAsString))
	}
	token := ""
	if len(m.tokens) > 0 {
		token = m.tokens[0]
	}
	if fault, hit := h.Faults.Take(token); hit {
		h.server.Fail(fault, w, r, func() { _, _ = judge() }, usual)
		return
	}
	usual()
}

func (a *honorAnswer) body(requestID string, asString bool) string {
	data := map[string]any{"sendResult": a.sent, "requestId": requestID}
	if len(a.failed) > 0 {
		data["failTokens"] = a.failed
	}
	if len(a.expired) > 0 {
		data["expireTokens"] = a.expired
	}
	var code any = json.Number(a.code)
	if asString {
		code = a.code
	}
	raw, err := json.Marshal(map[string]any{"code": code, "message": a.message, "data": data})
	if err != nil {
		return ""
	}
	return string(raw)
}

// HonorRefusal is the fault that refuses the whole call with a numeric code,
// such as "80100003", at the HTTP status.
func HonorRefusal(status int, code, message string) Fault {
	return Fault{
		Kind: Answer, Status: status, Header: map[string]string{"content-type": "application/json;charset=UTF-8"},
		Body: honorRefusal(status, code, message).body("1", false),
	}
}

// honorAuth knows the clients and the bearers given to them.
type honorAuth struct {
	mu      sync.Mutex
	clients map[string]honorClient // by client id
	bearers map[string]honorBearer
	given   int64
}

type honorClient struct{ app, secret string }

type honorBearer struct {
	app    string
	expiry time.Time
}

const honorBearerLife = time.Hour

// AddApp lets the client ask for bearers and send to the app's tokens.
func (h *Honor) AddApp(app, clientID, clientSecret string) {
	h.auth.mu.Lock()
	defer h.auth.mu.Unlock()
	h.auth.clients[clientID] = honorClient{app, clientSecret}
}

// RevokeBearers ends all bearers given so far: they are answered as expired.
func (h *Honor) RevokeBearers() {
	h.auth.mu.Lock()
	defer h.auth.mu.Unlock()
	for value, b := range h.auth.bearers {
		h.auth.bearers[value] = honorBearer{app: b.app}
	}
}

// allow returns nil when the header's bearer may send for app.
func (a *honorAuth) allow(header, app string, now time.Time) *honorAnswer {
	a.mu.Lock()
	defer a.mu.Unlock()
	value, prefixed := strings.CutPrefix(header, "Bearer ")
	b, known := a.bearers[value]
	switch {
	case !prefixed || !known:
		return honorRefusal(http.StatusUnauthorized, "80200001", "accesstoken invalid")
	case !now.Before(b.expiry):
		return honorRefusal(http.StatusUnauthorized, "80200003", "accesstoken expired")
	case b.app != app:
		return honorRefusal(http.StatusForbidden, "403", "accesstoken invalid")
	}
	return nil
}

func (h *Honor) serveToken(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	h.stats.grants.Add(1)
	usual := func() { h.grant(w, r, body) }
	if fault, hit := h.OAuthFaults.Take(""); hit {
		h.server.Fail(fault, w, r, func() {}, usual)
		return
	}
	usual()
}

// grant answers a client credentials grant.
func (h *Honor) grant(w http.ResponseWriter, r *http.Request, body []byte) {
	form, err := url.ParseQuery(string(body))
	h.auth.mu.Lock()
	defer h.auth.mu.Unlock()
	client, known := h.auth.clients[form.Get("client_id")]
	w.Header().Set("content-type", "application/json")
	refuse := func(status int, code string) {
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"error":%q,"error_description":"Invalid client or Invalid client credentials"}`, code)
	}
	switch {
	case err != nil || r.Header.Get("Content-Type") != "application/x-www-form-urlencoded":
		refuse(http.StatusBadRequest, "invalid_request")
	case form.Get("grant_type") != "client_credentials":
		refuse(http.StatusBadRequest, "unsupported_grant_type")
	case !known:
		refuse(http.StatusUnauthorized, "invalid_client")
	case form.Get("client_secret") != client.secret:
		refuse(http.StatusUnauthorized, "unauthorized_client")
	default:
		if len(h.auth.bearers) >= maxBearers {
			clear(h.auth.bearers)
		}
		value := "honor-fake-" + rand.Text()
		h.auth.bearers[value] = honorBearer{client.app, time.Now().Add(honorBearerLife)}
		h.auth.given++
		_, _ = fmt.Fprintf(w, `{"access_token":%q,"expires_in":%d,"token_type":"Bearer"}`, value, int(honorBearerLife/time.Second))
	}
}
