package vendortest

import (
	"flag"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rouse-im/rouse/vendors"
)

var update = flag.Bool("update", false, "rewrite the golden requests")

// golden compares a request with testdata/golden/<protocol>_<name>.txt of the
// vendor's package. The clock of a bubble stands still, so the bytes are the
// same each time.
func golden(name string, change func(*vendors.Notification)) func(*testing.T, *probe) {
	return func(t *testing.T, p *probe) {
		n := p.push()
		n.Title, n.Body, n.Data = "Ann", "hi <there> & 你好 👍", map[string]string{"m": "m1", "k": "a&b=c"}
		change(n)
		Golden(t, filepath.Join("testdata", "golden", p.h.Protocol+"_"+name+".txt"), p.accepted(t, n).Wire+"\n")
	}
}

// testOverride: fields that the vendor lacks have no effect.
func testOverride(t *testing.T, p *probe) {
	golden("override", func(n *vendors.Notification) { n.Override = p.h.Override })(t, p)
	all := reflect.ValueOf(&vendors.Override{
		Category: "x", ChannelID: "x", ClickAction: "x", Importance: "x", NotifyLevel: 1, ReceiptID: "x",
		NotifyID: 1, Test: true, Public: true, MutableContent: true, ContentAvailable: true, AnalyticsLabel: "x",
	}).Elem()
	plain := p.push()
	for i := range all.NumField() {
		if !reflect.ValueOf(p.h.Override).Field(i).IsZero() {
			continue
		}
		n := *plain
		n.Token = p.NewToken()
		reflect.ValueOf(&n.Override).Elem().Field(i).Set(all.Field(i))
		same := *plain
		same.Token = n.Token
		if with, without := p.accepted(t, &n).Wire, p.accepted(t, &same).Wire; with != without {
			t.Errorf("%s has an effect that the harness does not name:\n%s\n%s", all.Type().Field(i).Name, without, with)
		}
	}
}

// Golden compares got with the file, which -update rewrites.
func Golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", path, diff)
	}
}

func goldenFull(n *vendors.Notification) vendors.Notification {
	full := *n
	full.Subtitle, full.Sound, full.ImageURL = "Team", "default", "https://pictures.example/1.png"
	full.ThreadID, full.CollapseID, full.Badge = "conv42", "c42", 7
	return full
}

// kind sends a push of class with a category of its own and compares what the
// vendor is told.
func (p *probe) kind(t *testing.T, class vendors.Class, own, want string) {
	t.Helper()
	n := p.push()
	n.Class, n.Category = class, own
	if got := p.accepted(t, n); got.Kind != want || got.Title != n.Title || got.Body != n.Body {
		t.Errorf("on the wire: %q with %q, want %q", got.Kind, got.Title, want)
	}
}
