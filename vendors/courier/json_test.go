package courier

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestJSON(t *testing.T) {
	if got := string(JSON(map[string]any{"a": "<&>", "b": 1})); got != `{"a":"<&>","b":1}` {
		t.Errorf("got %s", got)
	}
	if got := JSON(func() {}); got != nil {
		t.Errorf("got %s", got)
	}
}

func TestID(t *testing.T) {
	for raw, want := range map[string]string{
		`"0:1%2a-b"`: "0:1%2a-b", `""`: "", `7`: "", `null`: "", `{"a":1}`: "",
		`"hello Ann"`: "", `"值"`: "", `"a\u0000b"`: "",
		`"` + strings.Repeat("x", 200) + `"`: strings.Repeat("x", 128),
	} {
		var id ID
		if err := json.Unmarshal([]byte(raw), &id); err != nil || string(id) != want {
			t.Errorf("%.20s: %q, %v", raw, id, err)
		}
	}
}
