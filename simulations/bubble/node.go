package bubble

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/asynkron/protoactor-go/actor"

	"github.com/rouse-im/rouse/cluster"
	"github.com/rouse-im/rouse/cluster/memnet"
	"github.com/rouse-im/rouse/internal/app"
	"github.com/rouse-im/rouse/internal/config"
	"github.com/rouse-im/rouse/internal/stepped"
	"github.com/rouse-im/rouse/vendors"
)

// Ports of a node on its host.
const (
	peersPort  = 7702
	actorsPort = 7703
	gossipPort = 7704
)

// tick of replicas at the pace of real nodes.
const tick = 100 * time.Millisecond

// machine is where the runs of one node follow each other: its disk outlives them.
type machine struct {
	e    *Engine
	name string
	disk *disk
	runs int          // so far, under starting
	slow atomic.Int64 // nanoseconds that a sync takes longer
	// ahead is how far its wall clock is, in nanoseconds.
	ahead atomic.Int64
	// failing: the next sync fails.
	failing atomic.Bool
	// dying is held while a run ends, and guards disk.
	dying sync.Mutex
	run   atomic.Pointer[process]
	// starting is held while a run begins.
	starting sync.Mutex
	// frozen and leaving machines are not spoken to.
	frozen, leaving atomic.Bool
}

// process is one run of a node.
type process struct {
	m      *machine
	name   string
	dead   chan struct{} // closed by a crash, or after an orderly stop
	ready  chan struct{} // closed when node serves
	cancel context.CancelFunc
	over   chan struct{} // closed when all of it has ended
	node   *app.Node     // after ready
}

// serving tells whether commands can be given to the node.
func (p *process) serving() bool {
	if p == nil || p.m.frozen.Load() || p.m.leaving.Load() {
		return false
	}
	select {
	case <-p.dead:
		return false
	case <-p.ready:
		return true
	default:
		return false
	}
}

func (m *machine) config() config.Config {
	c := config.Default()
	c.Data.Dir, c.Data.Shards = filepath.Join(m.e.o.Dir, m.name), m.e.o.Shards
	c.Data.BlockCache, c.Data.Memtable, c.Data.MinFreeDisk = 8*config.MiB, config.MiB, 64*config.MiB
	if m.e.o.Pace > 1 { // long: what is kept outgrows these, and is written again and again
		c.Data.BlockCache, c.Data.Memtable = 64*config.MiB, 16*config.MiB
	}
	c.Seal.KeyFile = filepath.Join(m.e.o.Dir, "seal.key")
	c.Lease.TTL = m.e.o.Lease
	c.Cluster.Name = m.name
	host := m.e.net.Host(m.name)
	c.Cluster.Peers, c.Cluster.Actors, c.Cluster.Gossip = host.Addr(peersPort), host.Addr(actorsPort), host.Addr(gossipPort)
	if m != m.e.machines[0] {
		c.Cluster.Join = m.e.net.Host(m.e.machines[0].name).Addr(gossipPort)
	}
	return c
}

// start runs the node on what its disk holds, unless it runs.
func (m *machine) start() *process {
	m.starting.Lock()
	defer m.starting.Unlock()
	if p := m.run.Load(); p != nil {
		select {
		case <-p.dead:
		default:
			return p
		}
	}
	ctx, cancel := context.WithCancel(context.Background())
	m.runs++
	p := &process{m: m, name: fmt.Sprintf("%s/%d", m.name, m.runs), dead: make(chan struct{}), ready: make(chan struct{}), over: make(chan struct{}), cancel: cancel}
	m.run.Store(p)
	m.dying.Lock()
	host, disk := m.e.net.Host(m.name), m.disk
	m.dying.Unlock()
	started := make(chan struct{})
	m.e.work.Go(func() {
		defer close(started)
		node, err := app.StartContext(ctx, app.Options{
			Config: m.config(), Logger: m.logger(), FS: p.watched(disk), BeforeSync: m.wait, Headless: true, Version: "simulated", Now: m.now,
			Led:     func(group uint16, term uint64, leads bool) { m.e.led(p.name, group, term, leads) },
			Network: m.e.network(host), Tick: tick * time.Duration(m.e.o.Pace), Pace: m.e.o.Pace, Vendors: &app.Vendors{
				Dial: func(ctx context.Context, _, address string) (net.Conn, error) { return host.Dial(ctx, address) },
				Sender: func(_, credential string, s vendors.Validator) vendors.Validator {
					return m.e.vendors.watch(p, credential, s)
				},
			},
		})
		if err != nil {
			if ctx.Err() == nil {
				m.e.fault("%s does not start: %v", m.name, err)
			}
			return
		}
		p.node = node
		close(p.ready)
	})
	m.e.work.Go(func() {
		defer close(p.over)
		<-p.dead
		m.e.died(p.name)
		<-started
		if p.node != nil {
			_ = p.node.Stop(ctx) // the network and the disk are another run's
		}
	})
	return p
}

// logger of a run.
func (m *machine) logger() *slog.Logger {
	return slog.New(&listener{m.e.o.Logger.Handler(), m.e.secrets, "the log of " + m.name}).With("node", m.name)
}

// now is the time by the machine's clock.
func (m *machine) now() time.Time { return stepped.Wall(time.Now(), time.Duration(m.ahead.Load())) }

// kill ends the run as kill -9 does; of what was not synced, so many percent stay.
func (m *machine) kill(percent int) { m.crash(m.run.Load(), percent) }

func (m *machine) crash(p *process, percent int) {
	m.dying.Lock()
	defer m.dying.Unlock()
	select {
	case <-p.dead:
		return
	default:
	}
	m.disk = m.disk.crash(percent, m.e.fate.draw())
	close(p.dead)
	m.e.net.Crash(m.name)
	p.cancel()
}

// leave stops a run in order.
func (m *machine) leave() {
	p := m.run.Load()
	select {
	case <-p.dead:
		return
	case <-p.ready:
	default:
		m.kill(100)
		return
	}
	m.leaving.Store(true)
	asked := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	err := p.node.Stop(ctx)
	cancel()
	m.e.stopped(m.name, asked, err)
	m.dying.Lock()
	select {
	case <-p.dead:
	default:
		close(p.dead)
		m.e.net.Crash(m.name)
	}
	m.dying.Unlock()
	m.leaving.Store(false)
}

// network of a host.
func (e *Engine) network(host *memnet.Host) *app.Network {
	return &app.Network{
		Listen: host.Listen, Dial: host.Dial,
		Gossip: func(o *cluster.Options, listen string) (err error) {
			o.Transport, err = host.Gossip(listen)
			return err
		},
		Actors: func(sys *actor.ActorSystem, listen string) (func(), error) {
			return func() {}, host.Attach(sys, listen)
		},
	}
}

func quiet() *slog.Logger { return slog.New(slog.DiscardHandler) }

func nodeName(i int) string { return fmt.Sprintf("node-%d", i) }
