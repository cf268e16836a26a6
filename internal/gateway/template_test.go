package gateway

import (
	"strings"
	"testing"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// The built-in templates are always there: they can be replaced, and deleting
// one restores it.
func TestRow53Templates(t *testing.T) {
	w := newWorld(t)
	call := func(method, body string) answer { return w.post(w.adminKey(), adminService+method, body) }
	list := func() string {
		t.Helper()
		a := call("ListTemplates", "{}")
		if a.err != nil {
			t.Fatal(a)
		}
		return a.body
	}
	if s := list(); !strings.Contains(s, `"default"`) || !strings.Contains(s, `"detail"`) || !strings.Contains(s, "{$dynamicFrom}: {$msg}") {
		t.Errorf("at first: %s", s)
	}
	for _, name := range []string{"detail", "order"} {
		if a := call("PutTemplate", `{"template":{"name":"`+name+`","texts":{"":{"contentPattern":"mine {0}"}}}}`); a.err != nil || a.status != 200 {
			t.Fatal(a)
		}
	}
	if s := list(); strings.Count(s, "mine {0}") != 2 || strings.Count(s, `"detail"`) != 1 || strings.Contains(s, "{$dynamicFrom}: {$msg}") {
		t.Errorf("replaced: %s", s)
	}
	for range 2 { // again changes nothing
		if a := call("DeleteTemplate", `{"name":"detail"}`); a.err != nil || a.status != 200 {
			t.Fatal(a)
		}
	}
	if s := list(); strings.Count(s, "mine {0}") != 1 || !strings.Contains(s, "{$dynamicFrom}: {$msg}") {
		t.Errorf("restored: %s", s)
	}
	wants(t, call("DeleteTemplate", `{"name":"never"}`).err, rousev1.ErrorCode_ERROR_CODE_NOT_FOUND)
}

func TestPutTemplateRefuses(t *testing.T) {
	w := newWorld(t)
	for _, c := range []struct{ texts, want string }{
		{`{"en":{"contentPattern":"{$from}"}}`, "{$fromNickname}"},
		{`{"en":{"contentPattern":"{16}"}}`, "at most 16"},
		{`{"not a language":{"contentPattern":"x"}}`, "BCP 47"},
		{`{"en":{}}`, "say nothing"},
		{`{}`, "texts"},
	} {
		a := w.post(w.adminKey(), adminService+"PutTemplate", `{"template":{"name":"t","texts":`+c.texts+`}}`)
		wants(t, a.err, rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT)
		if !strings.Contains(a.err.GetMessage(), c.want) {
			t.Errorf("%s: %q does not say %q", c.texts, a.err.GetMessage(), c.want)
		}
	}
	if app, _ := w.Catalog.App("a"); len(app.TemplateNames()) != 0 {
		t.Error("a refused template was stored")
	}
}
