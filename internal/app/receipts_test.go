package app

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/rouse-im/rouse/internal/config"
	"github.com/rouse-im/rouse/vendors/fake"
)

const publicURL = "https://push.example/rouse"

// proxy brings what vendors send to the public address to a node, as a reverse
// proxy does.
type proxy struct{ node *Node }

func (p *proxy) RoundTrip(r *http.Request) (*http.Response, error) {
	at, ok := strings.CutPrefix(r.URL.String(), publicURL)
	if !ok {
		return nil, fmt.Errorf("not the public address")
	}
	forward, err := http.NewRequestWithContext(r.Context(), r.Method, "http://"+p.node.HTTPAddr()+at, r.Body)
	if err != nil {
		return nil, err
	}
	forward.Header = r.Header.Clone()
	return http.DefaultTransport.RoundTrip(forward)
}

// reported is a node with a credential "mi" and fakes that report to it.
type reported struct {
	t     testing.TB
	dir   string
	node  *Node
	log   *syncBuffer
	proxy proxy
	mi    *fake.Xiaomi
	key   string
}

func (r *reported) start() {
	r.t.Helper()
	c := config.Default()
	c.Data.Dir, c.GRPC.Listen, c.HTTP.Listen, c.Data.MinFreeDisk = r.dir, "127.0.0.1:0", "127.0.0.1:0", 64<<20
	c.Receipts.PublicURL = publicURL + "/"
	var err error
	r.node, err = Start(Options{Config: c, Logger: slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		r.t.Fatal(err)
	}
	r.proxy.node = r.node
}

func (r *reported) stop() {
	r.t.Helper()
	if err := r.node.Stop(context.Background()); err != nil {
		r.t.Fatal(err)
	}
}

func (r *reported) must(method string, body any) map[string]any {
	r.t.Helper()
	text, err := json.Marshal(body)
	if err != nil {
		r.t.Fatal(err)
	}
	status, got := post(r.t, r.node, r.key, method, string(text))
	if status != http.StatusOK {
		r.t.Fatalf("%s: %d %v", method, status, got)
	}
	return got
}

func newReported(t testing.TB, edit func(*fake.XiaomiOptions)) *reported {
	t.Helper()
	r := &reported{t: t, dir: t.TempDir(), log: &syncBuffer{}}
	ca, err := fake.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Server("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	o := fake.XiaomiOptions{
		Cert: cert, Secret: "mi-secret", Package: "im.rouse.chat", AnyDevice: true,
		Receipts: fake.ReceiptOptions{Transport: &r.proxy, Delay: time.Millisecond},
	}
	if edit != nil {
		edit(&o)
	}
	r.mi = fake.NewXiaomi(o)
	l, err := fake.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go r.mi.Serve(l) //nolint:errcheck // ends with Close
	t.Cleanup(func() { _ = r.mi.Close() })
	r.start()
	operator, err := os.ReadFile(filepath.Join(r.dir, OperatorKeyFile))
	if err != nil {
		t.Fatal(err)
	}
	r.key = strings.TrimSpace(string(operator))
	r.must("AdminService/CreateApp", map[string]any{"appId": "chat"})
	r.must("AdminService/PutCredential", map[string]any{"appId": "chat", "credential": map[string]any{
		"name": "mi", "receipts": map[string]any{"enabled": true},
		"xiaomi": map[string]any{"packageName": "im.rouse.chat", "appSecret": "mi-secret", "endpoint": fake.URL(l), "caPem": string(ca.PEM())},
	}})
	r.key = r.must("AdminService/CreateApiKey", map[string]any{"appId": "chat", "role": "ROLE_ADMIN"})["secret"].(string)
	return r
}

func (r *reported) push(user, message string) {
	r.t.Helper()
	r.must("IntakeService/IngestBatch", map[string]any{"events": []any{map[string]any{"message": map[string]any{
		"messageId": message, "recipients": []string{user}, "sender": "zoe", "content": map[string]any{"title": "t", "body": "b"},
	}}}})
}

func (r *reported) bind(user, device, token string) {
	r.t.Helper()
	r.must("DeviceService/BindToken", map[string]any{"userId": user, "deviceId": device, "notifier": "mi", "token": token})
}

// until asks until the answer has all these words.
func (r *reported) until(method, user string, words ...string) string {
	r.t.Helper()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for deadline := time.After(20 * time.Second); ; {
		got := fmt.Sprint(r.must(method, map[string]any{"userId": user}))
		missing := ""
		for _, w := range words {
			if !strings.Contains(got, w) {
				missing = w
			}
		}
		if missing == "" {
			return got
		}
		select {
		case <-deadline:
			r.t.Fatalf("%s lacks %s:\n%s", method, missing, got)
		case <-again.C:
		}
	}
}

func (r *reported) path() string {
	r.t.Helper()
	status := r.must("AdminService/GetCredentialStatus", map[string]any{"name": "mi"})["status"].(map[string]any)
	return status["receiptPath"].(string)
}

func (r *reported) metrics() string {
	r.t.Helper()
	resp, err := http.Get("http://" + r.node.HTTPAddr() + "/metrics")
	if err != nil {
		r.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return string(text)
}

const (
	miToken = "mi-canary-token-0123456789abcdef0123456789abcdef"
	miOther = "mi-canary-other-0123456789abcdef0123456789abcdef"
	miNew   = "mi-canary-new-0123456789abcdef0123456789abcdef00"
)

// Xiaomi is asked for receipts with each push; what it reports is kept with the
// outcome, through a crash, and changes tokens. Nobody else can report.
func TestReceiptsOfAVendor(t *testing.T) {
	t.Parallel()
	r := newReported(t, nil)
	r.bind("ann", "phone", miToken)
	r.push("ann", "m1")
	r.until("UserService/ListOutcomes", "ann", "deliveredAt", "ACCEPTED")

	r.mi.Receipts.SetDevice(miToken, fake.Muted)
	r.push("ann", "m2")
	r.until("UserService/ListOutcomes", "ann", "receiptReason:REASON_MUTED_ON_DEVICE")
	r.until("DeviceService/ListDevices", "ann", "lastResult:REASON_MUTED_ON_DEVICE")

	r.mi.Receipts.Replace(miToken, miNew)
	r.push("ann", "m3")
	r.until("DeviceService/ListDevices", "ann", "tokenTail:"+miNew[len(miNew)-6:])
	r.push("ann", "m4")
	for deadline := time.After(20 * time.Second); ; {
		if d, _ := r.mi.Device(miNew); len(d.Received) == 1 {
			break
		}
		select {
		case <-deadline:
			t.Fatal("no push went to the new token")
		case <-time.After(20 * time.Millisecond):
		}
	}

	r.bind("bob", "phone", miOther)
	r.mi.Receipts.SetDevice(miOther, fake.Uninstalled)
	r.push("bob", "m5")
	r.until("UserService/ListOutcomes", "bob", "receiptReason:REASON_TOKEN_INVALID", "ACCEPTED")
	if got := r.until("DeviceService/ListDevices", "bob", "phone"); strings.Contains(got, "tokenTail") {
		t.Errorf("a dead token is kept: %s", got)
	}

	path := r.path()
	forged := func(path string) int {
		body := strings.NewReader("data=" + `{"id":{"param":"p","type":16,"targets":"` + miNew + `"}}`)
		resp, err := http.Post("http://"+r.node.HTTPAddr()+path, "application/x-www-form-urlencoded", body)
		if err != nil {
			t.Fatal(err)
		}
		_ = resp.Body.Close()
		return resp.StatusCode
	}
	if status := forged(path[:len(path)-6] + "AAAAAA"); status != http.StatusNotFound {
		t.Errorf("a guessed address: %d", status)
	}
	if status := forged(path); status != http.StatusOK { // of a push that nobody knows, without a time
		t.Errorf("the right address: %d", status)
	}
	if got := r.until("DeviceService/ListDevices", "ann", "phone"); !strings.Contains(got, "tokenTail") {
		t.Error("a receipt of an unknown push dropped a token")
	}
	before := r.until("UserService/ListOutcomes", "ann", "deliveredAt")
	places := map[string]string{"metrics": r.metrics()}
	r.stop()
	r.start()
	if after := r.until("UserService/ListOutcomes", "ann", "deliveredAt"); after != before || r.path() != path {
		t.Errorf("after a restart:\n%s\n%s", before, after)
	}
	r.stop()
	places["log"] = r.log.String()
	for _, file := range files(t, r.dir) {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		places["file "+filepath.Base(file)] = string(b)
	}
	if !strings.Contains(places["metrics"], `rouse_receipts_total{kind="muted"`) || !strings.Contains(places["log"], "IngestBatch") {
		t.Error("nothing to look at: the test would pass in vain")
	}
	secret := path[strings.LastIndexByte(path, '/')+1:]
	for name, text := range places {
		for _, canary := range []string{miToken, miOther, miNew, secret} {
			if strings.Contains(text, canary) {
				t.Errorf("%s shows %.12s…", name, canary)
			}
		}
	}
}
