package storage

import (
	"encoding/binary"
	"time"

	"github.com/cespare/xxhash/v2"
)

const (
	// MetaShard is the group of the catalogue.
	MetaShard uint16 = 0
	// DefaultShards is the number of user shards of a new store.
	DefaultShards uint16 = 64
	// MaxShards bounds Options.Shards.
	MaxShards uint16 = 1024
)

// Sum names a push token without revealing it; see seal.Ring.Sum.
type Sum [16]byte

// ShardOf returns the shard of a user, 1..shards. The mapping is part of the
// stored format: it never changes.
func ShardOf(app, user string, shards uint16) uint16 {
	var d xxhash.Digest
	d.Reset()
	_, _ = d.WriteString(app) // a digest accepts everything
	_, _ = d.Write(separator)
	_, _ = d.WriteString(user)
	return 1 + uint16(d.Sum64()%uint64(shards))
}

// ShardOfToken returns the shard of a token's owner record, 1..shards. The sum
// is a keyed hash, so its head is as good as random.
func ShardOfToken(sum Sum, shards uint16) uint16 {
	return 1 + uint16(binary.BigEndian.Uint64(sum[:8])%uint64(shards))
}

// Day returns the unix day (UTC) of t, the unit in which outcomes expire;
// instants outside of 1970..2149 take the nearest day.
func Day(t time.Time) uint16 {
	const daySeconds = 24 * 60 * 60
	return uint16(min(max(t.Unix()/daySeconds, 0), 1<<16-1))
}

// ShardOf is ShardOf with the store's number of shards.
func (s *Store) ShardOf(app, user string) uint16 { return ShardOf(app, user, s.shards) }

// ShardOfToken is ShardOfToken with the store's number of shards.
func (s *Store) ShardOfToken(sum Sum) uint16 { return ShardOfToken(sum, s.shards) }

// Shards returns the number of user shards; they are numbered 1..Shards.
func (s *Store) Shards() uint16 { return s.shards }
