package app

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"connectrpc.com/connect"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/api/rouse/v1/rousev1connect"
	"github.com/rouse-im/rouse/client"
	"github.com/rouse-im/rouse/internal/config"
	"github.com/rouse-im/rouse/internal/failpoint"
	"github.com/rouse-im/rouse/internal/fleet"
	"github.com/rouse-im/rouse/vendors/fake"
)

// The child of a crash test is this test binary again, told by its environment
// to be a server that kills itself at a named place.
const (
	envDir   = "ROUSE_CRASH_DIR"
	envGRPC  = "ROUSE_CRASH_GRPC"
	envHTTP  = "ROUSE_CRASH_HTTP"
	envPoint = "ROUSE_CRASH_POINT"
	envHits  = "ROUSE_CRASH_HITS" // die at this many hits of the point
)

func TestMain(m *testing.M) {
	if os.Getenv(envDir) != "" {
		os.Exit(serveChild())
	}
	_ = flag.Set("test.parallel", "6") // they wait most of the time; the command line goes before
	os.Exit(m.Run())
}

func serveChild() int {
	var hits atomic.Int64
	last, _ := strconv.ParseInt(os.Getenv(envHits), 10, 64)
	if point := os.Getenv(envPoint); point != "" {
		failpoint.Set(func(name string) {
			if name == point && hits.Add(1) == last {
				_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
				select {} // nothing after the point happens
			}
		})
	}
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	n, err := Start(Options{
		Config: childConfig(os.Getenv(envDir), os.Getenv(envGRPC), os.Getenv(envHTTP)),
		Logger: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	<-term
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	if err := n.Stop(ctx); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func childConfig(dir, grpc, http string) config.Config {
	c := config.Default()
	c.Data.Dir, c.GRPC.Listen, c.HTTP.Listen = dir, grpc, http
	c.Data.MinFreeDisk, c.Data.BlockCache, c.Data.Memtable, c.Data.Shards = 64<<20, 8<<20, 4<<20, 8
	c.Users.PassivateAfter = time.Second
	return c
}

// town is the world around one server: a vendor, an IM node, and users.
type town struct {
	t          *testing.T
	dir        string
	grpc, http string
	apns       *fake.APNs
	key        string
	users      rousev1connect.UserServiceClient
}

const crashUsers = 20

func token(user int) string { return fmt.Sprintf("%064x", user+1) }

func newTown(t *testing.T) *town {
	t.Helper()
	w := &town{t: t, dir: t.TempDir(), grpc: freePort(t), http: freePort(t)}
	vendor, p8, ca := startAPNs(t)
	w.apns = vendor.apns
	n, err := Start(Options{Config: childConfig(w.dir, "127.0.0.1:0", "127.0.0.1:0"), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	operator, err := os.ReadFile(w.dir + "/" + OperatorKeyFile)
	if err != nil {
		t.Fatal(err)
	}
	w.key = strings.TrimSpace(string(operator))
	ctx := t.Context()
	admin := rousev1connect.NewAdminServiceClient(http.DefaultClient, "http://"+n.HTTPAddr(), w.credentials())
	mustDo(t)(admin.CreateApp(ctx, &rousev1.CreateAppRequest{AppId: "chat"}))
	mustDo(t)(admin.PutCredential(ctx, &rousev1.PutCredentialRequest{AppId: "chat", Credential: &rousev1.Credential{
		Name: "apns",
		Vendor: &rousev1.Credential_Apns{Apns: &rousev1.ApnsCredential{
			BundleId: "im.rouse.chat", KeyId: "KEY", TeamId: "TEAM",
			AuthKeyPem: p8, Endpoint: vendor.url, CaPem: ca,
		}},
	}}))
	devices := rousev1connect.NewDeviceServiceClient(http.DefaultClient, "http://"+n.HTTPAddr(), w.credentials())
	for u := range crashUsers {
		mustDo(t)(devices.BindToken(ctx, &rousev1.BindTokenRequest{UserId: fmt.Sprint("u", u), DeviceId: "phone", Notifier: "apns", Token: token(u)}))
	}
	if err := n.Stop(ctx); err != nil {
		t.Fatal(err)
	}
	w.users = rousev1connect.NewUserServiceClient(http.DefaultClient, "http://"+w.http, w.credentials())
	return w
}

func mustDo(t *testing.T) func(any, error) {
	return func(_ any, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
}

// credentials adds the operator's key and the app that he acts for.
func (w *town) credentials() connect.ClientOption {
	return connect.WithInterceptors(connect.UnaryInterceptorFunc(func(next connect.UnaryFunc) connect.UnaryFunc {
		return func(ctx context.Context, r connect.AnyRequest) (connect.AnyResponse, error) {
			r.Header().Set("Authorization", "Bearer "+w.key)
			if !strings.Contains(r.Spec().Procedure, "AdminService") {
				r.Header().Set("Rouse-App", "chat")
			}
			return next(ctx, r)
		}
	}))
}

// freePort is an address that nobody else uses, also while its server is down.
func freePort(t *testing.T) string {
	t.Helper()
	port, err := fleet.FreePorts()
	if err != nil {
		t.Fatal(err)
	}
	return net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
}

// serve starts the child; exit tells how it ended.
func (w *town) serve(point string, hits int) (child *exec.Cmd, exit <-chan error) {
	w.t.Helper()
	child = exec.Command(os.Args[0])
	child.Env = append(os.Environ(), envDir+"="+w.dir, envGRPC+"="+w.grpc, envHTTP+"="+w.http, envPoint+"="+point, envHits+"="+strconv.Itoa(hits))
	child.Stderr = os.Stderr
	if err := child.Start(); err != nil {
		w.t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- child.Wait(); close(done) }()
	w.t.Cleanup(func() { _, _ = child.Process.Kill(), <-done })
	return child, done
}

func (w *town) dial() *client.Client {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(w.t.Context(), 20*time.Second)
	defer cancel()
	c, err := client.Dial(ctx, client.Options{Target: w.grpc, APIKey: w.key, App: "chat", Node: "im-1", AnswerTimeout: 2 * time.Second})
	if err != nil {
		w.t.Fatal(err)
	}
	return c
}

// A process killed at any of these places loses nothing that it acknowledged:
// every message ends in one outcome, no device sees a second push id, and the
// badge counts are right.
func TestKillLosesNothing(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills processes")
	}
	t.Parallel()
	for _, tc := range []struct {
		point string
		hits  int
		term  bool // the point is met while the server shuts down
	}{
		{"shard/before-commit", 30, false},
		{"shard/after-commit", 30, false},
		{"shard/after-effects", 30, false},
		{"lane/before-send", 50, false},
		{"lane/after-send", 50, false},
		{"user/before-outcome", 50, false},
		{"user/outcome-durable", 50, false},
		{"shard/before-passivation", 3, false},
		{"shard/drain", 3, true},
		{"app/before-close", 1, true},
	} {
		t.Run(strings.ReplaceAll(tc.point, "/", "-"), func(t *testing.T) {
			t.Parallel()
			crash(t, tc.point, tc.hits, tc.term)
		})
	}
}

const crashMessages = 400

func crash(t *testing.T, point string, hits int, term bool) {
	w := newTown(t)
	child, exit := w.serve(point, hits)
	c := w.dial()
	var acked, refused atomic.Int64
	first := make(chan struct{}) // closed with the first answer
	for i := range crashMessages {
		ev := &rousev1.Event{Kind: &rousev1.Event_Message{Message: &rousev1.MessageEvent{
			MessageId:  fmt.Sprint("m", i),
			Recipients: []string{fmt.Sprint("u", i%crashUsers)}, Sender: "bob", Content: &rousev1.Content{Body: "hello"},
		}}}
		if err := c.Send(t.Context(), ev, func(r *rousev1.ItemResult) {
			if r.GetError() == nil {
				if acked.Add(1) == 1 {
					close(first)
				}
			} else {
				refused.Add(1)
				t.Errorf("refused: %v", r.GetError())
			}
		}); err != nil {
			t.Fatal(err)
		}
		if term && i == crashMessages/2 {
			select { // a client that never met its server gives up
			case <-first:
			case <-time.After(20 * time.Second):
				t.Fatal("no answer to any of the first messages")
			}
			_ = child.Process.Signal(syscall.SIGTERM)
		}
	}
	select {
	case err := <-exit:
		if state := child.ProcessState.Sys().(syscall.WaitStatus); !state.Signaled() || state.Signal() != syscall.SIGKILL {
			t.Fatalf("the child ended by itself: %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("%s was not reached", point)
	}
	before := acked.Load()
	child, exit = w.serve("", 0)
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	if err := c.Close(ctx); err != nil {
		t.Fatal(err)
	}
	if acked.Load() != crashMessages {
		t.Fatalf("%d of %d acknowledged, %d refused", acked.Load(), crashMessages, refused.Load())
	}
	w.verify(ctx)
	t.Logf("%d acknowledged before the kill; the vendor took %d pushes for %d messages", before, w.apns.Stats().Accepted, crashMessages)
	_ = child.Process.Signal(syscall.SIGTERM)
	if err := <-exit; err != nil {
		t.Errorf("orderly stop: %v", err)
	}
}

// The same, killed from outside at random moments, again and again, while the
// events keep coming.
func TestKillUnderLoad(t *testing.T) {
	if testing.Short() {
		t.Skip("starts and kills processes")
	}
	t.Parallel()
	const kills = 4
	w := newTown(t)
	child, exit := w.serve("", 0)
	c := w.dial()
	var acked, before atomic.Int64
	seed := uint64(time.Now().UnixNano())
	t.Logf("seed %d", seed)
	rng := rand.New(rand.NewPCG(seed, 0))
	for part := range kills + 1 {
		for i := part; i < crashMessages; i += kills + 1 {
			ev := &rousev1.Event{Kind: &rousev1.Event_Message{Message: &rousev1.MessageEvent{
				MessageId:  fmt.Sprint("m", i),
				Recipients: []string{fmt.Sprint("u", i%crashUsers)}, Sender: "bob", Content: &rousev1.Content{Body: "hello"},
			}}}
			if err := c.Send(t.Context(), ev, func(r *rousev1.ItemResult) {
				if r.GetError() != nil {
					t.Errorf("refused: %v", r.GetError())
				}
				acked.Add(1)
			}); err != nil {
				t.Fatal(err)
			}
		}
		if part == kills {
			break
		}
		<-time.After(time.Duration(rng.IntN(30)) * time.Millisecond) // a moment in the middle of the work
		before.Store(acked.Load())
		_, _ = child.Process.Kill(), <-exit
		child, exit = w.serve("", 0)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 40*time.Second)
	defer cancel()
	if err := c.Close(ctx); err != nil {
		t.Fatal(err)
	}
	w.verify(ctx)
	t.Logf("%d acknowledged at the last kill; the vendor took %d pushes for %d messages", before.Load(), w.apns.Stats().Accepted, crashMessages)
	_ = child.Process.Signal(syscall.SIGTERM)
	if err := <-exit; err != nil {
		t.Errorf("orderly stop: %v", err)
	}
}

// verify compares what the server says with what the vendor saw.
func (w *town) verify(ctx context.Context) {
	w.t.Helper()
	again := time.NewTicker(50 * time.Millisecond)
	defer again.Stop()
	for u := range crashUsers {
		user := fmt.Sprint("u", u)
		for {
			r, err := w.users.ListOutcomes(ctx, &rousev1.ListOutcomesRequest{UserId: user, Limit: 1000})
			wrong := fmt.Sprint(err) // the server may still be starting
			if err == nil {
				wrong = w.check(user, u, r.GetOutcomes())
			}
			if wrong == "" {
				break
			}
			select {
			case <-ctx.Done():
				w.t.Fatal(wrong)
			case <-again.C:
			}
		}
		r, err := w.users.GetOfflineCount(ctx, &rousev1.GetOfflineCountRequest{UserId: user})
		if err != nil || r.GetCount() != crashMessages/crashUsers {
			w.t.Errorf("%s counts %d messages (%v), want %d", user, r.GetCount(), err, crashMessages/crashUsers)
		}
	}
	if d := w.apns.Stats().Doubled; d != 0 {
		w.t.Errorf("%d messages reached a device under two push ids", d)
	}
}

func (w *town) check(user string, u int, outcomes []*rousev1.Outcome) string {
	seen := map[string]int{}
	device, _ := w.apns.Device(token(u))
	for _, p := range device.Received {
		seen[p.MessageID]++
	}
	ended := map[string]bool{}
	for _, o := range outcomes {
		if o.GetStatus() != rousev1.OutcomeStatus_OUTCOME_STATUS_ACCEPTED {
			return fmt.Sprintf("%s: message %s is %v %v", user, o.GetMessageId(), o.GetStatus(), o.GetReason())
		}
		if ended[o.GetMessageId()] {
			return fmt.Sprintf("%s: message %s ended twice", user, o.GetMessageId())
		}
		ended[o.GetMessageId()] = true
		if seen[o.GetMessageId()] == 0 {
			return fmt.Sprintf("%s: message %s is accepted, but the vendor never saw it", user, o.GetMessageId())
		}
	}
	if len(ended) != crashMessages/crashUsers {
		return fmt.Sprintf("%s: %d of %d messages have an outcome", user, len(ended), crashMessages/crashUsers)
	}
	return ""
}
