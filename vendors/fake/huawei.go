package fake

import (
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"sync/atomic"
	"time"
)

// Huawei is Push Kit with both of its services, and the OAuth endpoint: POST
// /oauth2/v3/token, POST /v1/{app}/messages:send for HMS tokens and POST
// /v3/{project}/messages:send for HarmonyOS 5 tokens, over TLS. Facts: HMS Core
// "Push Kit REST APIs" and "Result codes"; HarmonyOS "push-scenariozed-api"
// request, response and "push-jwt-token".
type Huawei struct {
	// Faults hit send requests, by the first token of each.
	Faults Faults
	// OAuthFaults hit token requests.
	OAuthFaults Faults
	// Receipts are what is reported of the pushes.
	Receipts *Receipts

	opts    HuaweiOptions
	server  *Server
	pace    *rate
	auth    huaweiAuth
	devices huaweiDevices
	stats   fcmStats
	serial  atomic.Int64
}

// HuaweiOptions configures a fake. Only Cert is needed.
type HuaweiOptions struct {
	Cert tls.Certificate
	// AnyDevice registers unknown tokens at their first push; otherwise they
	// are illegal tokens.
	AnyDevice bool
	// MaxDevices bounds the devices remembered, default 100,000. Pushes to
	// further ones are taken and counted, not recorded.
	MaxDevices int
	// KeepPerDevice bounds the pushes remembered for one device, default 64.
	KeepPerDevice int
	// PerSecond bounds the tokens per second of all apps together, default
	// 6000; beyond, HTTP 503.
	PerSecond int
	// NumericCodes writes codes as JSON numbers, not as strings.
	NumericCodes bool
	// HighImportance grants the right to importance HIGH.
	HighImportance bool
	// Receipts configures what is reported of pushes.
	Receipts ReceiptOptions
	// Callbacks are the receipt configurations of the console by id; that of the
	// app has none.
	Callbacks map[string]ReceiptAddress
	// OnPush is called for each push taken. It must not block.
	OnPush func(HuaweiPush)
}

// NewHuawei makes a fake without apps; Serve starts it.
func NewHuawei(o HuaweiOptions) *Huawei {
	for _, field := range []struct {
		value *int
		zero  int
	}{{&o.MaxDevices, 100_000}, {&o.KeepPerDevice, 64}, {&o.PerSecond, 6000}} {
		if *field.value == 0 {
			*field.value = field.zero
		}
	}
	h := &Huawei{opts: o, pace: newRate(o.PerSecond, time.Second)}
	h.auth.secrets, h.auth.accounts = map[string]string{}, map[string]HuaweiAccount{}
	h.auth.bearers, h.auth.jwts = map[string]huaweiBearer{}, map[string]bool{}
	h.devices.byToken = map[string]*huaweiDevice{}
	h.stats.codes = map[string]int64{}
	h.Receipts = newReceipts(o.Receipts, receiptForm{
		delivered: "0", invalid: "2", muted: "6", inactive: "10", quota: "102", write: writeHuaweiReceipts,
	})
	mux := http.NewServeMux()
	mux.HandleFunc("POST /oauth2/v3/token", h.serveToken)
	mux.HandleFunc("POST /v1/{owner}/messages:send", func(w http.ResponseWriter, r *http.Request) {
		h.serveSend(w, r, parseHMS, h.auth.allowBearer)
	})
	mux.HandleFunc("POST /v3/{owner}/messages:send", func(w http.ResponseWriter, r *http.Request) {
		h.serveSend(w, r, parseHarmony, h.auth.allowJWT)
	})
	h.server = NewServer(mux, &o.Cert)
	return h
}

// Serve answers on l until Close, then returns nil.
func (h *Huawei) Serve(l net.Listener) error { return h.server.Serve(l) }

// Close ends the listeners, all connections and the receipts. It must be
// called once.
func (h *Huawei) Close() error {
	h.Receipts.close()
	return h.server.Close()
}

// huaweiAnswer is what Huawei answers: business failures come with any status.
type huaweiAnswer struct {
	http      int
	code, msg string
}

func huaweiRefusal(code, msg string) *huaweiAnswer {
	return &huaweiAnswer{http.StatusBadRequest, code, msg}
}

// huaweiMessage is a request of either service, checked.
type huaweiMessage struct {
	tokens []string
	// push is what each token gets; Token, RequestID and At are still missing.
	push HuaweiPush
	ttl  time.Duration
}

type (
	huaweiParser = func(r *http.Request, body []byte, o *HuaweiOptions) (huaweiMessage, *huaweiAnswer)
	huaweiAllow  = func(header, owner string, now time.Time) *huaweiAnswer
)

func (h *Huawei) serveSend(w http.ResponseWriter, r *http.Request, parse huaweiParser, allow huaweiAllow) {
	h.stats.opened()
	defer h.stats.open.Add(-1)
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client went away, or sent more than maxBody
	}
	h.stats.requests.Add(1)
	m, malformed := parse(r, body, &h.opts)
	judge := func() (string, *huaweiAnswer) {
		id := strconv.FormatInt(time.Now().UnixMilli(), 10) + fmt.Sprintf("%011d", h.serial.Add(1))
		answer := allow(r.Header.Get("Authorization"), r.PathValue("owner"), time.Now())
		if answer == nil {
			answer = malformed
		}
		if answer == nil {
			answer = h.take(m, r.PathValue("owner"), id, time.Now())
		}
		if answer.code != "80000000" {
			h.stats.count(answer.code)
		}
		return id, answer
	}
	usual := func() {
		id, answer := judge()
		w.Header().Set("content-type", "application/json; charset=utf-8")
		w.WriteHeader(answer.http)
		_, _ = io.WriteString(w, answer.body(id, h.opts.NumericCodes))
	}
	first := ""
	if len(m.tokens) > 0 {
		first = m.tokens[0]
	}
	if fault, hit := h.Faults.Take(first); hit {
		h.server.Fail(fault, w, r, func() { _, _ = judge() }, usual)
		return
	}
	usual()
}

func (a *huaweiAnswer) body(requestID string, numeric bool) string {
	var code any = a.code
	if numeric {
		code = json.Number(a.code)
	}
	raw, err := json.Marshal(map[string]any{"code": code, "msg": a.msg, "requestId": requestID})
	if err != nil {
		return ""
	}
	return string(raw)
}

// HuaweiRefusal is the fault that answers with a result code, such as
// "80300008", at the HTTP status, which is 200 for some failures.
func HuaweiRefusal(status int, code, msg string) Fault {
	a := &huaweiAnswer{status, code, msg}
	return Fault{
		Kind: Answer, Status: status, Header: map[string]string{"content-type": "application/json; charset=utf-8"},
		Body: a.body("157440955549500001002006", false),
	}
}
