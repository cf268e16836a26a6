package gateway

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

const (
	intakeRole   = rousev1.Role_ROLE_INTAKE
	adminRole    = rousev1.Role_ROLE_ADMIN
	viewerRole   = rousev1.Role_ROLE_VIEWER
	operatorRole = rousev1.Role_ROLE_OPERATOR
)

// allowed is written from the comments of the API, apart from the table in the code.
func allowed(service, method string, reads bool) []rousev1.Role {
	switch {
	case service == "IntakeService":
		return []rousev1.Role{intakeRole, adminRole, operatorRole}
	case service == "ClusterService", service == "BackupService", method == "CreateApp":
		return []rousev1.Role{operatorRole}
	case service == "AdminService" && reads:
		return []rousev1.Role{adminRole, viewerRole, operatorRole}
	case service == "AdminService" || method == "EraseUser":
		return []rousev1.Role{adminRole, operatorRole}
	case reads:
		return []rousev1.Role{intakeRole, adminRole, viewerRole, operatorRole}
	default:
		return []rousev1.Role{intakeRole, adminRole, operatorRole}
	}
}

// Every method of the API is called with every role, and without a key, over
// gRPC and over HTTP.
func TestRolesOfEveryMethod(t *testing.T) {
	w := newWorld(t)
	count := 0
	eachMethod(func(name string, m protoreflect.MethodDescriptor) {
		count++
		options := m.Options().(*descriptorpb.MethodOptions)
		reads := options.GetIdempotencyLevel() == descriptorpb.MethodOptions_NO_SIDE_EFFECTS
		want := allowed(string(m.Parent().Name()), string(m.Name()), reads)
		for _, role := range []rousev1.Role{intakeRole, adminRole, viewerRole, operatorRole} {
			key := w.key("a", role)
			if role == operatorRole {
				key = w.operator()
			}
			for via, err := range map[string]*rousev1.Error{"grpc": w.invoke(key, name, m), "http": w.post(key, name, "{}").err} {
				if (m.IsStreamingClient() || m.IsStreamingServer()) && via == "http" {
					continue // is no plain POST, see TestIngestOverConnect and TestBackupOverConnect
				}
				denied := err.GetCode() == rousev1.ErrorCode_ERROR_CODE_PERMISSION_DENIED
				if denied == slices.Contains(want, role) {
					t.Errorf("%s by %s over %s: %v", name, role, via, err)
				}
			}
		}
		wants(t, w.invoke("", name, m), rousev1.ErrorCode_ERROR_CODE_UNAUTHENTICATED)
		wants(t, w.invoke("rk_"+canary, name, m), rousev1.ErrorCode_ERROR_CODE_UNAUTHENTICATED)
		wants(t, w.post("", name, `{"x":`).err, rousev1.ErrorCode_ERROR_CODE_UNAUTHENTICATED)
	})
	if count != len(methods) {
		t.Errorf("the API has %d methods, the table of roles %d", count, len(methods))
	}
}

// invoke calls any method over gRPC with an empty request.
func (w *world) invoke(key, name string, m protoreflect.MethodDescriptor) *rousev1.Error {
	w.t.Helper()
	if !m.IsStreamingClient() {
		return detail(w.conn.Invoke(w.as(key), name, w.inputs[name].New().Interface(), &rousev1.Error{}))
	}
	stream, err := w.conn.NewStream(w.as(key), &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}, name)
	w.ok(err)
	w.ok(stream.CloseSend())
	err = stream.RecvMsg(&rousev1.IngestResponse{})
	if err == nil || errors.Is(err, io.EOF) {
		return nil
	}
	return detail(err)
}

func TestAppsAreApart(t *testing.T) {
	w := newWorld(t)
	before := len(w.Catalog.ListKeys("b"))
	for _, c := range []struct{ method, body string }{
		{rousev1.AdminService_GetApp_FullMethodName, `{"appId":"b"}`},
		{rousev1.AdminService_UpdateApp_FullMethodName, `{"appId":"b","displayName":"mine"}`},
		{rousev1.AdminService_ListCredentials_FullMethodName, `{"appId":"b"}`},
		{rousev1.AdminService_PutCredential_FullMethodName, `{"appId":"b","credential":{"name":"x","fcm":{"serviceAccountJson":"{}"}}}`},
		{rousev1.AdminService_DeleteCredential_FullMethodName, `{"appId":"b","name":"fcm-b"}`},
		{rousev1.AdminService_CreateApiKey_FullMethodName, `{"appId":"b","role":"ROLE_ADMIN"}`},
		{rousev1.AdminService_ListApiKeys_FullMethodName, `{"appId":"b"}`},
		{rousev1.AdminService_RevokeApiKey_FullMethodName, `{"appId":"b","keyId":"0123456789abcdef"}`},
	} {
		other := w.post(w.adminKey(), c.method, c.body)
		wants(t, other.err, rousev1.ErrorCode_ERROR_CODE_PERMISSION_DENIED)
		none := w.post(w.adminKey(), c.method, strings.Replace(c.body, `"b"`, `"none"`, 1))
		if !proto.Equal(other.err, none.err) {
			t.Errorf("%s tells whether an app exists: %v, %v", c.method, other.err, none.err)
		}
	}
	wants(t, w.post(w.adminKey(), rousev1.UserService_EraseUser_FullMethodName, `{"userId":"u"}`, "Rouse-App", "b").err, rousev1.ErrorCode_ERROR_CODE_PERMISSION_DENIED)
	if a := w.post(w.adminKey(), rousev1.AdminService_ListApps_FullMethodName, `{}`); a.status != http.StatusOK || jsonApps(t, a.body) != "a" {
		t.Errorf("apps shown: %s", a.body)
	}
	if app, _ := w.Catalog.App("b"); app.Info().GetDisplayName() != "" || len(app.CredentialNames()) != 1 || len(w.Catalog.ListKeys("b")) != before {
		t.Error("app b was changed")
	}
}

func jsonApps(t *testing.T, body string) string {
	t.Helper()
	response := &rousev1.ListAppsResponse{}
	if err := protojson.Unmarshal([]byte(body), response); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	var ids []string
	for _, app := range response.GetApps() {
		ids = append(ids, app.GetAppId())
	}
	return strings.Join(ids, " ")
}

func TestKeysOfHigherRoles(t *testing.T) {
	w := newWorld(t)
	create := rousev1.AdminService_CreateApiKey_FullMethodName
	wants(t, w.post(w.adminKey(), create, `{"role":"ROLE_OPERATOR"}`).err, rousev1.ErrorCode_ERROR_CODE_PERMISSION_DENIED)
	wants(t, w.post(w.operator(), create, `{"role":"ROLE_ADMIN"}`).err, rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT)
	wants(t, w.post(w.operator(), create, `{"role":"ROLE_OPERATOR","appId":"a"}`).err, rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT)
	wants(t, w.post(w.operator(), create, `{"appId":"a"}`).err, rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT)
	wants(t, w.post(w.operator(), create, `{"role":"ROLE_ADMIN","appId":"none"}`).err, rousev1.ErrorCode_ERROR_CODE_NOT_FOUND)
	for _, body := range []string{`{"role":"ROLE_OPERATOR"}`, `{"role":"ROLE_VIEWER","appId":"b"}`} {
		if a := w.post(w.operator(), create, body); a.status != http.StatusOK {
			t.Errorf("%s: %s", body, a.body)
		}
	}
}

// Only an operator bans a credential and lifts the ban; nobody gets around it.
func TestBan(t *testing.T) {
	w := newWorld(t)
	put, remove := rousev1.AdminService_PutCredential_FullMethodName, rousev1.AdminService_DeleteCredential_FullMethodName
	body := func(banned bool) string {
		return fmt.Sprintf(`{"appId":"a","credential":{"name":"x","banned":%v,"fcm":{"serviceAccountJson":"{}"}}}`, banned)
	}
	wants(t, w.post(w.adminKey(), put, body(true)).err, rousev1.ErrorCode_ERROR_CODE_PERMISSION_DENIED)
	for _, step := range []struct {
		key, method, body string
		may               bool
	}{
		{w.adminKey(), put, body(false), true},
		{w.adminKey(), put, body(true), false},
		{w.operator(), put, body(true), true},
		{w.adminKey(), put, body(true), true},
		{w.adminKey(), put, body(false), false},
		{w.adminKey(), remove, `{"name":"x"}`, false},
		{w.operator(), put, body(false), true},
		{w.adminKey(), remove, `{"name":"x"}`, true},
	} {
		a := w.post(step.key, step.method, step.body)
		if step.may && a.status != http.StatusOK {
			t.Errorf("%s %s: %s", step.method, step.body, a.body)
		}
		if !step.may {
			wants(t, a.err, rousev1.ErrorCode_ERROR_CODE_PERMISSION_DENIED)
		}
	}
}

func TestOperatorNamesTheApp(t *testing.T) {
	w := newWorld(t)
	list := rousev1.DeviceService_ListDevices_FullMethodName
	wants(t, w.post(w.operator(), list, `{"userId":"u"}`).err, rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT)
	wants(t, w.post(w.operator(), list, `{"userId":"u"}`, "Rouse-App", "none").err, rousev1.ErrorCode_ERROR_CODE_NOT_FOUND)
	if a := w.post(w.operator(), list, `{"userId":"u"}`, "Rouse-App", "b"); a.status != http.StatusOK {
		t.Error(a.body)
	}
	if a := w.post(w.operator(), rousev1.AdminService_ListApps_FullMethodName, `{}`); jsonApps(t, a.body) != "a b" {
		t.Errorf("apps shown: %s", a.body)
	}
}

func TestRevokedKeyIsRefusedAtOnce(t *testing.T) {
	w := newWorld(t)
	who, err := w.Catalog.Authenticate(w.key("a", viewerRole))
	w.ok(err)
	if a := w.post(w.adminKey(), rousev1.AdminService_RevokeApiKey_FullMethodName, `{"keyId":"`+who.KeyID+`"}`); a.status != http.StatusOK {
		t.Fatal(a.body)
	}
	wants(t, w.post(w.key("a", viewerRole), rousev1.AdminService_GetApp_FullMethodName, `{}`).err, rousev1.ErrorCode_ERROR_CODE_UNAUTHENTICATED)
}

func TestRateOfOneKey(t *testing.T) {
	w := newWorld(t, func(o *Options) { o.CallsPerSecond, o.Burst = 1, 3 })
	get := rousev1.AdminService_GetApp_FullMethodName
	for i := range 3 {
		if a := w.post(w.adminKey(), get, `{}`); a.status != http.StatusOK {
			t.Fatalf("call %d: %s", i, a.body)
		}
	}
	a := w.post(w.adminKey(), get, `{}`)
	wants(t, a.err, rousev1.ErrorCode_ERROR_CODE_RATE_LIMITED)
	if a.status != http.StatusTooManyRequests {
		t.Errorf("status %d", a.status)
	}
	if a := w.post(w.key("b", adminRole), get, `{}`); a.status != http.StatusOK {
		t.Errorf("another key: %s", a.body)
	}
}
