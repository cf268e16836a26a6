package replica

import (
	"time"

	"github.com/rouse-im/rouse/internal/plant"
)

// A process that stood still, or a machine that slept, takes itself for the
// leader of what others lead by now, until it hears of them. What it proposes
// does no harm; what it does elsewhere, by right of its leadership, may: so it
// asks first.

// lastOfRight is how long after a tick the next one is missed: others can elect
// a leader after that time.
func (e *Engine) lastOfRight() time.Duration { return time.Duration(e.o.Election) * e.o.Tick }

// Sure tells that this node leads the group, and has not stood still since the
// voters knew it. It costs nothing, and is false for a moment after a standstill.
func (e *Engine) Sure(id uint16) bool {
	g := e.group(id)
	if g == nil {
		return false
	}
	stale := time.Since(e.started)-time.Duration(e.beat.Load()) >= e.lastOfRight()
	l := g.hint.Load() // after the beat: what a tick found out is shown before it
	return l.led && (l.alone || !l.unsure && !stale || plant.On(plant.StandstillUnnoticed))
}

// noteGap asks the voters of all that is led here when this tick comes so late
// that others may lead it.
func (l *loop) noteGap() {
	now := time.Since(l.e.started)
	defer l.e.beat.Store(int64(now)) // when it shows who is unsure
	stood := now - time.Duration(l.e.beat.Load())
	if stood < l.e.lastOfRight() {
		return
	}
	l.e.metrics.stood.Inc()
	l.e.log.Warn("replica: this node stood still, or had no processor; others may lead by now what it led", "for", stood)
	for _, g := range l.groups {
		if g.led != 0 && !isSole(g.conf, l.e.o.ID) {
			g.unsure = true
			l.publish(g)
			l.reassure(g, g.led)
		}
	}
}

// reassure asks the voters of a group until they answer or the leadership ends.
func (l *loop) reassure(g *group, term uint64) {
	l.e.in.reads.Add(1) // one for each group, beside those of callers
	g.reads.next = append(g.reads.next, func(err error) {
		switch {
		case g.led != term:
		case err == nil:
			g.unsure = false
			l.publish(g)
		default:
			l.reassure(g, term)
		}
	})
	l.mark(g)
}
