package storage

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
)

// TestPowerLoss cuts the power at random moments under load, keeping none,
// half or all of what was not synced: what was acknowledged before the cut is
// there, and each entry is there whole or not at all.
func TestPowerLoss(t *testing.T) {
	for _, percent := range []int{0, 50, 100} {
		t.Run(fmt.Sprintf("kept=%d", percent), func(t *testing.T) {
			fs := vfs.NewCrashableMem()
			rng := rand.New(rand.NewPCG(1, uint64(percent)))
			for round := range 5 {
				acked, crashed := cutUnderLoad(t, fs, round, 100+rng.IntN(400),
					vfs.CrashCloneCfg{UnsyncedDataPercent: percent, RNG: rng})
				verifyWhole(t, crashed, acked)
				fs = crashed
			}
		})
	}
}

// cutUnderLoad proposes from 8 shards until enough entries are acknowledged,
// then clones the disk in mid-flight.
func cutUnderLoad(t *testing.T, fs *vfs.MemFS, round, enough int, cfg vfs.CrashCloneCfg) (map[string]uint16, *vfs.MemFS) {
	s := openTest(t, fs)
	var mu sync.Mutex
	acked := map[string]uint16{}
	reached := make(chan struct{})
	var load sync.WaitGroup
	for shard := uint16(1); shard <= 8; shard++ {
		load.Go(func() {
			for n := 0; ; n++ {
				user := fmt.Sprint(round, "-", n)
				if err := put(s, shard, pair(shard, user)...); err != nil {
					if !errors.Is(err, ErrClosed) {
						t.Error(err)
					}
					return
				}
				mu.Lock()
				if acked[fmt.Sprint(shard, "/", user)] = shard; len(acked) == enough {
					close(reached)
				}
				mu.Unlock()
			}
		})
	}
	<-reached
	mu.Lock()
	before := make(map[string]uint16, len(acked))
	maps.Copy(before, acked)
	mu.Unlock()
	crashed := fs.CrashClone(cfg)
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	load.Wait()
	return before, crashed
}

// pair is an entry of two keys in two families.
func pair(shard uint16, user string) []Mutation {
	return []Mutation{
		set(AppendUserKey(nil, shard, "a", user), "record"),
		set(AppendOutcomeKey(nil, OutcomeKey{shard, 1, "a", user, "m"}), "outcome"),
	}
}

func verifyWhole(t *testing.T, fs *vfs.MemFS, acked map[string]uint16) {
	s := openTest(t, fs)
	defer s.Close() //nolint:errcheck // openTest reports
	users, outcomes := 0, 0
	for shard := uint16(1); shard <= 8; shard++ {
		err := s.Scan(UserRange(shard), func(key, _ []byte) bool {
			users++
			_, _, user, err := ParseUserKey(key)
			if err != nil {
				t.Error(err)
			}
			delete(acked, fmt.Sprint(shard, "/", user))
			if _, err := s.Get(pair(shard, user)[1].Key); err != nil {
				t.Errorf("half an entry: user %s of shard %d: %v", user, shard, err)
			}
			return true
		})
		err = errors.Join(err, s.Scan(OutcomeDays(shard, 0, 2), func(_, _ []byte) bool { outcomes++; return true }))
		if err != nil {
			t.Error(err)
		}
	}
	if len(acked) > 0 || users != outcomes {
		t.Errorf("%d acknowledged entries lost; %d records, %d outcomes", len(acked), users, outcomes)
	}
}

// TestPowerLossAfterOpen: the directory and the identity are on disk when Open
// returns, whatever of its ancestors had to be made.
func TestPowerLossAfterOpen(t *testing.T) {
	fs := vfs.NewCrashableMem()
	s, err := Open("var/lib/rouse/store", quiet(fs))
	if err != nil {
		t.Fatal(err)
	}
	crashed := fs.CrashClone(vfs.CrashCloneCfg{})
	again, err := Open("var/lib/rouse/store", quiet(crashed))
	if err != nil {
		t.Fatal(err)
	}
	if again.NodeID() != s.NodeID() {
		t.Errorf("node id lost: %s, then %s", s.NodeID(), again.NodeID())
	}
	if err := errors.Join(s.Close(), again.Close()); err != nil {
		t.Fatal(err)
	}
}
