package app

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/webhook"
)

// An app's server takes outcomes and stops a push; what happened while it was
// down is told after a restart of the node.
func TestWebhooks(t *testing.T) {
	const secret = "canary-secret-of-the-webhooks"
	var (
		mu   sync.Mutex
		told = map[string]rousev1.Reason{}
		down bool
		more = make(chan struct{}, 100)
	)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{ReadHeaderTimeout: time.Second, Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if webhook.Sign(secret, r.Header.Get(webhook.HeaderTimestamp), body) != r.Header.Get(webhook.HeaderSignature) {
			t.Error("a call with a wrong signature")
		}
		if r.URL.Path == "/before" {
			fmt.Fprintf(w, `{"stop":%v}`, strings.Contains(string(body), `"stopped"`))
			return
		}
		mu.Lock()
		defer mu.Unlock()
		if down {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		batch := &rousev1.WebhookBatch{}
		if err := protojson.Unmarshal(body, batch); err != nil {
			t.Error(err)
		}
		for _, e := range batch.GetEvents() {
			told[e.GetOutcome().GetMessageId()+"/"+e.GetOutcome().GetDeviceId()] = e.GetOutcome().GetReason()
			more <- struct{}{}
		}
	})}
	go server.Serve(l) //nolint:errcheck // ends with Close
	t.Cleanup(func() { _ = server.Close() })

	dir := t.TempDir()
	n := start(t, dir)
	operator, err := os.ReadFile(dir + "/" + OperatorKeyFile)
	if err != nil {
		t.Fatal(err)
	}
	key := strings.TrimSpace(string(operator))
	must := func(method, body string) {
		t.Helper()
		r := strings.NewReplacer("$base", "http://"+l.Addr().String(), "$secret", secret).Replace(body)
		if status, got := post(t, n, key, method, r); status != http.StatusOK || strings.Contains(fmt.Sprint(got), secret) {
			t.Fatalf("%s: %d %v", method, status, got)
		}
	}
	must("AdminService/CreateApp", `{"appId":"chat"}`)
	must("AdminService/PutWebhooks", `{"appId":"chat","webhooks":{"outcomeUrl":"$base/told","beforePushUrl":"$base/before","secret":"$secret","allowPrivate":true}}`)
	must("AdminService/GetWebhooks", `{"appId":"chat"}`)
	status, got := post(t, n, key, "AdminService/CreateApiKey", `{"appId":"chat","role":"ROLE_ADMIN"}`)
	if status != http.StatusOK {
		t.Fatal(got)
	}
	key = got["secret"].(string)
	if status, got := post(t, n, key, "AdminService/PutWebhooks", `{"webhooks":{"outcomeUrl":"https://im.example/","allowPrivate":true}}`); status != http.StatusForbidden {
		t.Errorf("allow_private by an app's key: %d %v", status, got)
	}
	message := func(id string) {
		must("IntakeService/IngestBatch", `{"events":[{"message":{"messageId":"`+id+`","recipients":["ann"],"sender":"bob","content":{"body":"hi"}}}]}`)
	}
	must("IntakeService/IngestBatch", `{"events":[{"presence":{"userId":"ann","deviceId":"phone","state":"SESSION_STATE_DISCONNECTED","session":"1"}}]}`)
	message("m1")
	message("stopped")
	<-more
	<-more
	mu.Lock()
	down = true
	mu.Unlock()
	message("m2")
	if err := n.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	down = false
	mu.Unlock()
	n = start(t, dir)
	<-more
	if err := n.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	mu.Lock()
	defer mu.Unlock()
	for pair, want := range map[string]rousev1.Reason{
		"m1/phone": rousev1.Reason_REASON_NO_BINDING, "stopped/phone": rousev1.Reason_REASON_STOPPED_BY_HOOK, "m2/phone": rousev1.Reason_REASON_NO_BINDING,
	} {
		if told[pair] != want {
			t.Errorf("%s was told as %s, want %s", pair, told[pair], want)
		}
	}
}
