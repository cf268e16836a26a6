package gateway

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/http2"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/rouse-im/rouse/actors"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/api/rouse/v1/rousev1connect"
	"github.com/rouse-im/rouse/internal/catalog"
)

func TestPlainPost(t *testing.T) {
	w := newWorld(t)
	var got *actors.Envelope
	w.routes(func(e *actors.Envelope) { got = e; accept(e) })
	a := w.post(w.intakeKey(), "/rouse.v1.IntakeService/IngestBatch", `{"events":[
		{"message":{"messageId":"m1","recipients":["u1"],"content":{"title":"hi"}}},
		{"presence":{"userId":"u1","deviceId":"d","state":"SESSION_STATE_CONNECTED","session":"0"}}]}`)
	if a.status != http.StatusOK {
		t.Fatal(a.body)
	}
	response := &rousev1.IngestBatchResponse{}
	w.ok(protojson.Unmarshal([]byte(a.body), response))
	if diff := cmp.Diff([]string{"ACCEPTED", "REFUSED:INVALID_ARGUMENT"}, verdicts(response.GetItems())); diff != "" {
		t.Fatal(diff)
	}
	if got.App != "a" || got.User != "u1" || got.Node != (actors.Node{}) {
		t.Fatalf("got %+v", got)
	}
	for name, want := range map[string]string{
		"X-Content-Type-Options": "nosniff", "Cache-Control": "no-store",
		"Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'", "Access-Control-Allow-Origin": "",
	} {
		if a.header.Get(name) != want {
			t.Errorf("%s: %q", name, a.header.Get(name))
		}
	}
}

func TestMalformedBodies(t *testing.T) {
	w := newWorld(t)
	bind := rousev1.DeviceService_BindToken_FullMethodName
	put := rousev1.AdminService_PutCredential_FullMethodName
	invalid := rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT
	for _, c := range []struct {
		name, method, body string
		code               rousev1.ErrorCode
		says               string
	}{
		{"unknown field", bind, `{"userId":"u","tokne":"` + canary + `"}`, invalid, `unknown field "tokne"`},
		{"unknown inner field", put, `{"credential":{"name":"x","fcm":{"serviceAcountJson":"` + canary + `"}}}`, invalid, `unknown field "serviceAcountJson"`},
		{"snake case is fine, missing field", bind, `{"user_id":"u"}`, invalid, "device_id"},
		{"number for text", bind, `{"token":12345678901234}`, invalid, "token"},
		{"text for a list", rousev1.IntakeService_IngestBatch_FullMethodName, `{"events":"` + canary + `"}`, invalid, "JSON"},
		{"unknown enum name", rousev1.AdminService_CreateApiKey_FullMethodName, `{"role":"` + canary + `"}`, invalid, "role"},
		{"unknown enum number", rousev1.AdminService_CreateApiKey_FullMethodName, `{"role":77}`, invalid, "role"},
		{"no JSON", bind, canary, invalid, "no JSON"},
		{"cut off", bind, `{"token":"` + canary, invalid, "JSON"},
		{"two values", bind, `{} {"token":"` + canary + `"}`, invalid, "JSON"},
		{"twice", bind, `{"token":"a","token":"` + canary + `"}`, invalid, ""},
		{"bad UTF-8", bind, "{\"token\":\"" + canary + "\xff\"}", invalid, "JSON"},
		{"null", bind, `null`, invalid, ""},
		{"empty", bind, ``, invalid, "user_id"},
		{"too large", bind, `{"token":"` + strings.Repeat(canary, 1<<19) + `"}`, rousev1.ErrorCode_ERROR_CODE_LIMIT_EXCEEDED, "4194304"},
		{"long token", bind, `{"userId":"u","deviceId":"d","notifier":"fcm-a","token":"` + strings.Repeat(canary, 500) + `"}`, invalid, "token"},
		{"no such method", "/rouse.v1.DeviceService/Steal", `{}`, rousev1.ErrorCode_ERROR_CODE_NOT_FOUND, "method"},
		{"credential without vendor", put, `{"credential":{"name":"x"}}`, invalid, "credential"},
		{"unusable credential", put, `{"credential":{"name":"x","fcm":{"serviceAccountJson":"` + canary + `","dataOnly":true}}}`, rousev1.ErrorCode_ERROR_CODE_INVALID_CREDENTIAL, "no private key"},
		{"unknown credential", rousev1.AdminService_DeleteCredential_FullMethodName, `{"name":"none"}`, rousev1.ErrorCode_ERROR_CODE_NOT_FOUND, `"none"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			a := w.post(w.adminKey(), c.method, c.body)
			wants(t, a.err, c.code)
			if !strings.Contains(a.err.GetMessage(), c.says) {
				t.Errorf("%q does not say %q", a.err.GetMessage(), c.says)
			}
			if strings.Contains(a.body, canary) {
				t.Errorf("the answer shows a secret: %s", a.body)
			}
		})
	}
	if strings.Contains(w.log.String(), canary) {
		t.Error("the log shows a secret")
	}
}

func TestOtherBodies(t *testing.T) {
	w := newWorld(t)
	get := rousev1.AdminService_GetApp_FullMethodName
	wants(t, w.post(w.adminKey(), get, "{}", "Content-Encoding", "gzip").err, rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT)
	wants(t, w.post(w.adminKey(), get, "\xff\xff", "Content-Type", "application/proto").err, rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT)
	if a := w.post(w.adminKey(), get, "{}", "Content-Type", "application/json; charset=utf-8"); a.status != http.StatusOK {
		t.Errorf("with a charset: %d %s", a.status, a.body)
	}
	if a := w.post(w.adminKey(), get, "{}", "Content-Type", "text/plain"); a.status != http.StatusUnsupportedMediaType {
		t.Errorf("text: %d", a.status)
	}
	for _, method := range []string{http.MethodGet, http.MethodOptions, http.MethodPut} {
		r, err := http.NewRequestWithContext(t.Context(), method, w.url+get, nil)
		w.ok(err)
		res, err := http.DefaultClient.Do(r)
		w.ok(err)
		res.Body.Close()
		if res.StatusCode != http.StatusMethodNotAllowed || res.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s: %d %v", method, res.StatusCode, res.Header)
		}
	}
}

func TestBindToken(t *testing.T) {
	w := newWorld(t)
	names := []string{"b1", "b2", "b3", "b4", "b5", "b6", "b7", "b8", "b9", "c1", "c2"}
	for _, name := range names {
		w.ok(w.Catalog.PutCredential("b", &rousev1.Credential{Name: name, Vendor: &rousev1.Credential_Fcm{Fcm: &rousev1.FcmCredential{ServiceAccountJson: "{}"}}}, catalog.Put{}))
	}
	routed := 0
	w.routes(func(e *actors.Envelope) { routed++; accept(e) })
	bind := func(app, notifier, token string) answer {
		body, err := protojson.Marshal(&rousev1.BindTokenRequest{UserId: "u", DeviceId: "d", Notifier: notifier, Token: token})
		w.ok(err)
		return w.post(w.key(app, intakeRole), rousev1.DeviceService_BindToken_FullMethodName, string(body))
	}
	for _, c := range []struct {
		app, notifier, token string
		code                 rousev1.ErrorCode
		says                 string
	}{
		{"a", "apns", canary, rousev1.ErrorCode_ERROR_CODE_UNKNOWN_NOTIFIER, `"apns" is no credential of app "a"; known are fcm-a`},
		{"a", "fcm-b", canary, rousev1.ErrorCode_ERROR_CODE_UNKNOWN_NOTIFIER, `known are fcm-a`},
		{"b", "none", canary, rousev1.ErrorCode_ERROR_CODE_UNKNOWN_NOTIFIER, `known are b1, b2, b3, b4, b5, b6, b7, b8, b9, c1, and 2 more; add one with rouse credential put`},
		{"a", "fcm-a", "bad" + canary, rousev1.ErrorCode_ERROR_CODE_INVALID_TOKEN, "64 hexadecimal digits"},
		{"a", "", canary, rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, "notifier"},
	} {
		a := bind(c.app, c.notifier, c.token)
		wants(t, a.err, c.code)
		if !strings.Contains(a.err.GetMessage(), c.says) {
			t.Errorf("%q does not say %q", a.err.GetMessage(), c.says)
		}
	}
	if routed != 0 {
		t.Errorf("%d refused bindings reached a user", routed)
	}
	for _, c := range [][2]string{{"fcm-a", canary}, {"fcm-a", ""}, {"gone", ""}, {"", ""}} {
		if a := bind("a", c[0], c[1]); a.status != http.StatusOK {
			t.Errorf("%v: %s", c, a.body)
		}
	}
	if routed != 4 {
		t.Errorf("%d of 4 reached the user", routed)
	}
	if strings.Contains(w.log.String(), canary) {
		t.Error("the log shows a token")
	}
}

// A token of the test build, bound to the credential of the store's app, would
// never be delivered to.
func TestBindRefusesAnotherPackage(t *testing.T) {
	w := newWorld(t)
	w.routes(accept)
	put := func(c *rousev1.Credential) { w.ok(w.Catalog.PutCredential("a", c, catalog.Put{})) }
	put(&rousev1.Credential{Name: "ios", Vendor: &rousev1.Credential_Apns{Apns: &rousev1.ApnsCredential{BundleId: "im.chat"}}})
	put(&rousev1.Credential{Name: "mi", Vendor: &rousev1.Credential_Xiaomi{Xiaomi: &rousev1.XiaomiCredential{PackageName: "im.chat"}}})
	put(&rousev1.Credential{Name: "oppo", AppPackage: "im.chat", Vendor: &rousev1.Credential_Oppo{Oppo: &rousev1.OppoCredential{}}})
	for _, c := range []struct {
		notifier, pkg string
		ok            bool
	}{
		{"ios", "im.chat", true},
		{"ios", "", true},
		{"ios", "im.chat.test", false},
		{"mi", "im.other", false},
		{"mi", "im.chat", true},
		{"oppo", "im.other", false},
		{"oppo", "im.chat", true},
		{"fcm-a", "im.whatever", true},
	} {
		body, err := protojson.Marshal(&rousev1.BindTokenRequest{
			UserId: "u", DeviceId: "d", Notifier: c.notifier, Token: canary, Device: &rousev1.DeviceInfo{AppPackage: c.pkg},
		})
		w.ok(err)
		a := w.post(w.key("a", intakeRole), rousev1.DeviceService_BindToken_FullMethodName, string(body))
		if c.ok != (a.status == http.StatusOK) || !c.ok && (!strings.Contains(a.body, "app_package") || strings.Contains(a.body, canary)) {
			t.Errorf("%s with %q: %s", c.notifier, c.pkg, a.body)
		}
	}
}

func TestSecretsAreShownOnceOrNever(t *testing.T) {
	w := newWorld(t)
	put := w.post(w.adminKey(), rousev1.AdminService_PutCredential_FullMethodName,
		`{"credential":{"name":"ios","apns":{"bundleId":"im.chat","authKeyPem":"`+canary+`","certificatePassword":"`+canary+`","certificateP12":"Q0FOQVJZLTVmMmU="}}}`)
	list := w.post(w.adminKey(), rousev1.AdminService_ListCredentials_FullMethodName, `{}`)
	created := w.post(w.adminKey(), rousev1.AdminService_CreateApiKey_FullMethodName, `{"role":"ROLE_VIEWER","note":"console"}`)
	keys := w.post(w.adminKey(), rousev1.AdminService_ListApiKeys_FullMethodName, `{}`)
	response := &rousev1.CreateApiKeyResponse{}
	w.ok(protojson.Unmarshal([]byte(created.body), response))
	for _, secret := range []string{canary, "Q0FOQVJZ", response.GetSecret()[20:], w.adminKey()[20:]} {
		for what, text := range map[string]string{"put": put.body, "list": list.body, "keys": keys.body, "log": w.log.String()} {
			if strings.Contains(text, secret) {
				t.Errorf("%s shows a secret", what)
			}
		}
	}
	if put.status != http.StatusOK || !strings.Contains(list.body, "im.chat") || !strings.Contains(keys.body, response.GetKey().GetKeyId()) {
		t.Errorf("%s %s %s", put.body, list.body, keys.body)
	}
	if a := w.post(response.GetSecret(), rousev1.AdminService_GetApp_FullMethodName, `{}`); a.status != http.StatusOK {
		t.Errorf("the new key: %s", a.body)
	}
}

func TestRepliesOfTheUser(t *testing.T) {
	w := newWorld(t)
	count := rousev1.UserService_GetOfflineCount_FullMethodName
	w.routes(func(e *actors.Envelope) {
		e.Done(actors.Reply{Response: &rousev1.GetOfflineCountResponse{Count: 3, ByDevice: map[string]uint32{"d": 3}}})
	})
	if a := w.post(w.intakeKey(), count, `{"userId":"u"}`); strings.ReplaceAll(a.body, " ", "") != `{"count":3,"byDevice":{"d":3}}` {
		t.Errorf("got %s", a.body)
	}
	w.routes(func(e *actors.Envelope) { e.Reject() })
	a := w.post(w.intakeKey(), count, `{"userId":"u"}`)
	wants(t, a.err, rousev1.ErrorCode_ERROR_CODE_OVERLOADED)
	if a.status != http.StatusTooManyRequests {
		t.Errorf("status %d", a.status)
	}
	w.routes(func(e *actors.Envelope) { e.Done(actors.Reply{Response: &rousev1.EraseUserResponse{}}) })
	wants(t, w.post(w.intakeKey(), count, `{"userId":"u"}`).err, rousev1.ErrorCode_ERROR_CODE_INTERNAL)
	w.routes(func(*actors.Envelope) {})
	wants(t, w.post(w.intakeKey(), count, `{"userId":"u"}`, "Connect-Timeout-Ms", "50").err, rousev1.ErrorCode_ERROR_CODE_DEADLINE)
}

func TestProbesAndMetrics(t *testing.T) {
	ready := errors.New("opening the store")
	w := newWorld(t, func(o *Options) { o.Ready = func() error { return ready } })
	get := func(path string) (int, string) {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, w.url+path, nil)
		w.ok(err)
		res, err := http.DefaultClient.Do(r)
		w.ok(err)
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		w.ok(err)
		return res.StatusCode, string(text)
	}
	if code, text := get("/healthz"); code != 200 || text != "ok\n" {
		t.Error(code, text)
	}
	if code, text := get("/readyz"); code != 503 || !strings.Contains(text, "opening the store") {
		t.Error(code, text)
	}
	ready = nil
	if code, _ := get("/readyz"); code != 200 {
		t.Error(code)
	}
	if code, _ := get("/"); code != 404 {
		t.Error(code)
	}
	w.post(w.adminKey(), rousev1.AdminService_GetApp_FullMethodName, `{}`)
	w.post("", rousev1.AdminService_GetApp_FullMethodName, `{}`)
	w.post(w.adminKey(), "/rouse.v1.AdminService/"+canary, `{}`)
	_, text := get("/metrics")
	for _, want := range []string{
		`rouse_rpc_total{code="OK",method="/rouse.v1.AdminService/GetApp"} 1`,
		`rouse_rpc_total{code="UNAUTHENTICATED",method="/rouse.v1.AdminService/GetApp"} 1`,
		`rouse_rpc_total{code="NOT_FOUND",method="unknown"} 1`,
		`rouse_ingest_items_total{status="ACCEPTED"} 0`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("no %s", want)
		}
	}
	if strings.Contains(text, canary) {
		t.Error("a label is made of what a caller sent")
	}
}

// h2c speaks HTTP/2 without TLS, as Connect's streams need.
func h2c() *http.Client {
	return &http.Client{Transport: &http2.Transport{AllowHTTP: true, DialTLSContext: func(ctx context.Context, network, addr string, _ *tls.Config) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, addr)
	}}}
}

func TestIngestOverConnect(t *testing.T) {
	w := newWorld(t)
	for name, options := range map[string][]connect.ClientOption{
		"connect": nil, "json": {connect.WithProtoJSON()}, "grpc": {connect.WithGRPC()},
	} {
		t.Run(name, func(t *testing.T) {
			client := h2c()
			defer client.CloseIdleConnections()
			intakeClient := rousev1connect.NewIntakeServiceClient(client, w.url, options...)
			ctx, info := connect.NewClientContext(t.Context())
			info.RequestHeader().Set("Authorization", "Bearer "+w.intakeKey())
			stream, err := intakeClient.Ingest(ctx)
			w.ok(err)
			w.ok(stream.Send(&rousev1.IngestRequest{Kind: &rousev1.IngestRequest_Hello{Hello: &rousev1.Hello{Node: im1}}}))
			m, err := stream.Receive()
			w.ok(err)
			if m.GetWelcome().GetWindow() != window {
				t.Fatalf("got %v", m)
			}
			w.ok(stream.Send(&rousev1.IngestRequest{Kind: &rousev1.IngestRequest_Batch{Batch: &rousev1.Batch{Seq: 5, Events: []*rousev1.Event{presence("u"), presence("")}}}}))
			m, err = stream.Receive()
			w.ok(err)
			if diff := cmp.Diff([]string{"ACCEPTED", "REFUSED:INVALID_ARGUMENT"}, verdicts(m.GetResult().GetItems())); diff != "" || m.GetResult().GetSeq() != 5 {
				t.Fatal(diff)
			}
			w.ok(stream.Send(&rousev1.IngestRequest{Kind: &rousev1.IngestRequest_Hello{Hello: &rousev1.Hello{Node: im1}}}))
			_, err = stream.Receive()
			wants(t, detail(err), rousev1.ErrorCode_ERROR_CODE_PROTOCOL)
		})
	}
}

func TestBinaryConnectClient(t *testing.T) {
	w := newWorld(t)
	client := rousev1connect.NewAdminServiceClient(http.DefaultClient, w.url)
	ctx, info := connect.NewClientContext(t.Context())
	info.RequestHeader().Set("Authorization", "Bearer "+w.adminKey())
	got, err := client.UpdateApp(ctx, &rousev1.UpdateAppRequest{DisplayName: "Chat", Settings: &rousev1.AppSettings{GroupLimit: 5}})
	w.ok(err)
	app, _ := w.Catalog.App("a")
	if !proto.Equal(got.GetApp(), app.Info()) || app.Settings().GetGroupLimit() != 5 {
		t.Fatalf("got %v", got)
	}
	_, err = client.UpdateApp(ctx, &rousev1.UpdateAppRequest{Settings: &rousev1.AppSettings{GroupLimit: 1 << 30}})
	wants(t, detail(err), rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT)
}

func TestStopWaitsForCallsOnHTTP(t *testing.T) {
	w := newWorld(t)
	held := make(chan *actors.Envelope, 1)
	w.routes(func(e *actors.Envelope) { held <- e })
	answered := make(chan answer, 1)
	go func() {
		answered <- w.post(w.intakeKey(), rousev1.UserService_GetOfflineCount_FullMethodName, `{"userId":"u"}`)
	}()
	e := <-held
	stopped := make(chan error, 1)
	go func() { stopped <- w.Stop(t.Context()) }()
	<-w.draining
	accept(e)
	if a := <-answered; a.status != http.StatusOK {
		t.Fatal(a.body)
	}
	select {
	case err := <-stopped:
		w.ok(err)
	case <-time.After(5 * time.Second):
		t.Fatal("not stopped")
	}
}
