package gateway

import (
	"bytes"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/reflect/protoregistry"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// FuzzJSON posts any body to any unary method, as an operator acting for an app:
// the answer is the method's response or a rouse.v1.Error, and never a crash.
func FuzzJSON(f *testing.F) {
	w := newWorld(f)
	var names []string
	outputs := make(map[string]protoreflect.MethodDescriptor)
	eachMethod(func(name string, m protoreflect.MethodDescriptor) {
		if !m.IsStreamingClient() && !m.IsStreamingServer() {
			names = append(names, name)
			outputs[name] = m
		}
	})
	slices.Sort(names)
	for i := range names {
		f.Add(uint8(i), []byte(`{}`))
		f.Add(uint8(i), []byte(`{"userId":"u","deviceId":"d","appId":"a","name":"fcm-a"}`))
	}
	f.Add(uint8(0), []byte(`{"events":[{"message":{"messageId":"m","recipients":["a","b"],"sentAt":"2026-11-23T00:00:00Z","ttl":"5s"}}]}`))
	f.Add(uint8(0), []byte(`{"role":"ROLE_ADMIN","credential":{"name":"x","apns":{"bundleId":"b"}},"settings":{"defaultTtl":"1s"}}`))
	f.Add(uint8(0), []byte("{\"userId\":\"\\u0000\",\"x\xff\":[[[{}]]]}"))
	f.Fuzz(func(t *testing.T, which uint8, body []byte) {
		name := names[int(which)%len(names)]
		r := httptest.NewRequest(http.MethodPost, name, bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+w.operator())
		r.Header.Set("Rouse-App", "a")
		recorder := httptest.NewRecorder()
		w.http.Handler.ServeHTTP(recorder, r)
		if recorder.Code == http.StatusOK {
			response := outputType(t, outputs[name]).New().Interface()
			if err := protojson.Unmarshal(recorder.Body.Bytes(), response); err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			return
		}
		wants(t, jsonDetail(recorder.Body.Bytes()), jsonDetail(recorder.Body.Bytes()).GetCode())
		if jsonDetail(recorder.Body.Bytes()).GetCode() == rousev1.ErrorCode_ERROR_CODE_INTERNAL {
			t.Fatalf("%s: %s", name, recorder.Body)
		}
	})
}

// FuzzJSONFault puts a secret anywhere into a body: no refusal may show it.
func FuzzJSONFault(f *testing.F) {
	for _, body := range []string{`{"token":"?"`, `{"token":?}`, `{"token":{"?":1}}`, `?`, `{"token":["?"]}`, `{"device":"?"}`, `{"device":{"platform":"?"}}`} {
		f.Add(body)
	}
	const secret = "s3cr3t value" // a space cannot be in the name of a field
	f.Fuzz(func(t *testing.T, body string) {
		body = strings.ReplaceAll(body, "?", secret)
		if !strings.Contains(body, secret) {
			return
		}
		err := strictJSON{}.Unmarshal([]byte(body), &rousev1.BindTokenRequest{})
		if err != nil && strings.Contains(err.Error(), secret) {
			t.Fatal(err)
		}
	})
}

func outputType(t *testing.T, m protoreflect.MethodDescriptor) protoreflect.MessageType {
	t.Helper()
	output, err := protoregistry.GlobalTypes.FindMessageByName(m.Output().FullName())
	if err != nil {
		t.Fatal(err)
	}
	return output
}
