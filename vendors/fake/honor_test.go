package fake

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

const goodHonor = `{"data":"{\"m\":\"1\"}","notification":{"title":"t","body":"b"},"android":{"ttl":"60s","notification":` +
	`{"importance":"LOW","clickAction":{"type":3},"badge":{"setNum":0,"badgeClass":"c"}}},"token":["a"]}`

// TestHonorStrict spoils a good body in one place each.
func TestHonorStrict(t *testing.T) {
	for _, c := range []struct{ code, old, new string }{
		{"", "", ""},
		{"80300010", `["a"]`, `[]`},
		{"80300010", `["a"]`, `["a","b","c"]`},
		{"80300008", `"title":"t"`, `"title":"` + strings.Repeat("t", 4096) + `"`},
		{"80100003", `"title":"t"`, `"title":""`},
		{"80100003", `"body":"b"`, `"text":"b"`},
		{"80100003", `"body":"b"`, `"body":"b","image":"https://x/1.png"`},
		{"80100003", `"LOW"`, `"HIGH"`},
		{"80100003", `"type":3`, `"type":1`},
		{"80100003", `"type":3`, `"type":4`},
		{"80100003", `"setNum":0`, `"setNum":100`},
		{"80100003", `"setNum":0`, `"addNum":0`},
		{"80100003", `,"badgeClass":"c"`, ``},
		{"80100003", `"importance"`, `"style":1,"importance"`},
		{"80100003", `"data":"{`, `"data":"`},
		{"80100004", `"60s"`, `"60"`},
		{"80100004", `"60s"`, `"1296001s"`},
	} {
		m, refusal := parseHonor([]byte(strings.Replace(goodHonor, c.old, c.new, 1)), 2)
		got := ""
		if refusal != nil {
			got = refusal.code
		}
		if got != c.code {
			t.Errorf("%.40q for %.40q: got %q, want %q", c.new, c.old, got, c.code)
		}
		if got == "" && (m.push.Data["m"] != "1" || m.ttl != time.Minute || m.push.Bytes != len(goodHonor)-len(`"a"`)) {
			t.Errorf("read back as %+v", m)
		}
	}
}

func TestHonorTimestamp(t *testing.T) {
	now := time.UnixMilli(1_563_105_451_261)
	for stamp, want := range map[string]bool{
		"1563105451261": true, "1563105451": false, "": false, "1563105751262": false, "1563105751261": true,
	} {
		r := &http.Request{Header: http.Header{"Timestamp": {stamp}, "Content-Type": {"application/json"}}}
		if got := checkHonorHeader(r, now) == nil; got != want {
			t.Errorf("%q: %t", stamp, got)
		}
	}
}

func TestHonorTakes(t *testing.T) {
	h := NewHonor(HonorOptions{PerSecond: 4})
	for _, token := range []string{"good", "dead", "weak"} {
		h.AddDevice(token)
	}
	h.Unregister("dead")
	h.FailNext("weak", 1)
	m := honorMessage{tokens: []string{"good", "dead", "weak"}, push: HonorPush{}}
	a := h.take(m, "1", "id", time.Unix(1000, 0))
	if !a.sent || len(a.expired) != 1 || a.expired[0] != "dead" || len(a.failed) != 1 || a.failed[0] != "weak" {
		t.Errorf("got %+v", a)
	}
	if a = h.take(m, "1", "id", time.Unix(1000, 0)); a.http != 503 {
		t.Errorf("beyond the rate: %+v", a)
	}
	if a = h.take(m, "1", "id", time.Unix(1001, 0)); len(a.failed) != 0 || len(a.expired) != 1 {
		t.Errorf("a second later: %+v", a)
	}
}
