package fake

import (
	"net/http"
	"strings"
	"testing"
	"time"
)

const (
	goodHMS = `{"message":{"data":"{\"m\":\"1\"}","notification":{"title":"t","body":"b"},"android":{"category":"IM","ttl":"60s",` +
		`"notification":{"click_action":{"type":3},"importance":"NORMAL","badge":{"set_num":0,"class":"c"}}},"token":["a"]}}`
	goodHarmony = `{"payload":{"notification":{"category":"IM","title":"t","body":"b","clickAction":{"actionType":0,"data":{"m":"1"}},` +
		`"badge":{"addNum":1},"notifyId":7,"appMessageId":"x-1"}},"target":{"token":["a"]},"pushOptions":{"ttl":60}}`
)

// TestHuaweiStrict spoils a good body in one place each.
func TestHuaweiStrict(t *testing.T) {
	for _, c := range []struct{ code, old, new string }{
		{"", "", ""},
		{"80300010", `["a"]`, `[]`},
		{"80300010", `["a"]`, `["a"` + strings.Repeat(`,"a"`, 1000) + `]`},
		{"80300008", `"title":"t"`, `"title":"` + strings.Repeat("t", 4096) + `"`},
		{"80100003", `"title":"t"`, `"title":""`},
		{"80100003", `"body":"b"`, `"text":"b"`},
		{"80100003", `"category":"IM"`, `"category":"CHAT"`},
		{"80100003", `"click_action":{"type":3}`, `"click_action":{"type":1}`},
		{"80100003", `"click_action":{"type":3},`, ``},
		{"80100003", `"set_num":0`, `"set_num":100`},
		{"80100003", `,"class":"c"`, ``},
		{"80100003", `"data":"{`, `"data":"`},
		{"80300011", `"NORMAL"`, `"HIGH"`},
		{"80100001", `"60s"`, `"1296001s"`},
		{"80100001", `"60s"`, `"soon"`},
		{"80100013", `"ttl":"60s"`, `"collapse_key":101,"ttl":"60s"`},
		{"80100003", `"actionType":0`, `"actionType":1`},
		{"80100003", `"addNum":1`, `"addNum":0`},
		{"80100003", `"notifyId":7`, `"notifyId":-1`},
		{"80100003", `"x-1"`, `"x.1"`},
		{"80100003", `"category":"IM"`, `"category":"PLAY_VOICE"`},
		{"80100003", `"ttl":60`, `"ttl":1296001`},
	} {
		for api, parse := range map[string]huaweiParser{goodHMS: parseHMS, goodHarmony: parseHarmony} {
			if !strings.Contains(api, c.old) {
				continue
			}
			r := &http.Request{Header: http.Header{"Content-Type": {"application/json"}, "Push-Type": {"0"}}}
			m, refusal := parse(r, []byte(strings.Replace(api, c.old, c.new, 1)), &HuaweiOptions{})
			got := ""
			if refusal != nil {
				got = refusal.code
			}
			if got != c.code {
				t.Errorf("%.40q for %.40q: got %q, want %q", c.new, c.old, got, c.code)
			}
			if got == "" && (m.push.Data["m"] != "1" || m.ttl != time.Minute || m.push.Bytes != len(api)-len(`"a"`)) {
				t.Errorf("read back as %+v", m)
			}
		}
	}
}

func TestHuaweiBadgeRules(t *testing.T) {
	one, seven := 1, 7
	d := &huaweiDevice{}
	for _, c := range []struct {
		api   string
		badge *HuaweiBadge
		want  int
	}{
		{"hms", nil, 1},
		{"hms", &HuaweiBadge{Add: &one}, 2},
		{"harmony", nil, 2},
		{"hms", &HuaweiBadge{Add: &one, Set: &seven}, 7},
		{"harmony", &HuaweiBadge{Add: &one}, 8},
	} {
		if d.record(HuaweiPush{API: c.api, Badge: c.badge}, 9); d.Badge != c.want {
			t.Errorf("%+v: badge %d", c, d.Badge)
		}
	}
}

func TestHuaweiFlow(t *testing.T) {
	h := NewHuawei(HuaweiOptions{PerSecond: 2, AnyDevice: true})
	now := time.Unix(1000, 0)
	m := huaweiMessage{tokens: []string{"a", "b"}, push: HuaweiPush{API: "hms"}}
	for i, want := range []int{200, 503} {
		if got := h.take(m, "1", "id", now).http; got != want {
			t.Errorf("call %d: HTTP %d, want %d", i, got, want)
		}
	}
	if got := h.take(m, "1", "id", now.Add(time.Second)).http; got != 200 {
		t.Errorf("a second later: HTTP %d", got)
	}
}
