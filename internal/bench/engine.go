package bench

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/rouse-im/rouse/internal/app"
	"github.com/rouse-im/rouse/internal/config"
	"github.com/rouse-im/rouse/storage/seal"
)

// engine is the role of the server: a whole node in its default configuration
// on a temporary directory, in which everything is synced as ever.
type engine struct {
	process
	node *app.Node
	dir  string
}

// Engine says where a node listens, and its operator's key.
type Engine struct{ GRPC, Key string }

// Start founds a store that holds so many users already, and serves it.
func (e *engine) Start(users int, to *Engine) (err error) {
	if e.dir, err = os.MkdirTemp("", "rouse-bench-"); err != nil {
		return err
	}
	c := engineConfig(filepath.Join(e.dir, "data"))
	c.GRPC.Listen, c.HTTP.Listen = "127.0.0.1:0", "127.0.0.1:0"
	c.Seal.KeyFile = filepath.Join(e.dir, "seal.key")
	if err := seal.Generate(c.Seal.KeyFile); err != nil {
		return err
	}
	if err := e.serve(c, users, to); err != nil {
		return err
	}
	settle()
	key, err := os.ReadFile(filepath.Join(c.Data.Dir, app.OperatorKeyFile))
	to.Key = strings.TrimSpace(string(key))
	return err
}

// engineConfig is the default one, but that binding users one call at a time
// would meet the limit of calls.
func engineConfig(dir string) config.Config {
	c := config.Default()
	c.Data.Dir = dir
	c.Limits.CallsPerSecond, c.Limits.Burst = 1_000_000, 1_000_000
	return c
}

// serve runs the node, whose store is founded with so many users.
func (e *engine) serve(c config.Config, users int, to *Engine) (err error) {
	if users > 0 {
		if err := seed(c.Data.Dir, users); err != nil {
			return err
		}
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))
	if e.node, err = app.Start(app.Options{Config: c, Logger: log}); err != nil {
		return err
	}
	*to = Engine{GRPC: e.node.GRPCAddr()}
	return nil
}

// settle waits until the process has next to nothing to do: the compactions
// that founding the store made due are no part of any round.
func settle() {
	const look, busy = 250 * time.Millisecond, 5 * time.Millisecond
	for range int(settleMost / look) {
		before := cpu()
		<-time.After(look)
		if cpu()-before < busy {
			return
		}
	}
}

// settleMost bounds the wait for compactions.
const settleMost = time.Minute

// Settled answers the CPU time when all pushes have ended and their outcomes
// are on disk.
func (e *engine) Settled(_ Nothing, d *time.Duration) error {
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	last := Commits{Entries: -1}
	for range tick.C {
		reserved := 0
		for _, l := range e.node.Lanes().All() {
			reserved += l.Stats().Reserved
		}
		var now Commits
		if err := e.Commits(Nothing{}, &now); err != nil {
			return err
		}
		if reserved == 0 && now == last {
			break
		}
		last = now
	}
	*d = cpu()
	return nil
}

// Commits counts what was written durably.
type Commits struct {
	Synced  int64 // synced commits
	Entries int64 // of shards
	Bytes   int64
}

// Received answers the bytes of groups that came as a whole.
func (e *engine) Received(_ Nothing, bytes *int64) error {
	families, err := e.node.Registry().Gather()
	for _, f := range families {
		if f.GetName() == "rouse_replica_snapshot_received_bytes_total" {
			*bytes = int64(f.GetMetric()[0].GetCounter().GetValue())
		}
	}
	return err
}

// Commits answers the counts since the start.
func (e *engine) Commits(_ Nothing, c *Commits) error {
	families, err := e.node.Registry().Gather()
	for _, f := range families {
		for _, m := range f.GetMetric() {
			switch f.GetName() {
			case "rouse_storage_commit_entries":
				c.Synced, c.Entries = int64(m.GetHistogram().GetSampleCount()), int64(m.GetHistogram().GetSampleSum())
			case "rouse_storage_commit_bytes":
				c.Bytes = int64(m.GetHistogram().GetSampleSum())
			}
		}
	}
	return err
}

// Heap answers the bytes that are in use on the heap after a collection.
func (*engine) Heap(_ Nothing, bytes *int64) error {
	// Twice: what pools hold goes with the second one.
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	*bytes = int64(m.HeapAlloc)
	return nil
}

func (e *engine) close() error {
	err := e.closeProfile()
	if e.node != nil {
		ctx, cancel := context.WithTimeout(context.Background(), stopGrace/2)
		defer cancel()
		err = errors.Join(err, e.node.Stop(ctx))
	}
	if e.dir != "" {
		err = errors.Join(err, os.RemoveAll(e.dir))
	}
	return err
}
