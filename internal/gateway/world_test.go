package gateway

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"

	"github.com/rouse-im/rouse/actors"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/catalog"
	"github.com/rouse-im/rouse/internal/lease"
	"github.com/rouse-im/rouse/storage"
	"github.com/rouse-im/rouse/storage/seal"
)

// canary stands for every secret, token and message text in these tests.
const canary = "CANARY-5f2e"

// world is a gateway on loopback with two apps, "a" and "b", and a key of each
// role for each of them.
type world struct {
	*Gateway
	t    testing.TB
	conn *grpc.ClientConn
	url  string
	log  *syncBuffer
	// keys by app and role; the operator's under "".
	keys map[string]map[rousev1.Role]string

	mu    sync.Mutex
	route actors.Router
	full  bool
	// find answers for the search of the store.
	find func(app string, r *rousev1.TraceRequest) ([]Recipient, error)
	// hook answers for the hooks of apps that have one.
	hook func(*rousev1.MessageEvent) (*rousev1.BeforePushAnswer, error)
}

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

func newWorld(t testing.TB, change ...func(*Options)) *world {
	t.Helper()
	w := &world{t: t, log: &syncBuffer{}, keys: make(map[string]map[rousev1.Role]string), route: accept}
	quiet := slog.New(slog.DiscardHandler)
	store, err := storage.Open("data", storage.Options{FS: vfs.NewMem(), Logger: quiet})
	w.ok(err)
	t.Cleanup(func() { w.ok(store.Close()) })
	line := func(b byte) string { return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{b}, 32)) }
	ring, err := seal.Parse("index:" + line(1) + "\n1:" + line(2))
	w.ok(err)
	logger := slog.New(slog.NewTextHandler(w.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	cat, err := catalog.Open(catalog.Options{Store: store, Ring: ring, Logger: logger, Check: func(c *rousev1.Credential) error {
		if c.GetFcm().GetDataOnly() {
			return errors.New("the account file has no private key")
		}
		return nil
	}})
	w.ok(err)
	leases, err := lease.Open(lease.Options{Store: store, TTL: 15 * time.Second, Logger: quiet})
	w.ok(err)
	w.seed(cat)
	o := Options{
		GRPC: w.listen(), HTTP: w.listen(), Catalog: cat, Leases: leases, Logger: logger, Registry: prometheus.NewRegistry(),
		Router: func(e *actors.Envelope) { w.router()(e) },
		Writable: func(time.Time) error {
			w.mu.Lock()
			defer w.mu.Unlock()
			if w.full {
				return errors.New("disk space is low")
			}
			return nil
		},
		CheckToken: func(_ *rousev1.Credential, token string) error {
			if strings.HasPrefix(token, "bad") {
				return errors.New("it must be 64 hexadecimal digits")
			}
			return nil
		},
		ValidateCredential: func(_ context.Context, c *rousev1.Credential) (*rousev1.ValidateCredentialResponse, error) {
			return vendorSays(c), nil
		},
		TestCredential: func(_ context.Context, _ *rousev1.Credential, r *rousev1.TestCredentialRequest) (*rousev1.TestCredentialResponse, error) {
			return &rousev1.TestCredentialResponse{Status: rousev1.OutcomeStatus_OUTCOME_STATUS_ACCEPTED, VendorId: "of " + r.GetContent().GetBody()}, nil
		},
		CredentialStatus: func(_ context.Context, _ *catalog.App, c *rousev1.Credential) (*rousev1.CredentialStatus, []string) {
			return &rousev1.CredentialStatus{Name: c.GetName(), ReceiptPath: "/secret-path"}, nil
		},
		FindTraces: func(_ context.Context, app string, r *rousev1.TraceRequest, _ time.Time) ([]Recipient, error) {
			return w.find(app, r)
		},
		Ready: func() error { return nil },
		BeforePush: func(_ context.Context, _ string, _ *rousev1.Webhooks, m *rousev1.MessageEvent) (*rousev1.BeforePushAnswer, error) {
			return w.hook(m)
		},
		CheckWebhooks:  func(*rousev1.Webhooks) error { return nil },
		WebhooksQueued: func(context.Context, string) (uint64, []string, error) { return 0, nil, nil },
	}
	for _, f := range change {
		f(&o)
	}
	w.serve(o)
	return w
}

func (w *world) seed(cat *catalog.Catalog) {
	w.t.Helper()
	now := time.Now()
	_, err := cat.Bootstrap(now, func(secret string) error {
		w.keys[""] = map[rousev1.Role]string{rousev1.Role_ROLE_OPERATOR: secret}
		return nil
	})
	w.ok(err)
	for _, app := range []string{"a", "b"} {
		_, err := cat.CreateApp(app, "", nil, now)
		w.ok(err)
		w.ok(cat.PutCredential(app, &rousev1.Credential{Name: "fcm-" + app, Vendor: &rousev1.Credential_Fcm{Fcm: &rousev1.FcmCredential{ServiceAccountJson: canary}}}, catalog.Put{}))
		w.keys[app] = make(map[rousev1.Role]string)
		for _, role := range []rousev1.Role{rousev1.Role_ROLE_INTAKE, rousev1.Role_ROLE_ADMIN, rousev1.Role_ROLE_VIEWER} {
			_, secret, err := cat.CreateKey(app, role, "", now)
			w.ok(err)
			w.keys[app][role] = secret
		}
	}
}

func (w *world) serve(o Options) {
	w.t.Helper()
	var err error
	w.Gateway, err = New(o)
	w.ok(err)
	served := make(chan error, 1)
	go func() { served <- w.Serve(context.Background()) }()
	w.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		if err := w.Stop(ctx); err != nil {
			w.t.Error(err)
		}
		if err := <-served; err != nil {
			w.t.Error(err)
		}
	})
	w.conn, err = grpc.NewClient(o.GRPC.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	w.ok(err)
	w.t.Cleanup(func() { w.conn.Close() })
	w.url = "http://" + o.HTTP.Addr().String()
}

func (w *world) listen() net.Listener {
	w.t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	w.ok(err)
	return l
}

func (w *world) ok(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) router() actors.Router {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.route
}

// routes changes what becomes of envelopes from now on.
func (w *world) routes(r actors.Router) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.route = r
}

func (w *world) setFull(full bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.full = full
}

// accept answers every command at once.
func accept(e *actors.Envelope) {
	reply := actors.Reply{Status: rousev1.ItemStatus_ITEM_STATUS_ACCEPTED}
	switch e.Command.(type) {
	case *rousev1.BindTokenRequest:
		reply.Response = &rousev1.BindTokenResponse{}
	case *rousev1.UnbindTokenRequest:
		reply.Response = &rousev1.UnbindTokenResponse{}
	case *rousev1.ListDevicesRequest:
		reply.Response = &rousev1.ListDevicesResponse{}
	case *rousev1.GetOfflineCountRequest:
		reply.Response = &rousev1.GetOfflineCountResponse{}
	case *rousev1.SetUserPolicyRequest:
		reply.Response = &rousev1.SetUserPolicyResponse{}
	case *rousev1.ListOutcomesRequest:
		reply.Response = &rousev1.ListOutcomesResponse{}
	case *rousev1.EraseUserRequest:
		reply.Response = &rousev1.EraseUserResponse{}
	}
	e.Done(reply)
}

// as is a context of a call with this key.
func (w *world) as(key string, headers ...string) context.Context {
	md := metadata.Pairs(append([]string{"authorization", "Bearer " + key}, headers...)...)
	return metadata.NewOutgoingContext(w.t.Context(), md)
}

// key of an app's role.
func (w *world) key(app string, role rousev1.Role) string { return w.keys[app][role] }

func (w *world) intakeKey() string { return w.key("a", rousev1.Role_ROLE_INTAKE) }
func (w *world) adminKey() string  { return w.key("a", rousev1.Role_ROLE_ADMIN) }
func (w *world) operator() string  { return w.key("", rousev1.Role_ROLE_OPERATOR) }

// answer is what a POST was answered with.
type answer struct {
	status int
	header http.Header
	body   string
	err    *rousev1.Error // nil when the body is no error
}

// post calls a method the way curl does.
func (w *world) post(key, method, body string, headers ...string) answer {
	w.t.Helper()
	r, err := http.NewRequestWithContext(w.t.Context(), http.MethodPost, w.url+method, strings.NewReader(body))
	w.ok(err)
	r.Header.Set("Content-Type", "application/json")
	if key != "" {
		r.Header.Set("Authorization", "Bearer "+key)
	}
	for i := 0; i < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	res, err := http.DefaultClient.Do(r)
	w.ok(err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	w.ok(err)
	a := answer{status: res.StatusCode, header: res.Header, body: string(text)}
	if res.StatusCode != http.StatusOK {
		a.err = jsonDetail(text)
	}
	return a
}

// jsonDetail finds the rouse.v1.Error in an error of Connect.
func jsonDetail(body []byte) *rousev1.Error {
	var e struct {
		Details []struct{ Type, Value string }
	}
	if json.Unmarshal(body, &e) != nil || len(e.Details) != 1 || e.Details[0].Type != "rouse.v1.Error" {
		return nil
	}
	raw, err := base64.RawStdEncoding.DecodeString(e.Details[0].Value)
	detail := &rousev1.Error{}
	if err != nil || proto.Unmarshal(raw, detail) != nil {
		return nil
	}
	return detail
}

// detail finds the rouse.v1.Error in an error of gRPC or of a Connect client.
func detail(err error) *rousev1.Error {
	if st, ok := status.FromError(err); ok {
		for _, d := range st.Details() {
			if e, ok := d.(*rousev1.Error); ok {
				return e
			}
		}
	}
	if ce, ok := errors.AsType[*connect.Error](err); ok {
		for _, d := range ce.Details() {
			if v, fault := d.Value(); fault == nil {
				if e, ok := v.(*rousev1.Error); ok {
					return e
				}
			}
		}
	}
	return nil
}

// wants fails the test unless err carries this code, a message, and no canary.
func wants(t testing.TB, got *rousev1.Error, code rousev1.ErrorCode) {
	t.Helper()
	if got.GetCode() != code || got.GetMessage() == "" || len(got.GetMessage()) > maxMessage {
		t.Errorf("got %v, want %s with a message", got, code)
	}
	if got.GetTemporary() != (code >= 100) {
		t.Errorf("%s: temporary is %t", code, got.GetTemporary())
	}
	if strings.Contains(protojson.Format(got), canary) {
		t.Errorf("%v shows a secret", got)
	}
}

func presence(user string) *rousev1.Event {
	return &rousev1.Event{Kind: &rousev1.Event_Presence{Presence: &rousev1.PresenceEvent{
		UserId: user, DeviceId: "phone", State: rousev1.SessionState_SESSION_STATE_CONNECTED, Session: 1,
	}}}
}

func message(id string, to ...string) *rousev1.Event {
	return &rousev1.Event{Kind: &rousev1.Event_Message{Message: &rousev1.MessageEvent{
		MessageId: id, Recipients: to, Content: &rousev1.Content{Title: canary, Body: canary},
	}}}
}

// vendorSays plays a vendor that judges by the channel id.
func vendorSays(c *rousev1.Credential) *rousev1.ValidateCredentialResponse {
	v := &rousev1.ValidateCredentialResponse{State: rousev1.CredentialState_CREDENTIAL_STATE_VALID, Method: "asked"}
	switch c.GetFcm().GetChannelId() {
	case "refused":
		v.State, v.Reason, v.VendorCode = rousev1.CredentialState_CREDENTIAL_STATE_INVALID, rousev1.Reason_REASON_CREDENTIAL_REJECTED, "invalid_grant"
	case "silent":
		v.State, v.Reason = rousev1.CredentialState_CREDENTIAL_STATE_UNREACHABLE, rousev1.Reason_REASON_VENDOR_TIMEOUT
	}
	return v
}
