package memnet

import (
	"math/rand/v2"
	"time"
)

// maxHeldPackets bounds what a clogged link keeps; more packets are lost.
const maxHeldPackets = 1024

// link is one direction between two hosts. Guarded by Net.mu.
type link struct {
	n        *Net
	from, to string
	latency  time.Duration
	jitter   time.Duration
	loss     float64
	random   *rand.Rand

	cut   bool
	clog  bool
	free  time.Time // when the wire has sent what it was given
	flows []*flow   // that have something under way
	held  []func()  // packets of a clogged link
}

// late draws how long the next thing takes.
func (l *link) late() time.Duration {
	d := l.latency
	if l.jitter > 0 {
		d += time.Duration(l.random.Int64N(int64(l.jitter) + 1))
	}
	return d
}

// arrival says when size bytes that are sent now are there.
func (l *link) arrival(size int) time.Time {
	sent := time.Now()
	if l.n.o.Bandwidth > 0 && l.from != l.to {
		if l.free.After(sent) {
			sent = l.free
		}
		sent = sent.Add(time.Duration(size) * time.Second / time.Duration(l.n.o.Bandwidth))
		l.free = sent
	}
	return sent.Add(l.late())
}

// silent says that one of the hosts is frozen.
func (l *link) silent() bool {
	from, to := l.n.hosts[l.from], l.n.hosts[l.to]
	return from != nil && from.frozen || to != nil && to.frozen
}

func (l *link) blocked() bool { return l.from != l.to && l.cut || l.clog || l.silent() }

// packet sends size bytes that may get lost.
func (l *link) packet(size int, do func()) {
	switch {
	case l.from != l.to && l.cut, l.loss > 0 && l.random.Float64() < l.loss:
	case l.blocked():
		if len(l.held) < maxHeldPackets {
			l.held = append(l.held, do)
		}
	default:
		time.AfterFunc(time.Until(l.arrival(size)), do)
	}
}

// opened lets go what waited, unless something else still holds it.
func (l *link) opened() {
	if l.blocked() {
		return
	}
	for _, do := range l.held {
		time.AfterFunc(l.late(), do)
	}
	l.held = nil
	for _, f := range l.flows {
		f.release()
	}
}

// Latency changes the delay of both directions between two hosts, for what is
// sent from now on.
func (n *Net) Latency(a, b string, latency, jitter time.Duration) {
	n.both(a, b, func(l *link) { l.latency, l.jitter = latency, jitter })
}

// Loss changes the share of packets that get lost between two hosts, 0..1.
func (n *Net) Loss(a, b string, share float64) {
	n.both(a, b, func(l *link) { l.loss = share })
}

func (n *Net) both(a, b string, set func(*link)) {
	n.mu.Lock()
	defer n.mu.Unlock()
	set(n.link(a, b))
	set(n.link(b, a))
}

// Cut stops one direction: packets are lost, connections stall.
func (n *Net) Cut(from, to string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.link(from, to).cut = true
}

// Clog stops one direction and keeps what is sent, up to 1024 packets; Heal
// delivers it.
func (n *Net) Clog(from, to string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.link(from, to).clog = true
}

// Partition cuts all links between hosts of different sets, both ways. A host
// that is in no set keeps all of its links.
func (n *Net) Partition(sets ...[]string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	for i, a := range sets {
		for j, b := range sets {
			if i == j {
				continue
			}
			for _, from := range a {
				for _, to := range b {
					n.link(from, to).cut = true
				}
			}
		}
	}
}

// Mend undoes cuts and clogs of one direction.
func (n *Net) Mend(from, to string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	l := n.link(from, to)
	l.cut, l.clog = false, false
	l.opened()
}

// Heal undoes cuts, clogs and partitions of all links.
func (n *Net) Heal() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, l := range n.links {
		l.cut, l.clog = false, false
		l.opened()
	}
}

// Freeze lets a host neither hear nor be heard until Thaw, as a process that was
// stopped; frozen for good it is a machine without power. What runs on it in the
// test goes on, so its timers do too.
func (n *Net) Freeze(name string) { n.freeze(name, true) }

// Thaw undoes Freeze: what was under way arrives.
func (n *Net) Thaw(name string) { n.freeze(name, false) }

func (n *Net) freeze(name string, frozen bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h := n.hosts[name]
	if h == nil {
		return
	}
	h.frozen = frozen
	for _, l := range n.links {
		if !frozen && (l.from == name || l.to == name) {
			l.opened()
		}
	}
}

// Crash ends a host as a killed process: what it opened fails at once for who
// uses it there, and the other ends of its connections are reset after the time
// of the link. Until the next Net.Host of that name it refuses connections.
func (n *Net) Crash(name string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	h := n.hosts[name]
	if h == nil || h.down {
		return
	}
	h.down, h.frozen = true, false
	close(h.gone)
	for _, l := range h.listeners {
		l.shut()
	}
	for e := range h.ends {
		e.die()
	}
	clear(h.ends)
	clear(h.listeners)
	clear(h.gossips)
	clear(h.systems)
	for _, l := range n.links {
		if l.from == name || l.to == name {
			l.opened()
		}
	}
}
