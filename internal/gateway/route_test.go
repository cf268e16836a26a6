package gateway

import (
	"fmt"
	"testing"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// Only an operator leads a credential's calls elsewhere; its admins may replace
// the secrets of one that an operator led there.
func TestOnlyOperatorsLeadElsewhere(t *testing.T) {
	w := newWorld(t)
	for name, body := range map[string]string{
		"endpoint":          `{"name":"new","meizu":{"appId":"1","appSecret":"s","endpoint":"https://10.0.0.1"}}`,
		"ca_pem":            `{"name":"new","meizu":{"appId":"1","appSecret":"s","caPem":"roots"}}`,
		"auth_endpoint":     `{"name":"new","honor":{"appId":"1","clientId":"1","clientSecret":"s","authEndpoint":"https://10.0.0.1"}}`,
		"overseas_endpoint": `{"name":"new","oppo":{"appKey":"1","masterSecret":"s","overseasEndpoint":"https://10.0.0.1"}}`,
		"token_uri":         `{"name":"new","fcm":{"serviceAccountJson":"{\"token_uri\":\"https://10.0.0.1/x\"}"}}`,
	} {
		for _, method := range []string{"PutCredential", "ValidateCredential"} {
			if got := w.post(w.adminKey(), adminService+method, `{"credential":`+body+`}`); got.err.GetCode() != rousev1.ErrorCode_ERROR_CODE_PERMISSION_DENIED {
				t.Errorf("%s with %s: %v", method, name, got)
			}
		}
	}
	put := func(secret string) string {
		return fmt.Sprintf(`{"credential":{"name":"new","meizu":{"appId":"1","appSecret":%q,"endpoint":"https://10.0.0.1"}}}`, secret)
	}
	if a := w.post(w.operator(), adminService+"PutCredential", put("s"), "rouse-app", "a"); a.err != nil {
		t.Fatal(a)
	}
	if a := w.post(w.adminKey(), adminService+"PutCredential", put("another")); a.err != nil {
		t.Error("another secret at the operator's endpoint: ", a)
	}
	file := `{"credential":{"name":"google","fcm":{"serviceAccountJson":"{\"token_uri\":\"https://oauth2.googleapis.com/token\"}"}}}`
	if a := w.post(w.adminKey(), adminService+"PutCredential", file); a.err != nil {
		t.Error("Google's own token_uri: ", a)
	}
}
