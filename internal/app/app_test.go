package app

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/rouse-im/rouse/internal/config"
)

func start(t *testing.T, dir string) *Node {
	t.Helper()
	c := config.Default()
	c.Data.Dir, c.GRPC.Listen, c.HTTP.Listen, c.Data.MinFreeDisk = dir, "127.0.0.1:0", "127.0.0.1:0", 64<<20
	n, err := Start(Options{Config: c, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func post(t testing.TB, n *Node, key, method, body string) (int, map[string]any) {
	t.Helper()
	r, err := http.NewRequest(http.MethodPost, "http://"+n.HTTPAddr()+"/rouse.v1."+method, bytes.NewBufferString(body))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("Authorization", "Bearer "+key)
	resp, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var got map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&got); err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, got
}

// A node that was told nothing serves JSON posts from its first start, and
// knows all of it after a restart.
func TestFromNothingToAnOutcome(t *testing.T) {
	dir := t.TempDir()
	n := start(t, dir)
	operator, err := os.ReadFile(dir + "/" + OperatorKeyFile)
	if err != nil {
		t.Fatal(err)
	}
	key := strings.TrimSpace(string(operator))
	must := func(method, body string) map[string]any {
		t.Helper()
		status, got := post(t, n, key, method, body)
		if status != http.StatusOK {
			t.Fatalf("%s: %d %v", method, status, got)
		}
		return got
	}
	must("AdminService/CreateApp", `{"appId":"chat"}`)
	key = must("AdminService/CreateApiKey", `{"appId":"chat","role":"ROLE_ADMIN"}`)["secret"].(string)
	must("IntakeService/IngestBatch", `{"events":[{"presence":{"userId":"ann","deviceId":"phone","state":"SESSION_STATE_DISCONNECTED","session":"1"}}]}`)
	got := must("IntakeService/IngestBatch", `{"events":[{"message":{"messageId":"m1","recipients":["ann"],"sender":"bob","content":{"body":"hi"}}}]}`)
	if s := fmt.Sprint(got); !strings.Contains(s, "ITEM_STATUS_ACCEPTED") {
		t.Fatal(s)
	}
	if status, got := post(t, n, key, "DeviceService/BindToken", `{"userId":"ann","deviceId":"phone","notifier":"nope","token":"aa"}`); status == http.StatusOK || !strings.Contains(fmt.Sprint(got), "nope") {
		t.Errorf("unknown notifier: %d %v", status, got)
	}
	if err := n.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}

	n = start(t, dir)
	if s := fmt.Sprint(must("UserService/ListOutcomes", `{"userId":"ann"}`)); !strings.Contains(s, "REASON_NO_BINDING") {
		t.Error(s)
	}
	if err := n.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// Values sealed before a rotation can be opened after it, and a store without
// its keys is refused.
func TestSealKeys(t *testing.T) {
	dir := t.TempDir()
	n := start(t, dir)
	c := n.o.Config
	aad := []byte("place")
	old := n.ring.Seal(nil, aad, []byte("token"))
	if err := n.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	path, id, err := RotateSealKey(c)
	if err != nil || id != 2 {
		t.Fatal(path, id, err)
	}
	n = start(t, dir)
	if plain, err := n.ring.Open(nil, aad, old); err != nil || string(plain) != "token" {
		t.Errorf("%q %v", plain, err)
	}
	if fresh := n.ring.Seal(nil, aad, []byte("token")); bytes.Equal(fresh[:5], old[:5]) {
		t.Error("the new key does not seal")
	}
	if err := n.Stop(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(path); err != nil {
		t.Fatal(err)
	}
	if _, err := Start(Options{Config: c, Logger: slog.New(slog.DiscardHandler)}); err == nil || !strings.Contains(err.Error(), "restore the file") {
		t.Errorf("a store without its keys: %v", err)
	}
}
