package user

import (
	"encoding/hex"
	"strings"
	"testing"
	"time"
	"unsafe"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/rouse-im/rouse/actors/user/quiet"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// typical is a user with an iPhone, an Android phone and a desktop.
func typical() *State {
	return &State{Known: true, Days: [2]uint16{20513, 20512}, Devices: []Device{
		{
			ID: "6F1C2B7E-58A4-4B0E-9C55-0D1E2F3A4B5C", Info: Info{Platform: rousev1.Platform_PLATFORM_IOS, Package: "com.example.chat", Version: "8.1.0", Lang: "zh-Hans-CN", Zone: "Asia/Shanghai"},
			State: disconnected, Session: 1767000000123, Step: 3, LastSeen: 1767000000, Count: 12,
			Bindings: []Binding{{Notifier: "apns-prod", Sealed: strings.Repeat("x", 1+32+33), Sum: Sum{1}, BoundAt: 1767000000123}},
		},
		{
			ID: "a81b9f0c33d24e57", Info: Info{Platform: rousev1.Platform_PLATFORM_ANDROID, Brand: "google", Package: "com.example.chat", Version: "8.1.0", Lang: "en-GB", Zone: "Europe/London"},
			State: background, Node: "im-3", Inc: 1767000000000000000, Session: 1767000000123, Step: 3, LastSeen: 1767000000, Count: 12,
			Bindings: []Binding{{Notifier: "fcm", Sealed: strings.Repeat("y", 1+142+33), Sum: Sum{2}, BoundAt: 1767000000123}},
		},
		{ID: "desktop-1", Info: Info{Platform: rousev1.Platform_PLATFORM_DESKTOP}, State: loggedOut, Session: 1767000000123, Step: 1, LastSeen: 1767000000},
	}}
}

func TestRecordSize(t *testing.T) {
	if n := len(typical().Encode(nil)); n > 600 {
		t.Errorf("a user with 3 devices takes %d bytes, at most 600 are planned for", n)
	} else {
		t.Logf("%d bytes", n)
	}
}

const goldenRecord = "080112430a016410021a01622201702a017632016c3a017a40034a016e500458056006680770087a1e0a01661201731a1009000000000000000000000000000000200a283c300b180420a09c0128a0a0858105"

// A ledger adds six bytes, and only where there is one.
func TestRecordOfALedger(t *testing.T) {
	s := &State{Known: true, Devices: []Device{{ID: "d", Bindings: []Binding{{Notifier: "f", Marketing: Ledger{Day: 20513, Count: 2}}}}}}
	const want = "080112200a01647a1b0a01661a1000000000000000000000000000000000388280848105"
	if got := hex.EncodeToString(s.Encode(nil)); got != want {
		t.Errorf("the form of the record changed:\n got %s\nwant %s", got, want)
	}
}

// The bytes on disk must stay readable for ever.
func TestRecordGolden(t *testing.T) {
	s := &State{
		Known: true, Days: [2]uint16{20513, 20512}, Policy: Policy{Kind: rousev1.MultiDevicePolicy_MULTI_DEVICE_POLICY_AWAY_DELAY, Delay: 20 * time.Second},
		Devices: []Device{{
			ID: "d", Info: Info{Platform: 2, Brand: "b", Package: "p", Version: "v", Lang: "l", Zone: "z"}, State: 3, Node: "n", Inc: 4, Session: 5, Step: 6, LastSeen: 7, Count: 8,
			Bindings: []Binding{{Notifier: "f", Sealed: "s", Sum: Sum{9}, BoundAt: 10, LastReason: 60, LastAt: 11}},
		}},
	}
	got := hex.EncodeToString(s.Encode(nil))
	if got != goldenRecord {
		t.Errorf("the form of the record changed:\n got %s\nwant %s", got, goldenRecord)
	}
}

func TestRecordRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		s := drawState(t)
		scratch := typical() // decoding reuses memory: nothing old may shine through
		scratch.Settings = Settings{Mode: 1, Zone: "old", Windows: []quiet.Window{{Start: 1, End: 2}}, HideContent: true}
		scratch.Conversations = 7
		if err := scratch.Decode(string(s.Encode(nil))); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(s, scratch, cmpopts.EquateEmpty(), cmp.AllowUnexported(Pending{})); diff != "" {
			t.Fatal(diff)
		}
	})
}

func drawState(t *rapid.T) *State {
	str := rapid.StringN(0, 12, 24)
	s := &State{Known: true}
	s.Days = [2]uint16{rapid.Uint16().Draw(t, "day"), rapid.Uint16().Draw(t, "day before")}
	s.Policy = Policy{Kind: rousev1.MultiDevicePolicy(rapid.IntRange(0, 4).Draw(t, "policy")), Delay: time.Duration(rapid.IntRange(0, 3600).Draw(t, "delay")) * time.Second}
	if rapid.Bool().Draw(t, "has settings") {
		s.Settings = Settings{
			Mode: rousev1.NotifyMode(rapid.IntRange(0, 6).Draw(t, "mode")), QuietUntil: rapid.Int64Min(0).Draw(t, "quiet until"),
			Zone: str.Draw(t, "zone"), Nickname: str.Draw(t, "nickname"), HideContent: rapid.Bool().Draw(t, "hide"),
		}
		for range rapid.IntRange(0, MaxWindows).Draw(t, "windows") {
			s.Settings.Windows = append(s.Settings.Windows, quiet.Unpack(rapid.Uint32().Draw(t, "window")&(1<<31-1)))
		}
		s.Conversations = rapid.Uint32().Draw(t, "conversations")
	}
	for range rapid.IntRange(0, 4).Draw(t, "devices") {
		d := Device{
			ID: str.Draw(t, "id"), State: rousev1.SessionState(rapid.IntRange(0, 5).Draw(t, "state")), Node: str.Draw(t, "node"),
			Inc: rapid.Uint64().Draw(t, "inc"), Session: rapid.Uint64().Draw(t, "session"), Step: rapid.Uint64().Draw(t, "step"),
			LastSeen: rapid.Int64Range(0, 1<<40).Draw(t, "seen"), Count: rapid.Uint32().Draw(t, "count"), Round: rapid.Uint32().Draw(t, "round"),
		}
		d.Info = Info{Platform: rousev1.Platform(rapid.IntRange(0, 5).Draw(t, "platform")), Brand: str.Draw(t, "brand"), Lang: str.Draw(t, "lang")}
		for range rapid.IntRange(0, 3).Draw(t, "bindings") {
			d.Bindings = append(d.Bindings, Binding{Notifier: str.Draw(t, "notifier"), Sealed: str.Draw(t, "sealed"), Sum: Sum{rapid.Byte().Draw(t, "sum")}, BoundAt: rapid.Int64Range(0, 1<<45).Draw(t, "bound"), Marketing: Ledger{rapid.Uint16().Draw(t, "day"), rapid.Uint16().Draw(t, "count")}})
		}
		s.Devices = append(s.Devices, d)
	}
	return s
}

func TestOutboxRoundTrip(t *testing.T) {
	p := &Pending{Message: "m", DecidedAt: 1, Due: 2, Expires: 3, Marketing: true, Verdicts: []Verdict{
		{Device: "d", Notifier: "n", Status: isPending, Reason: 2, Stage: StageLane, VoIP: true, Badge: 0},
		{Device: "e", Status: suppressed, Reason: 21, Badge: -1, EndedAt: 9, VendorCode: "c", VendorID: "i"},
		{Device: "f", Badge: -1, DeliveredAt: 10, ClickedAt: 11, ReceiptReason: 70, ReceiptCode: "r"},
	}}
	got, sealed, err := DecodePending("m", string(p.EncodeOutbox(nil, []byte("payload"))))
	if err != nil || sealed != "payload" {
		t.Fatal(sealed, err)
	}
	if diff := cmp.Diff(p, got, cmp.AllowUnexported(Pending{})); diff != "" {
		t.Error(diff)
	}
}

func FuzzDecode(f *testing.F) {
	f.Add(typical().Encode(nil))
	f.Fuzz(func(t *testing.T, b []byte) {
		var s State
		if s.Decode(string(b)) == nil {
			s.Encode(nil)
		}
		if p, _, err := DecodePending("m", string(b)); err == nil {
			p.EncodeOutcome(nil)
		}
	})
}

func BenchmarkRecord(b *testing.B) {
	rec := string(typical().Encode(nil))
	b.Run("decode", func(b *testing.B) {
		b.ReportAllocs()
		var s State
		for b.Loop() {
			if err := s.Decode(rec); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("encode", func(b *testing.B) {
		b.ReportAllocs()
		s := typical()
		for b.Loop() {
			s.Encode(make([]byte, 0, 600))
		}
	})
}

func TestRecent(t *testing.T) {
	r := recent{day: 7, whole: true}
	if r.maybe(7, "m") || !r.maybe(6, "m") {
		t.Error("an empty whole day may hold a message, or another day may not")
	}
	r.add(7, "m")
	r.add(6, "n")
	if !r.maybe(7, "m") {
		t.Error("a decided message is forgotten")
	}
	r.whole = false
	if !r.maybe(7, "never seen") {
		t.Error("a day that is known in part spares a look")
	}
}

func TestActorSize(t *testing.T) {
	if n := unsafe.Sizeof(Actor{}); n > 128 {
		t.Errorf("an actor takes %d bytes; over 128 each active user costs 16 more", n)
	}
}
