package storage

import (
	"bytes"
	"errors"
	"testing"
)

func TestKeysFindTheirHome(t *testing.T) {
	sum := Sum{1, 2, 3, 4, 5, 6, 7, 8, 9}
	of := func(shard, token uint16) map[string][]byte {
		return map[string][]byte{
			"user":    AppendUserKey(nil, shard, "app", "ann"),
			"outbox":  AppendOutboxKey(nil, OutboxKey{Shard: shard, DueMilli: 9, App: "app", User: "ann", Message: "m"}),
			"outcome": AppendOutcomeKey(nil, OutcomeKey{Shard: shard, Day: 9, App: "app", User: "ann", Message: "m"}),
			"trace":   AppendTraceKey(nil, TraceKey{Shard: shard, Day: 9, App: "app", User: "ann", Message: "m"}),
			"setting": AppendSettingKey(nil, SettingKey{Shard: shard, App: "app", User: "ann", Kind: 3, Conversation: "c"}),
			"telling": AppendTellingKey(nil, TellingKey{Shard: shard, App: "app", User: "ann", Message: "m", Stage: 1}),
			"token":   AppendTokenKey(nil, token, sum),
		}
	}
	for _, shards := range []uint16{1, 3, 64, 1024} {
		there := of(ShardOf("app", "ann", shards), ShardOfToken(sum, shards))
		for name, key := range of(7, 9) {
			home, ok, err := Home(key, shards)
			if err != nil || !ok {
				t.Errorf("%s: %t, %v", name, ok, err)
			}
			if got := AppendMoved([]byte("x"), key, home); !bytes.Equal(got[1:], there[name]) {
				t.Errorf("%s moved to %q, want %q", name, got[1:], there[name])
			}
		}
	}
	// Every family has a home, or is known to have none in its key.
	for _, r := range ShardRanges(1) {
		if _, _, err := Home(append(bytes.Clone(r.Lo), make([]byte, 40)...), 4); err != nil && !errors.Is(err, ErrBadKey) {
			t.Errorf("family %c: %v", r.Lo[0], err)
		}
	}
	if _, ok, err := Home(AppendIntentKey(nil, 1, 2, sum), 4); ok || err != nil {
		t.Errorf("an intent: %t, %v", ok, err)
	}
	for _, key := range [][]byte{nil, []byte("u"), AppendCatalogueKey(nil, 'a', "b"), appendLogKey(nil, 1, 1), []byte("mformat")} {
		if _, _, err := Home(key, 4); !errors.Is(err, ErrBadKey) {
			t.Errorf("%q: %v", key, err)
		}
	}
}
