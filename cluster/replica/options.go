package replica

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/rouse-im/rouse/storage"
)

const (
	defaultTick         = 100 * time.Millisecond
	defaultElection     = 10
	heartbeatTicks      = 2 // half of what an idle cluster did was hearing of leaders at each tick
	defaultSlowDisk     = time.Second
	defaultDeadDisk     = 20 * time.Second
	defaultSnapshotRate = 64 << 20
	leastSnapshotRate   = 64 << 10 // so that something moves within idleFor
	maxSizePerMessage   = 1 << 20
	maxInflightMessages = 256
	maxInflightBytes    = 4 << 20 // of one group to one follower
	maxUncommittedBytes = 8 << 20 // of one group
	maxApplyingBytes    = 4 << 20 // of one group in one pass
)

// Options of an Engine. What is called from the loop or the writer must not
// block, and must not call back into what waits for the loop: Status, Close.
type Options struct {
	// ID is this node, see NodeID; never 0.
	ID    uint64
	Store *storage.Store
	// Send takes a frame over and never blocks. An error means that it will not
	// arrive; nil does not mean that it will.
	Send func(to uint64, frame []byte) error
	// Open makes a connection for bulk data, whose other end Engine.Bulk of that
	// node gets.
	Open func(ctx context.Context, to uint64) (net.Conn, error)
	// SnapshotRate is how many bytes a second this node sends of groups that it
	// sends as a whole; default 64 MiB, at least 64 KiB.
	SnapshotRate int

	// Tick is Raft's unit of time; default 100 ms. Leaders are heard of every second
	// tick, and missed after Election..2*Election ticks, default 10, at least 3.
	Tick     time.Duration
	Election int
	// SlowDisk is how long a synced write may take before leaderships are given
	// away, default 1 s; after DeadDisk, default 20 s, Fatal is called.
	SlowDisk, DeadDisk time.Duration

	// Lead tells, from the loop, that this node leads the group in that term and
	// has applied everything before it. Lose tells that the leadership of that
	// term is gone; it comes once for each Lead, except at Close.
	Lead, Lose func(group uint16, term uint64)
	// Changed tells, from the loop, that leader, configuration or existence of
	// a group may have changed, or that a replica has taken in a snapshot.
	Changed func(group uint16)
	// Fatal ends the process, for the reason given: what is on disk is known to
	// a new one only. The default logs and exits with 1.
	Fatal func(error)

	// Logger defaults to slog.Default.
	Logger *slog.Logger
	// Metrics may be nil.
	Metrics prometheus.Registerer
}

var errOptions = errors.New("replica: bad options")

func (o *Options) setDefaults() error {
	switch {
	case o.ID == 0 || o.ID >= 1<<64-2: // Raft's names for its own threads
		return fmt.Errorf("%w: node id %x is reserved", errOptions, o.ID)
	case o.Store == nil || o.Send == nil || o.Open == nil:
		return fmt.Errorf("%w: Store, Send and Open are needed", errOptions)
	case o.SnapshotRate < 0 || o.SnapshotRate > 0 && o.SnapshotRate < leastSnapshotRate:
		return fmt.Errorf("%w: snapshots at %d bytes a second; choose %d or more", errOptions, o.SnapshotRate, leastSnapshotRate)
	case o.Tick < 0 || o.Election < 0 || o.Election > 0 && o.Election <= heartbeatTicks:
		return fmt.Errorf("%w: a tick of %v and an election after %d", errOptions, o.Tick, o.Election)
	}
	if o.Tick == 0 {
		o.Tick = defaultTick
	}
	if o.Election == 0 {
		o.Election = defaultElection
	}
	if o.SnapshotRate == 0 {
		o.SnapshotRate = defaultSnapshotRate
	}
	if o.SlowDisk == 0 {
		o.SlowDisk = defaultSlowDisk
	}
	if o.DeadDisk == 0 {
		o.DeadDisk = defaultDeadDisk
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Lead == nil {
		o.Lead = func(uint16, uint64) {}
	}
	if o.Lose == nil {
		o.Lose = func(uint16, uint64) {}
	}
	if o.Changed == nil {
		o.Changed = func(uint16) {}
	}
	if o.Fatal == nil {
		o.Fatal = func(err error) {
			o.Logger.Error("replica: the process ends and recovers when it is started again", "error", err)
			os.Exit(1)
		}
	}
	return nil
}

// NodeID is the Raft id of the node whose store has that id: its first 8 bytes.
// It is 0 for what is no id of a store.
func NodeID(storeNodeID string) uint64 {
	b, err := hex.DecodeString(storeNodeID)
	if err != nil || len(b) < 8 {
		return 0
	}
	return binary.BigEndian.Uint64(b)
}
