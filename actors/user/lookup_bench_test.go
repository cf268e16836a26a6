package user

import (
	"fmt"
	"log/slog"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rouse-im/rouse/storage"
)

// What a message pays for the settings of its conversation: nothing if its
// recipient has none, and one read whatever their number.
func BenchmarkConversationOf(b *testing.B) {
	store, err := storage.Open("db", storage.Options{FS: vfs.NewMem(), Shards: 1, Logger: slog.New(slog.DiscardHandler), MinFreeBytes: 1})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { _ = store.Close() })
	for _, n := range []int{0, 1, MaxConversations} {
		b.Run(fmt.Sprint("of ", n), func(b *testing.B) {
			a := &Actor{app: "app", user: fmt.Sprint("ann", n), home: &Home{Deps: &Deps{Store: store}, Shard: 1}, cell: &Cell{}}
			s := typical()
			s.Conversations = uint32(n)
			a.record = string(s.Encode(nil))
			var ms []storage.Mutation
			for i := range n {
				c := Conversation{Mode: all}
				ms = append(ms, storage.Mutation{Op: storage.Set, Key: a.settingKey(nil, ConversationID{group, fmt.Sprint("team", i)}), Value: c.Encode(nil)})
			}
			done := make(chan error, 1)
			if store.Propose(1, ms, func(err error) { done <- err }); n > 0 && <-done != nil {
				b.Fatal("the settings were not stored")
			}
			id := ConversationID{group, fmt.Sprint("team", n/2)}
			b.ReportMetric(float64(len(a.record)), "record-bytes")
			b.ReportAllocs()
			for b.Loop() {
				if _, kept, err := a.conversation(id); err != nil || kept != (n > 0) {
					b.Fatal(kept, err)
				}
			}
		})
	}
}
