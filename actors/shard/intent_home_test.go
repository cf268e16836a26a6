package shard

import (
	"testing"

	"github.com/rouse-im/rouse/storage"
)

func TestIntentsFindTheirHome(t *testing.T) {
	c := claim{Sum: storage.Sum{9, 8, 7, 6}, App: "app", User: "ann", Device: "d", BoundAt: 5}
	for _, shards := range []uint16{1, 5, 64} {
		for kind, want := range map[intentKind]uint16{
			intentClaim:   storage.ShardOf("app", "ann", shards),
			intentDisown:  storage.ShardOf("app", "ann", shards),
			intentRelease: storage.ShardOfToken(c.Sum, shards),
		} {
			if got, err := IntentHome(byte(kind), c.encode(nil), shards); err != nil || got != want {
				t.Errorf("kind %d of %d shards: %d, %v; want %d", kind, shards, got, err, want)
			}
		}
	}
	if _, err := IntentHome(1, []byte("damaged"), 4); err == nil {
		t.Error("a damaged claim has a home")
	}
}
