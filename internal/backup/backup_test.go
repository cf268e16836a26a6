package backup

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rouse-im/rouse/cluster/roster"
	"github.com/rouse-im/rouse/storage"
	"github.com/rouse-im/rouse/storage/stream"
)

func open(t testing.TB, shards uint16) *storage.Store {
	t.Helper()
	s, err := storage.Open("store", storage.Options{
		FS: vfs.NewMem(), CacheBytes: 1 << 20, MemTableBytes: 1 << 20, Shards: shards, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

func put(t testing.TB, s *storage.Store, shard uint16, ms ...storage.Mutation) {
	t.Helper()
	done := make(chan error, 1)
	s.Propose(shard, ms, func(err error) { done <- err })
	if err := <-done; err != nil {
		t.Fatal(err)
	}
}

func set(key []byte, value string) storage.Mutation {
	return storage.Mutation{Op: storage.Set, Key: key, Value: []byte(value)}
}

// fill writes keys of every family for n users, and a catalogue with a roster.
func fill(t testing.TB, s *storage.Store, n int) {
	t.Helper()
	for i := range n {
		user := fmt.Sprint("user ", i)
		shard := s.ShardOf("app", user)
		sum := storage.Sum{byte(i), byte(i >> 8), byte(7 * i), 4}
		put(t, s, shard,
			set(storage.AppendUserKey(nil, shard, "app", user), user+strings.Repeat(".", i%300)),
			set(storage.AppendOutboxKey(nil, storage.OutboxKey{Shard: shard, DueMilli: uint64(i), App: "app", User: user, Message: "m"}), "o"),
			set(storage.AppendOutcomeKey(nil, storage.OutcomeKey{Shard: shard, Day: 3, App: "app", User: user, Message: "m"}), "r"),
			set(storage.AppendTraceKey(nil, storage.TraceKey{Shard: shard, Day: 3, App: "app", User: user, Message: "m"}), "e"),
			set(storage.AppendSettingKey(nil, storage.SettingKey{Shard: shard, App: "app", User: user, Kind: 3, Conversation: "c"}), "s"),
			set(storage.AppendTellingKey(nil, storage.TellingKey{Shard: shard, App: "app", AtMilli: 5, User: user}), "w"),
			set(storage.AppendIntentKey(nil, shard, 1, sum), user))
		token := s.ShardOfToken(sum)
		put(t, s, token, set(storage.AppendTokenKey(nil, token, sum), user))
	}
	put(t, s, s.Shards(), set(storage.Erasures(s.Shards()).Lo, "numbers"))
	put(t, s, storage.MetaShard, set(storage.AppendCatalogueKey(nil, 'a', "app"), "the app"),
		set(storage.AppendCatalogueKey(nil, 'i'), "the old cluster"), set(storage.AppendCatalogueKey(nil, 'n', "0011223344556677"), "member"))
}

// testHome takes the value of an intent for the name of its user.
func testHome(_ byte, value []byte, shards uint16) (uint16, error) {
	if len(value) == 0 {
		return 0, errors.New("no user")
	}
	return storage.ShardOf("app", string(value), shards), nil
}

// holds is all keys of all groups, with the shards left out where it is asked.
func holds(t testing.TB, s *storage.Store, shards bool) map[string]string {
	t.Helper()
	all := map[string]string{}
	for group := range s.Shards() + 1 {
		for _, r := range storage.ShardRanges(group) {
			err := s.Scan(r, func(key, value []byte) bool {
				k := bytes.Clone(key)
				if !shards {
					k[1], k[2] = 0, 0
				}
				if _, twice := all[string(k)]; twice {
					t.Errorf("key %q is there twice", k)
				}
				all[string(k)] = string(value)
				return true
			})
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	return all
}

var now = time.Date(2026, 11, 26, 1, 2, 3, 0, time.UTC)

func write(t testing.TB, s *storage.Store) ([]byte, Manifest) {
	t.Helper()
	var b bytes.Buffer
	m, err := Write(&b, s, Options{Seal: "aabb", Now: now})
	if err != nil {
		t.Fatal(err)
	}
	return b.Bytes(), m
}

func TestRestoreIsWhatWasWritten(t *testing.T) {
	for _, shards := range []uint16{1, 7, 8, 64} {
		t.Run(fmt.Sprint("shards=", shards), func(t *testing.T) {
			s := open(t, 8)
			fill(t, s, 200)
			archive, m := write(t, s)
			if m.Cluster != "the old cluster" || m.Shards != 8 || len(m.Groups) != 9 || m.Seal != "aabb" || m.Node != s.NodeID() {
				t.Errorf("manifest %+v", m)
			}
			want := holds(t, s, shards == 8)
			maps.DeleteFunc(want, func(k, _ string) bool { return k[0] == 'c' && k[3] != 'a' || storage.OfErasures([]byte(k)) })
			to := open(t, shards)
			got, err := Restore(bytes.NewReader(archive), to, testHome, nil)
			if err != nil {
				t.Fatal(err)
			}
			if got.Taken != now || got.Node != m.Node {
				t.Errorf("read %+v", got.Head)
			}
			if have := holds(t, to, shards == 8); !maps.Equal(have, want) {
				t.Errorf("%d keys restored, want %d", len(have), len(want))
			}
			for group := uint16(1); group <= shards; group++ {
				err := to.Scan(storage.UserRange(group), func(key, _ []byte) bool {
					if k, app, user, err := storage.ParseUserKey(key); err != nil || to.ShardOf(app, user) != k {
						t.Errorf("user %s in shard %d, %v", user, k, err)
					}
					return true
				})
				if err != nil {
					t.Fatal(err)
				}
			}
			if id, err := roster.Cluster(to); id != "" || err != nil {
				t.Errorf("the old cluster's id %q came along, %v", id, err)
			}
		})
	}
}

// TestDamagedArchives: whatever is changed, cut off, left out or moved is seen.
func TestDamagedArchives(t *testing.T) {
	s := open(t, 3)
	fill(t, s, 12)
	whole, m := write(t, s)
	if _, err := Read(bytes.NewReader(whole), nil); err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(whole); i += 3 {
		for what, b := range map[string][]byte{
			"changed": append(append(bytes.Clone(whole[:i]), whole[i]^4), whole[i+1:]...),
			"cut off": whole[:i],
			"without": append(bytes.Clone(whole[:i]), whole[i+1:]...),
		} {
			if _, err := Read(bytes.NewReader(b), nil); !errors.Is(err, ErrArchive) {
				t.Fatalf("%s at %d: %v", what, i, err)
			}
		}
	}
	if _, err := Read(bytes.NewReader(append(bytes.Clone(whole), 0)), nil); !errors.Is(err, ErrArchive) {
		t.Errorf("something after the end: %v", err)
	}
	var frames [][]byte
	for rest := whole; len(rest) > 0; {
		n := 8 + int(binary.BigEndian.Uint32(rest))
		frames, rest = append(frames, rest[:n]), rest[n:]
	}
	for i := range frames {
		without := bytes.Join(append(append([][]byte{}, frames[:i]...), frames[i+1:]...), nil)
		twice := bytes.Join(append(append([][]byte{}, frames[:i+1]...), frames[i:]...), nil)
		for what, b := range map[string][]byte{"without": without, "twice": twice} {
			if _, err := Read(bytes.NewReader(b), nil); !errors.Is(err, ErrArchive) {
				t.Errorf("%s frame %d of %d: %v", what, i, len(frames), err)
			}
		}
	}
	m.Groups[1].Keys++
	other, err := json.Marshal(m)
	if err != nil {
		t.Fatal(err)
	}
	var b bytes.Buffer
	b.Write(bytes.Join(frames[:len(frames)-1], nil))
	if err := stream.WriteFrame(&b, frameManifest, other); err != nil {
		t.Fatal(err)
	}
	if _, err := Read(&b, nil); !errors.Is(err, ErrArchive) || !strings.Contains(err.Error(), "group 1") {
		t.Errorf("another manifest: %v", err)
	}
}

// head is an archive that begins so.
func head(t *testing.T, h Head) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := writeJSON(&b, frameHead, h); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func TestRefused(t *testing.T) {
	for want, b := range map[string][]byte{
		"format 2":       head(t, Head{Format: 2, Shards: 4}),
		"0 shards":       head(t, Head{Format: 1}),
		"ends too early": head(t, Head{Format: 1, Shards: 4}),
		"ends too":       nil,
		"damaged":        []byte("PK\x03\x04 an archive of another kind"),
	} {
		if _, err := Read(bytes.NewReader(b), nil); !errors.Is(err, ErrArchive) || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
	}
	s := open(t, 3)
	fill(t, s, 5)
	archive, _ := write(t, s)
	bad := func(byte, []byte, uint16) (uint16, error) { return 0, errors.New("no home") }
	if _, err := Restore(bytes.NewReader(archive), open(t, 2), bad, nil); err == nil || !strings.Contains(err.Error(), "no home") {
		t.Errorf("an intent without a home: %v", err)
	}
	b := s.NewBatch()
	b.SetState(1, storage.AppliedState, []byte{9, 1})
	if err := b.Commit(true); err != nil {
		t.Fatal(err)
	}
	if _, err := Restore(bytes.NewReader(archive), s, testHome, nil); err == nil || !strings.Contains(err.Error(), "in use") {
		t.Errorf("into a store in use: %v", err)
	}
	if _, err := Write(&bytes.Buffer{}, s, Options{}); err == nil || !strings.Contains(err.Error(), "holds 1 of 4") {
		t.Errorf("of a node that holds a part: %v", err)
	}
}

func FuzzRead(f *testing.F) {
	s := open(f, 2)
	fill(f, s, 2)
	whole, _ := write(f, s)
	if err := s.Close(); err != nil {
		f.Fatal(err)
	}
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Fuzz(func(t *testing.T, b []byte) {
		if _, err := Read(bytes.NewReader(b), nil); err != nil && !errors.Is(err, ErrArchive) {
			t.Error(err)
		}
	})
}
