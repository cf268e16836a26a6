package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/memberlist"

	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
)

const (
	// announceLimit bounds the wait until the others have heard of a change.
	announceLimit = 2 * time.Second
	// leaveLimit bounds Leave: many times the gossip interval. Who could hear may be
	// leaving at the same moment.
	leaveLimit = 2 * time.Second
	// conflictPause lies between two complaints about one name of two nodes.
	conflictPause = time.Minute
)

// Membership is this node's view of the living.
type Membership struct {
	o       Options
	list    *memberlist.Memberlist
	log     *slog.Logger
	metrics *metrics
	members atomic.Pointer[[]Member]
	meta    atomic.Pointer[[]byte] // encoded Self, at most MetaMax

	mu       sync.Mutex
	self     Member
	nodes    map[string]node // alive, by name; copied under memberlist's lock
	lost     map[string]time.Time
	exiled   map[string]struct{} // ids that a local part gave up, of living members
	watchers []*watcher
	asks     map[uint64]chan *actorv1.KeyAnswer

	poke     chan struct{} // the list may have changed
	announce chan struct{} // Self has changed
	inbox    chan []byte
	sending  chan struct{} // a place for each note under way
	conflict chan string

	ctx    context.Context
	cancel context.CancelFunc
	loops  sync.WaitGroup
	end    sync.Once
	endErr error
}

// node is what memberlist said of a living node.
type node struct {
	address string // ip:port
	peer    memberlist.Node
	meta    []byte
}

// watcher wants to know the members too.
type watcher struct {
	tell  func([]Member)
	fresh bool
}

// Join starts to listen and to look for the others. It does not wait for any of
// them: a node whose seeds are all away is alone until one is there.
func Join(o Options) (*Membership, error) {
	if err := o.check(); err != nil {
		return nil, err
	}
	o.Self.Name, o.Self.Epoch = o.Name, 1
	meta, err := encodeMeta(o.Self)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithCancel(context.Background())
	m := &Membership{
		o: o, log: o.Logger, metrics: newMetrics(), self: o.Self, ctx: ctx, cancel: cancel,
		nodes: map[string]node{}, lost: map[string]time.Time{}, exiled: map[string]struct{}{}, asks: map[uint64]chan *actorv1.KeyAnswer{},
		poke: make(chan struct{}, 1), announce: make(chan struct{}, 1), inbox: make(chan []byte, inboxSize),
		sending: make(chan struct{}, maxSending), conflict: make(chan string, 1),
	}
	m.meta.Store(&meta)
	m.members.Store(&[]Member{})
	c, err := o.config(ctx)
	if err != nil {
		cancel()
		return nil, err
	}
	d := (*delegate)(m)
	c.Delegate, c.Events, c.Conflict = d, d, d
	if m.list, err = memberlist.Create(c); err != nil {
		cancel()
		return nil, fmt.Errorf("cluster: gossip of node %s does not start: %w", o.Name, err)
	}
	if o.Changed != nil {
		m.watchers = []*watcher{{tell: o.Changed, fresh: true}}
	}
	m.refresh()
	wake(m.poke)
	for _, loop := range []func(){m.topology, m.rejoin, m.notes, m.announcer} {
		m.loops.Go(loop)
	}
	return m, nil
}

// Members returns the living, sorted by name, with this node. It takes no lock;
// the slice must not be changed.
func (m *Membership) Members() []Member { return *m.members.Load() }

// Self returns what this node tells of itself now.
func (m *Membership) Self() Member {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.self
}

// Watch calls tell as Options.Changed is called, and once with the members of
// now. The returned function ends it; a call that has begun may still run.
func (m *Membership) Watch(tell func([]Member)) (stop func()) {
	w := &watcher{tell: tell, fresh: true}
	m.mu.Lock()
	m.watchers = append(m.watchers, w)
	m.mu.Unlock()
	wake(m.poke)
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.watchers = slices.DeleteFunc(m.watchers, func(x *watcher) bool { return x == w })
	}
}

// UpdateSelf tells the others something new of this node. Name, System and
// Epoch stay as they are. It refuses what does not fit into MetaMax.
func (m *Membership) UpdateSelf(self Member) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	self.Name, self.System, self.Epoch, self.Unknown = m.self.Name, m.self.System, m.self.Epoch, false
	return m.setSelf(self)
}

// setSelf needs mu.
func (m *Membership) setSelf(self Member) error {
	meta, err := encodeMeta(self)
	if err != nil {
		return err
	}
	m.self = self
	m.meta.Store(&meta)
	wake(m.announce)
	return nil
}

// announcer brings a changed Self to the others.
func (m *Membership) announcer() {
	for {
		select {
		case <-m.ctx.Done():
			return
		case <-m.announce:
			if err := m.list.UpdateNode(announceLimit); err != nil {
				m.log.Warn("cluster: nobody has heard yet what changed of this node; gossip goes on", "error", err)
			}
		}
	}
}

// topology is the one goroutine that makes and tells the list.
func (m *Membership) topology() {
	var complained time.Time
	for {
		select {
		case <-m.ctx.Done():
			return
		case <-m.poke:
			m.tell(m.refresh())
		case text := <-m.conflict:
			if time.Since(complained) < conflictPause {
				continue
			}
			complained = time.Now()
			m.log.Error("cluster: two nodes go by one name; stop one, or give it another name", "conflict", text)
		}
	}
}

// refresh makes the list of what memberlist has said until now.
func (m *Membership) refresh() (changed bool) {
	m.mu.Lock()
	now := make([]Member, 0, len(m.nodes))
	ids := map[string]struct{}{}
	for name, n := range m.nodes {
		member := decodeMeta(name, n.address, n.meta)
		now = append(now, member)
		ids[member.ID()] = struct{}{}
	}
	for id := range m.exiled {
		if _, ok := ids[id]; !ok {
			delete(m.exiled, id)
		}
	}
	m.mu.Unlock()
	slices.SortFunc(now, func(a, b Member) int { return strings.Compare(a.Name, b.Name) })
	before := m.Members()
	if slices.EqualFunc(before, now, Member.equal) {
		return false
	}
	m.metrics.count(before, now)
	m.members.Store(&now)
	return true
}

// tell calls who wants to know, without a lock.
func (m *Membership) tell(changed bool) {
	m.mu.Lock()
	watchers := slices.Clone(m.watchers)
	m.mu.Unlock()
	for _, w := range watchers {
		if changed || w.fresh {
			w.fresh = false // only this goroutine looks at it
			w.tell(m.Members())
		}
	}
}

// Leave tells the others that this node goes, waits until one of them has heard
// it, for 2 s at most, and ends the membership. When nobody has, the others have
// to notice, as after Close.
func (m *Membership) Leave(ctx context.Context) error {
	limit := leaveLimit
	if t, ok := ctx.Deadline(); ok {
		limit = min(limit, max(time.Until(t), time.Millisecond))
	}
	m.end.Do(func() {
		if err := m.list.Leave(limit); err != nil {
			m.log.Info("cluster: nobody has heard that this node goes", "error", err)
		}
		m.endErr = m.shut()
	})
	return m.endErr
}

// Close ends the membership as a crash would: the others have to notice.
func (m *Membership) Close() error {
	m.end.Do(func() { m.endErr = m.shut() })
	return m.endErr
}

func (m *Membership) shut() error {
	m.cancel()
	err := m.list.Shutdown()
	m.loops.Wait()
	return err
}

// wake lets the reader of c look again; one sign is as good as many.
func wake(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
