package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rouse-im/rouse/internal/config"
	"github.com/rouse-im/rouse/vendors/fake"
)

// What must never be seen outside of its place: a token, a text, a vendor key
// and an API key.
const (
	canaryToken = "ca9a51e5c0ffee00ca9a51e5c0ffee00ca9a51e5c0ffee00ca9a51e5c0ffee00"
	canaryDead  = "dead51e5c0ffee00dead51e5c0ffee00dead51e5c0ffee00dead51e5c0ffee00"
	canaryText  = "canary text that nobody else may read"
	canaryData  = "canary data that nobody else may read"
)

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// Tokens, texts and secrets stay out of logs, metrics and error answers, and
// lie on disk in sealed form only, whatever the vendor answers.
func TestCanary(t *testing.T) {
	dir := t.TempDir()
	log := &syncBuffer{}
	c := config.Default()
	c.Data.Dir, c.GRPC.Listen, c.HTTP.Listen, c.Data.MinFreeDisk = dir, "127.0.0.1:0", "127.0.0.1:0", 64<<20
	n, err := Start(Options{Config: c, Logger: slog.New(slog.NewTextHandler(log, &slog.HandlerOptions{Level: slog.LevelDebug}))})
	if err != nil {
		t.Fatal(err)
	}
	operator, err := os.ReadFile(filepath.Join(dir, OperatorKeyFile))
	if err != nil {
		t.Fatal(err)
	}
	key := strings.TrimSpace(string(operator))
	vendor, p8, ca := startAPNs(t)
	var answers strings.Builder
	call := func(method string, body map[string]any) map[string]any {
		t.Helper()
		text, err := json.Marshal(body)
		if err != nil {
			t.Fatal(err)
		}
		_, got := post(t, n, key, method, string(text))
		fmt.Fprintln(&answers, method, got)
		return got
	}
	call("AdminService/CreateApp", map[string]any{"appId": "chat"})
	call("AdminService/PutCredential", map[string]any{"appId": "chat", "credential": map[string]any{"name": "apns", "apns": map[string]any{
		"bundleId": "im.rouse.chat", "keyId": "KEY", "teamId": "TEAM", "authKeyPem": p8, "endpoint": vendor.url, "caPem": ca,
	}}})
	key = call("AdminService/CreateApiKey", map[string]any{"appId": "chat", "role": "ROLE_ADMIN"})["secret"].(string)
	answers.Reset() // that one answer shows the secret on purpose
	call("AdminService/ListCredentials", map[string]any{})
	for device, token := range map[string]string{"phone": canaryToken, "old": canaryDead} {
		call("DeviceService/BindToken", map[string]any{"userId": "ann", "deviceId": device, "notifier": "apns", "token": token})
	}
	call("DeviceService/BindToken", map[string]any{"userId": "ann", "deviceId": "x", "notifier": "apns", "token": canaryToken + " not hex"})
	vendor.apns.Unregister(canaryDead, time.Now().Add(time.Minute))
	for _, f := range []fake.Fault{fake.Reason(http.StatusInternalServerError, "InternalServerError"), fake.HTML(http.StatusBadGateway), {Kind: fake.Cut}} {
		f.Times = 1
		vendor.apns.Faults.Script(f)
	}
	for i := range 5 {
		call("IntakeService/IngestBatch", map[string]any{"events": []any{map[string]any{"message": map[string]any{
			"messageId":  fmt.Sprint("m", i),
			"recipients": []string{"ann"}, "sender": "bob", "content": map[string]any{"title": canaryText, "body": canaryText, "data": map[string]string{"k": canaryData}},
		}}}})
	}
	call("IntakeService/IngestBatch", map[string]any{"events": []any{map[string]any{"message": map[string]any{
		"messageId": "bad",
		"content":   map[string]any{"body": canaryText},
	}}}, "typo" + canaryText: 1})
	post(t, n, canaryText, "UserService/ListOutcomes", `{"userId":"ann"}`)
	awaitOutcomes(t, n, key)
	vendor.apns.Faults.Script(fake.Fault{Kind: fake.Answer, Status: 403, Times: 1, Body: `{"reason":"Forbidden","you":"` + canaryToken + `","said":"` + canaryText + `"}`})
	call("AdminService/TestCredential", map[string]any{"name": "apns", "token": canaryToken, "content": map[string]any{"body": canaryText}})
	call("AdminService/ValidateCredential", map[string]any{"name": "apns"})
	call("AdminService/GetCredentialStatus", map[string]any{"name": "apns"})
	call("UserService/ListOutcomes", map[string]any{"userId": "ann"})
	call("TraceService/Explain", map[string]any{"userId": "ann", "message": map[string]any{"messageId": "x", "recipients": []string{"ann"}, "content": map[string]any{"body": canaryText}}})
	call("TraceService/Trace", map[string]any{"messageId": "m0"})
	traces := fmt.Sprint(call("TraceService/Trace", map[string]any{"userId": "ann"}))
	if !strings.Contains(traces, "DECISION_STEP_VENDOR") || !strings.Contains(traces, "DECISION_STEP_CREDENTIAL") {
		t.Errorf("traces tell little: %s", traces)
	}
	call("DeviceService/ListDevices", map[string]any{"userId": "ann"})

	r, err := http.Get("http://" + n.HTTPAddr() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	metrics, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Body.Close()
	if err := n.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	if len(metrics) == 0 || !strings.Contains(log.String(), "IngestBatch") {
		t.Fatal("nothing to look at: the test would pass in vain")
	}
	secret := strings.TrimSpace(strings.Split(p8, "\n")[1])
	places := map[string]string{"log": log.String(), "metrics": string(metrics), "answers": answers.String()}
	for _, file := range files(t, dir) {
		b, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		places["file "+filepath.Base(file)] = string(b)
	}
	for name, text := range places {
		for _, canary := range []string{canaryToken, canaryDead, canaryText, canaryData, secret, key, key[len(key)-20:]} {
			if strings.Contains(text, canary) {
				t.Errorf("%s shows %.12s…", name, canary)
			}
		}
	}
}

type fakeAPNs struct {
	apns *fake.APNs
	url  string
}

func startAPNs(t *testing.T) (v fakeAPNs, p8, caPEM string) {
	t.Helper()
	ca, err := fake.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Server("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	private, public, err := fake.NewAPNsKey()
	if err != nil {
		t.Fatal(err)
	}
	v.apns = fake.NewAPNs(fake.APNsOptions{Cert: cert, AnyDevice: true, KeepPerDevice: 1000})
	v.apns.AddKey("TEAM", "KEY", public)
	l, err := fake.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	v.url = fake.URL(l)
	go v.apns.Serve(l) //nolint:errcheck // ends with Close
	t.Cleanup(func() { _ = v.apns.Close() })
	return v, string(private), string(ca.PEM())
}

// awaitOutcomes returns when no push of ann's is pending.
func awaitOutcomes(t *testing.T, n *Node, key string) {
	t.Helper()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for deadline := time.After(30 * time.Second); ; {
		_, got := post(t, n, key, "UserService/ListOutcomes", `{"userId":"ann"}`)
		if s := fmt.Sprint(got); strings.Contains(s, "ACCEPTED") && !strings.Contains(s, "PENDING") {
			return
		}
		select {
		case <-deadline:
			t.Fatal("pushes are still pending")
		case <-again.C:
		}
	}
}

func files(t *testing.T, dir string) (all []string) {
	t.Helper()
	if err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			all = append(all, path)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	return all
}
