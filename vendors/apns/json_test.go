package apns

import (
	"bytes"
	"encoding/json"
	"testing"

	"pgregory.net/rapid"

	"github.com/rouse-im/rouse/vendors"
)

// The payload is what encoding/json makes of the same content, to the byte.
func TestEncodeAsTheStandardLibrary(t *testing.T) {
	nasty := rapid.Map(rapid.SliceOf(rapid.OneOf(
		rapid.SampledFrom([]string{"\"", "\\", "\n", "\b", "\f", "\x00", "\x1f", "\x7f", "<", ">", "&", "\u2028", "\u2029", "\ufffd", "\xff", "\xe4\xb8", "名", "🧑‍🚀"}),
		rapid.String())), func(parts []string) string {
		s := ""
		for _, p := range parts {
			s += p
		}
		return s
	})
	rapid.Check(t, func(t *rapid.T) {
		n := &vendors.Notification{Channel: vendors.ChannelAlert, Data: map[string]string{}}
		for range rapid.IntRange(0, 4).Draw(t, "peers") {
			n.Data["k"+nasty.Draw(t, "key")] = nasty.Draw(t, "value")
		}
		text := &alert{Title: nasty.Draw(t, "title"), Subtitle: nasty.Draw(t, "subtitle"), Body: nasty.Draw(t, "body")}
		a := &aps{Sound: nasty.Draw(t, "sound"), ThreadID: nasty.Draw(t, "thread"), MutableContent: rapid.IntRange(0, 1).Draw(t, "mutable")}
		if *text != (alert{}) {
			a.Alert = text
		}
		if rapid.Bool().Draw(t, "with badge") {
			badge := rapid.IntRange(0, 9999).Draw(t, "badge")
			a.Badge = &badge
		}
		if got, want := encode(a, n), standard(t, a, n); !bytes.Equal(got, want) {
			t.Fatalf("\n got %s\nwant %s", got, want)
		}
	})
}

func standard(t *rapid.T, a *aps, n *vendors.Notification) []byte {
	type text struct {
		Title    string `json:"title,omitempty"`
		Subtitle string `json:"subtitle,omitempty"`
		Body     string `json:"body,omitempty"`
	}
	type apple struct {
		Alert          *text  `json:"alert,omitempty"`
		Badge          *int   `json:"badge,omitempty"`
		Sound          string `json:"sound,omitempty"`
		ThreadID       string `json:"thread-id,omitempty"`
		Category       string `json:"category,omitempty"`
		MutableContent int    `json:"mutable-content,omitempty"`
	}
	out, err := json.Marshal(map[string]any{"aps": apple{(*text)(a.Alert), a.Badge, a.Sound, a.ThreadID, a.Category, a.MutableContent}})
	if err != nil {
		t.Fatal(err)
	}
	if len(n.Data) == 0 {
		return out
	}
	peers, err := json.Marshal(n.Data)
	if err != nil {
		t.Fatal(err)
	}
	peers[0] = ','
	return append(out[:len(out)-1], peers...)
}
