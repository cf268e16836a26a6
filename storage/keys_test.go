package storage

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

// ascending is 1, 2, 3, ... in every byte.
var ascending = Sum{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16}

// TestGoldenKeys pins every key form, bound and shard: they are on disk.
func TestGoldenKeys(t *testing.T) {
	var got strings.Builder
	show := func(name string, key []byte) { fmt.Fprintf(&got, "%-28s %q\n", name, key) }
	between := func(name string, r Range) { fmt.Fprintf(&got, "%-28s %q .. %q\n", name, r.Lo, r.Hi) }
	show("format", formatKey)
	show("node", nodeKey)
	show("shards", shardsKey)
	show("user", AppendUserKey(nil, 0x0102, "app", "ann"))
	show("user escaped", AppendUserKey(nil, 1, "a\x00p", "\x01n"))
	show("erasures", Erasures(0x0102).Lo)
	show("outbox", AppendOutboxKey(nil, OutboxKey{0x0102, 1_795_392_000_000, "app", "ann", "m1"}))
	show("outcome", AppendOutcomeKey(nil, OutcomeKey{0x0102, 20780, "app", "ann", "m1"}))
	show("trace", AppendTraceKey(nil, TraceKey{0x0102, 20780, "app", "m1", "ann"}))
	show("telling", AppendTellingKey(nil, TellingKey{0x0102, "app", 1_795_392_000_000, 1, "ann", "m1", "phone", "apns"}))
	show("setting", AppendSettingKey(nil, SettingKey{0x0102, "app", "ann", 'g', "team"}))
	show("setting escaped", AppendSettingKey(nil, SettingKey{1, "a\x00p", "\x01n", 'd', "\x00"}))
	show("token", AppendTokenKey(nil, 0x0102, ascending))
	show("intent", AppendIntentKey(nil, 0x0102, 'c', ascending))
	show("catalogue", AppendCatalogueKey(nil, 'k', "app", "credential"))
	show("catalogue without parts", AppendCatalogueKey(nil, 'k'))
	show("log", appendLogKey(nil, 0x0102, 0x030405))
	show("state", appendStateKey(nil, 0x0102, AppliedState))
	between("UserRange", UserRange(255))
	between("OutboxRange", OutboxRange(1))
	between("TokenRange", TokenRange(1))
	between("IntentRange", IntentRange(1024))
	between("TellingRange", TellingRange(1, "app"))
	between("OutcomeDays", OutcomeDays(1, 20780, 20781))
	between("UserOutcomes", UserOutcomes(1, 20780, "app", "ann"))
	between("AppOutcomes", AppOutcomes(1, 20780, "app"))
	between("TraceDays", TraceDays(1, 20780, 20781))
	between("MessageTraces", MessageTraces(1, 20780, "app", "m1"))
	between("UserSettings", UserSettings(1, "app", "ann"))
	between("CatalogueRange", CatalogueRange('k'))
	between("CatalogueRange of an app", CatalogueRange('k', "app"))
	for i, r := range ShardRanges(7) {
		between(fmt.Sprintf("ShardRanges %d", i), r)
	}
	between("ShardRanges meta", ShardRanges(MetaShard)[0])
	between("LogRange", LogRange(7))
	between("StateRange", StateRange(MetaShard))
	for _, user := range []string{"ann", "bob", ""} {
		fmt.Fprintf(&got, "%-28s %d %d %d\n", "ShardOf app "+user,
			ShardOf("app", user, 1), ShardOf("app", user, 64), ShardOf("app", user, 1024))
	}
	fmt.Fprintf(&got, "%-28s %d %d\n", "ShardOfToken", ShardOfToken(ascending, 64), ShardOfToken(ascending, 1000))
	fmt.Fprintf(&got, "%-28s %d\n", "Day", Day(day0))

	show("entry", AppendEntry(nil, []Mutation{
		{Set, []byte("key"), []byte("value")}, {Delete, []byte("gone"), []byte("ignored")}, {DeleteRange, []byte("from"), []byte("to")},
	}))

	const golden = "testdata/keys.golden"
	if os.Getenv("REWRITE") != "" {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got.String()); diff != "" {
		t.Errorf("key forms changed; stores on disk would be lost (-want +got):\n%s", diff)
	}
}

// name draws names as hostile as they come.
var name = rapid.StringOf(rapid.RuneFrom([]rune{0, 1, 2, 'a', 'b', 0xff, '中'}))

func TestKeysRoundTripInOrder(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		draw := func() OutboxKey {
			return OutboxKey{
				Shard: rapid.Uint16().Draw(t, "shard"), DueMilli: rapid.Uint64().Draw(t, "due"),
				App: name.Draw(t, "app"), User: name.Draw(t, "user"), Message: name.Draw(t, "message"),
			}
		}
		a, b := draw(), draw()
		if rapid.Bool().Draw(t, "same moment") {
			b.Shard, b.DueMilli = a.Shard, a.DueMilli
		}
		ka, kb := AppendOutboxKey(nil, a), AppendOutboxKey([]byte("x"), b)[1:]
		if got, err := ParseOutboxKey(ka); err != nil || got != a {
			t.Fatalf("%+v came back as %+v, %v", a, got, err)
		}
		if want := compareOutbox(a, b); bytes.Compare(ka, kb) != want {
			t.Fatalf("%+v and %+v: key order %d, want %d", a, b, -want, want)
		}
		r := OutcomeKey{a.Shard, uint16(a.DueMilli), a.App, a.User, a.Message}
		kr := AppendOutcomeKey(nil, r)
		if got, err := ParseOutcomeKey(kr); err != nil || got != r {
			t.Fatalf("%+v came back as %+v, %v", r, got, err)
		}
		if same := a.App == b.App && a.User == b.User; UserOutcomes(r.Shard, r.Day, b.App, b.User).Contains(kr) != same {
			t.Fatalf("outcomes of %q %q contain those of %q %q: %v", b.App, b.User, a.App, a.User, !same)
		}
		e := TraceKey{a.Shard, r.Day, a.App, a.Message, a.User}
		ke := AppendTraceKey(nil, e)
		if got, err := ParseTraceKey(ke); err != nil || got != e {
			t.Fatalf("%+v came back as %+v, %v", e, got, err)
		}
		if same := a.App == b.App && a.Message == b.Message; MessageTraces(e.Shard, e.Day, b.App, b.Message).Contains(ke) != same {
			t.Fatalf("traces of %q %q contain those of %q %q: %v", b.App, b.Message, a.App, a.Message, !same)
		}
		if same := a.App == b.App; AppOutcomes(r.Shard, r.Day, b.App).Contains(kr) != same {
			t.Fatalf("outcomes of %q contain those of %q: %v", b.App, a.App, !same)
		}
		w := TellingKey{Shard: a.Shard, App: a.App, AtMilli: a.DueMilli, Stage: 1, User: a.User, Message: a.Message, Device: b.User, Notifier: b.Message}
		kw := AppendTellingKey(nil, w)
		if got, err := ParseTellingKey(kw); err != nil || got != w || TellingRange(a.Shard, b.App).Contains(kw) != (a.App == b.App) {
			t.Fatalf("%+v came back as %+v, %v", w, got, err)
		}
		set := SettingKey{a.Shard, a.App, a.User, rapid.ByteRange(3, 255).Draw(t, "kind"), a.Message}
		ks := AppendSettingKey(nil, set)
		if got, err := ParseSettingKey(ks); err != nil || got != set {
			t.Fatalf("%+v came back as %+v, %v", set, got, err)
		}
		if same := a.App == b.App && a.User == b.User; UserSettings(a.Shard, b.App, b.User).Contains(ks) != same {
			t.Fatalf("settings of %q %q contain those of %q %q: %v", b.App, b.User, a.App, a.User, !same)
		}
		shard, app, user, err := ParseUserKey(AppendUserKey(nil, a.Shard, a.App, a.User))
		if err != nil || shard != a.Shard || app != a.App || user != a.User {
			t.Fatalf("%+v came back as %d %q %q, %v", a, shard, app, user, err)
		}
		var parts [3]string
		kind, err := ParseCatalogueKey(AppendCatalogueKey(nil, 7, a.App, a.User, a.Message), parts[:])
		if err != nil || kind != 7 || parts != [3]string{a.App, a.User, a.Message} {
			t.Fatalf("%+v came back as %d %q, %v", a, kind, parts, err)
		}
	})
}

func compareOutbox(a, b OutboxKey) int {
	order := func(k OutboxKey) []string {
		return []string{fmt.Sprintf("%05d %020d", k.Shard, k.DueMilli), k.App, k.User, k.Message}
	}
	return slices.Compare(order(a), order(b))
}

func TestFixedKeysRoundTrip(t *testing.T) {
	if shard, sum, err := ParseTokenKey(AppendTokenKey(nil, 9, ascending)); err != nil || shard != 9 || sum != ascending {
		t.Errorf("token: %d %x %v", shard, sum, err)
	}
	shard, kind, sum, err := ParseIntentKey(AppendIntentKey(nil, 9, 3, ascending))
	if err != nil || shard != 9 || kind != 3 || sum != ascending {
		t.Errorf("intent: %d %d %x %v", shard, kind, sum, err)
	}
}

func TestRangesHoldTheirKeys(t *testing.T) {
	for _, shard := range []uint16{1, 255, 256, MaxShards} {
		box := OutboxKey{Shard: shard, DueMilli: 1<<64 - 1, App: "\xff", User: "\xff", Message: "\xff"}
		end := OutcomeKey{Shard: shard, Day: 1<<16 - 2, App: "\xff", User: "\xff", Message: "\xff"}
		keys := [][]byte{
			AppendTraceKey(nil, TraceKey{shard, end.Day, "\xff", "\xff", "\xff"}),
			AppendOutboxKey(nil, box), AppendOutcomeKey(nil, end),
			AppendSettingKey(nil, SettingKey{shard, "\xff", "\xff", 0xff, "\xff"}), AppendTokenKey(nil, shard, Sum{0xff}),
			AppendUserKey(nil, shard, "\xff", "\xff"),
			AppendTellingKey(nil, TellingKey{Shard: shard, App: "\xff", AtMilli: 1<<64 - 1, Stage: 0xff, User: "\xff"}),
			AppendIntentKey(nil, shard, 0xff, Sum{0xff}),
		}
		if users, own := UserRange(shard), Erasures(shard); !users.Contains(own.Lo) || own.Contains(AppendUserKey(nil, shard, "", "\x00")) {
			t.Errorf("shard %d: its erasures are not of it, or not alone", shard)
		}
		if !OutcomeDays(shard, 0, end.Day+1).Contains(keys[2]) || OutcomeDays(shard, 0, end.Day).Contains(keys[2]) ||
			!TraceDays(shard, 0, end.Day+1).Contains(keys[0]) || TraceDays(shard, 0, end.Day).Contains(keys[0]) {
			t.Errorf("shard %d: day bounds are off", shard)
		}
		for other := shard - 1; other <= shard+1; other++ {
			for i, r := range ShardRanges(other) {
				for j, key := range keys {
					if want := other == shard && i == j; r.Contains(key) != want {
						t.Errorf("range %d of shard %d contains %q: %v", i, other, key, !want)
					}
				}
			}
		}
	}
}

func TestShardsSpreadEvenly(t *testing.T) {
	const users = 64_000
	var count [DefaultShards + 1]int
	for i := range users {
		count[ShardOf("app", fmt.Sprint("user", i), DefaultShards)]++
	}
	for shard, n := range count {
		if want := users / int(DefaultShards); shard == 0 && n != 0 || shard > 0 && (n < want*8/10 || n > want*12/10) {
			t.Errorf("shard %d has %d users, want about %d", shard, n, want)
		}
	}
}

// FuzzParse: parsers never panic, and what one accepts its builder restores.
func FuzzParse(f *testing.F) {
	f.Add([]byte{})
	f.Add(AppendUserKey(nil, 1, "a\x00", "b\x01"))
	f.Add(Erasures(1).Lo)
	f.Add(AppendOutboxKey(nil, OutboxKey{1, 2, "a", "b", "c"}))
	f.Add(AppendOutcomeKey(nil, OutcomeKey{1, 2, "a", "b", "c"}))
	f.Add(AppendTraceKey(nil, TraceKey{1, 2, "a", "b", "c"}))
	f.Add(AppendTellingKey(nil, TellingKey{1, "a", 2, 3, "b", "c", "d", "e"}))
	f.Add(AppendSettingKey(nil, SettingKey{1, "a", "b", 'g', "\x00"}))
	f.Add([]byte("s\x00\x01a\x00b\x00\x02c"))
	f.Add(AppendTokenKey(nil, 1, ascending))
	f.Add(AppendIntentKey(nil, 1, 2, ascending))
	f.Add(AppendCatalogueKey(nil, 1, "a", "b"))
	f.Add([]byte("u\x00\x01a\x01\x00b\x01"))
	f.Fuzz(func(t *testing.T, key []byte) {
		check := func(form string, err error, build func() []byte) {
			if err != nil {
				if !errors.Is(err, ErrBadKey) {
					t.Errorf("%s: untyped error %v", form, err)
				}
				return
			}
			if again := build(); !bytes.Equal(again, key) {
				t.Errorf("%s: %q came back as %q", form, key, again)
			}
		}
		shard, app, user, err := ParseUserKey(key)
		if OfErasures(key) && err == nil && app+user != "" || err == nil && app+user == "" && !OfErasures(key) {
			t.Errorf("%q is of user %q of app %q, and of erasures: %t", key, user, app, OfErasures(key))
		}
		check("user", err, func() []byte { return AppendUserKey(nil, shard, app, user) })
		trace, err := ParseTraceKey(key)
		check("trace", err, func() []byte { return AppendTraceKey(nil, trace) })
		box, err := ParseOutboxKey(key)
		check("outbox", err, func() []byte { return AppendOutboxKey(nil, box) })
		end, err := ParseOutcomeKey(key)
		check("outcome", err, func() []byte { return AppendOutcomeKey(nil, end) })
		told, err := ParseTellingKey(key)
		check("telling", err, func() []byte { return AppendTellingKey(nil, told) })
		set, err := ParseSettingKey(key)
		check("setting", err, func() []byte { return AppendSettingKey(nil, set) })
		shard, sum, err := ParseTokenKey(key)
		check("token", err, func() []byte { return AppendTokenKey(nil, shard, sum) })
		shard, kind, sum, err := ParseIntentKey(key)
		check("intent", err, func() []byte { return AppendIntentKey(nil, shard, kind, sum) })
		var parts [2]string
		kind, err = ParseCatalogueKey(key, parts[:])
		check("catalogue", err, func() []byte { return AppendCatalogueKey(nil, kind, parts[:]...) })
	})
}
