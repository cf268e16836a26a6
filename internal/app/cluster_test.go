//go:build !race

package app

// Several nodes in one process race for gRPC's global logger, which the actor
// library sets whenever one starts; internal/fleet runs nodes as processes.

import (
	"context"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	protocluster "github.com/asynkron/protoactor-go/cluster"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/cluster"
)

func startMember(t *testing.T, dir, name, join string) *Node {
	t.Helper()
	n, err := startWithin(t, 30*time.Second, memberConfig(dir, name, join))
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func stop(t *testing.T, n *Node) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := n.Stop(ctx); err != nil {
		t.Error(err)
	}
}

// Calls come in anywhere, and what one node is told the others know.
func TestAnyNodeTakesAnyUser(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	one := startMember(t, dir, "one", "")
	gossip := (*one.peers.alive.Load())[one.self].Addresses.GetGossip()
	two, three := startMember(t, dir, "two", gossip), startMember(t, dir, "three", gossip)
	operator, err := os.ReadFile(filepath.Join(dir, "one", OperatorKeyFile))
	if err != nil {
		t.Fatal(err)
	}
	key := strings.TrimSpace(string(operator))
	must := func(n *Node, method, body string) map[string]any {
		t.Helper()
		status, got := post(t, n, key, method, body)
		if status != http.StatusOK {
			t.Fatalf("%s: %d %v", method, status, got)
		}
		return got
	}
	must(two, "AdminService/CreateApp", `{"appId":"chat"}`) // forwarded to the leader
	key = must(three, "AdminService/CreateApiKey", `{"appId":"chat","role":"ROLE_ADMIN"}`)["secret"].(string)
	for _, n := range []*Node{one, two, three} { // three knows the key; the others hear of it in a moment
		tick := time.NewTicker(5 * time.Millisecond)
		for deadline := time.Now().Add(10 * time.Second); ; <-tick.C {
			status, got := post(t, n, key, "UserService/GetOfflineCount", `{"userId":"ann"}`)
			if status != http.StatusUnauthorized {
				break
			}
			if time.Now().After(deadline) {
				t.Fatalf("the key is not known everywhere: %v", got)
			}
		}
		tick.Stop()
	}
	for _, user := range []string{"ann", "bob", "carl", "dora", "eve", "fay"} {
		must(two, "IntakeService/IngestBatch", `{"events":[{"presence":{"userId":"`+user+`","deviceId":"phone","state":"SESSION_STATE_DISCONNECTED","session":"1"}}]}`)
		must(three, "IntakeService/IngestBatch", `{"events":[{"message":{"messageId":"m1","recipients":["`+user+`"],"sender":"x","content":{"body":"hi"}}}]}`)
		if got := must(one, "UserService/GetOfflineCount", `{"userId":"`+user+`"}`); got["count"] != 1.0 {
			t.Fatalf("%s has %v", user, got)
		}
		// The same as a virtual actor of protoactor's cluster.
		got, err := two.Virtual().Cluster().Request(cluster.Identity("chat", user), cluster.UserKind, &rousev1.GetOfflineCountRequest{UserId: user}, protocluster.WithTimeout(5*time.Second))
		if err != nil || got.(*rousev1.GetOfflineCountResponse).GetCount() != 1 {
			t.Fatalf("%s as a virtual actor: %v, %v", user, got, err)
		}
	}
	before, err := os.ReadFile(filepath.Join(dir, "secrets", "gossip.key"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := three.rotateKey(t.Context()); err != nil {
		t.Fatal(err)
	}
	if after, err := os.ReadFile(filepath.Join(dir, "secrets", "gossip.key")); err != nil || string(after) == string(before) {
		t.Fatalf("the key of gossip is still the old one: %v", err)
	}
	for _, n := range []*Node{one, three, two} {
		stop(t, n)
	}
}
