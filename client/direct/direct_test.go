//go:build !race

package direct

// Several actor systems in one process race for gRPC's global logger, which the
// actor library sets whenever one starts.

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"google.golang.org/protobuf/proto"

	"github.com/rouse-im/rouse/actors/route"
	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/cluster/certs"
	"github.com/rouse-im/rouse/cluster/transport"
	"github.com/rouse-im/rouse/storage"
)

// node is the actors of a node with four shards, which answer by script.
type node struct {
	sys    *actor.ActorSystem
	remote *transport.Remote
	asked  atomic.Int32
}

func startNode(t *testing.T, dir, name string, answer func(*actorv1.Ask) *actorv1.Answer) *node {
	t.Helper()
	id, err := certs.Load(dir, name)
	if err != nil {
		t.Fatal(err)
	}
	n := &node{sys: actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))}
	n.remote, err = transport.Start(n.sys, transport.Options{Listen: "127.0.0.1:0", Identity: id, Target: func(string) bool { return true }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { n.remote.Close(); n.sys.Shutdown() })
	for k := uint16(1); k <= 4; k++ {
		_, err := n.sys.Root.SpawnNamed(actor.PropsFromFunc(func(c actor.Context) {
			if m, ok := c.Message().(*actorv1.Ask); ok {
				n.asked.Add(1)
				a := &actorv1.Answer{Shards: 4}
				if m.GetShardCount() == nil {
					a = answer(m)
				}
				a.Id = m.GetId()
				c.Respond(a)
			}
		}), route.ShardName(k))
		if err != nil {
			t.Fatal(err)
		}
	}
	return n
}

// An IM node finds the leader from any seed, gets the response, learns of
// refusals, and asks for its own app alone, whatever it is asked for.
func TestDirect(t *testing.T) {
	dir, im := filepath.Join(t.TempDir(), "cluster"), filepath.Join(t.TempDir(), "im")
	hosts := []string{"127.0.0.1"}
	for _, err := range []error{certs.Found(dir, "a", hosts), certs.Issue(dir, "b", hosts), certs.IssueIMNode(dir, "app", "im-1", hosts, im)} {
		if err != nil {
			t.Fatal(err)
		}
	}
	response := &rousev1.GetOfflineCountResponse{Count: 3}
	body, err := proto.Marshal(response)
	if err != nil {
		t.Fatal(err)
	}
	leader := startNode(t, dir, "b", func(q *actorv1.Ask) *actorv1.Answer {
		switch {
		case q.GetApp() != "app" || q.GetCommand().GetNode() != "im-1":
			t.Errorf("asked %v", q)
		case q.GetUser() == "bad":
			return &actorv1.Answer{Error: &rousev1.Error{Code: rousev1.ErrorCode_ERROR_CODE_LIMIT_EXCEEDED, Message: "enough"}}
		}
		return &actorv1.Answer{Status: rousev1.ItemStatus_ITEM_STATUS_ACCEPTED, Response: &actorv1.Command{Type: "rouse.v1.GetOfflineCountResponse", Body: body}}
	})
	seed := startNode(t, dir, "a", func(q *actorv1.Ask) *actorv1.Answer {
		return &actorv1.Answer{Redirect: &actorv1.Redirect{Shard: q.GetShard(), Term: 2, Leader: leader.sys.Address()}}
	})
	c, err := Dial(Options{Dir: im, Seeds: []string{"127.0.0.1:1", seed.sys.Address()}, Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	for i := range 20 {
		status, got, err := c.Do(ctx, Command{User: fmt.Sprint("u", i), Message: &rousev1.GetOfflineCountRequest{UserId: fmt.Sprint("u", i)}})
		if err != nil || status != rousev1.ItemStatus_ITEM_STATUS_ACCEPTED || !proto.Equal(got, response) {
			t.Fatalf("%v, %v, %v", status, got, err)
		}
	}
	if n := seed.asked.Load(); n > 5 {
		t.Errorf("the seed was asked %d times, for the number of shards and for four of them", n)
	}
	var refusal *Error
	if _, _, err := c.Do(ctx, Command{User: "bad", Message: &rousev1.GetOfflineCountRequest{UserId: "bad"}}); !errors.As(err, &refusal) || refusal.Code != rousev1.ErrorCode_ERROR_CODE_LIMIT_EXCEEDED {
		t.Errorf("refusal: %v", err)
	}
	if _, _, err := c.Do(ctx, Command{User: "ann", Message: &rousev1.MessageEvent{}}); err == nil {
		t.Error("a message without an id was sent")
	}
	if c.App() != "app" {
		t.Errorf("app %q", c.App())
	}
}

// A cluster that is not there ends a command at its deadline; who comes meanwhile
// does not wait longer than that either.
func TestNoSeedAnswers(t *testing.T) {
	dir, im := filepath.Join(t.TempDir(), "cluster"), filepath.Join(t.TempDir(), "im")
	hosts := []string{"127.0.0.1"}
	if err := errors.Join(certs.Found(dir, "a", hosts), certs.IssueIMNode(dir, "app", "im-1", hosts, im)); err != nil {
		t.Fatal(err)
	}
	c, err := Dial(Options{Dir: im, Seeds: []string{"127.0.0.1:1", "127.0.0.1:2"}, Listen: "127.0.0.1:0"})
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	ended := make(chan error, 2)
	for range cap(ended) {
		go func() {
			_, _, err := c.Do(ctx, Command{User: "ann", Message: &rousev1.GetOfflineCountRequest{UserId: "ann"}})
			ended <- err
		}()
	}
	for range cap(ended) {
		if err := <-ended; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("%v", err)
		}
	}
}

func TestShardOf(t *testing.T) {
	for i := range 200 {
		user := fmt.Sprint("user-", i)
		if a, b := shardOf("app", user, 64), storage.ShardOf("app", user, 64); a != b {
			t.Fatalf("%s is of shard %d here and of %d in the store", user, a, b)
		}
	}
}
