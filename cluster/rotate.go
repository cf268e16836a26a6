package cluster

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
)

const (
	// keyLimit bounds a step when its context has no deadline.
	keyLimit = 30 * time.Second
	// keyRepeat is how often a node that has not answered is told again.
	keyRepeat = time.Second
)

var errNoKeys = errors.New("cluster: gossip has no keys; start all nodes with a keyring first")

// Keys asks all nodes for their keys, by name; the first is sent with.
func (m *Membership) Keys(ctx context.Context) (map[string][]Print, error) {
	return m.order(ctx, &actorv1.KeyOrder{Step: actorv1.KeyOrder_STEP_LIST})
}

// InstallKey lets all nodes read what is sent with the key.
func (m *Membership) InstallKey(ctx context.Context, key []byte) error {
	_, err := m.order(ctx, &actorv1.KeyOrder{Step: actorv1.KeyOrder_STEP_INSTALL, Key: key, Print: uint64(PrintOf(key))})
	return err
}

// UseKey lets all nodes send with the key, once all of them can read it.
func (m *Membership) UseKey(ctx context.Context, p Print) error {
	return m.after(ctx, actorv1.KeyOrder_STEP_USE, p, "has not installed", func(keys []Print) bool { return slices.Contains(keys, p) })
}

// RemoveKey lets all nodes forget a key, once none of them sends with it.
func (m *Membership) RemoveKey(ctx context.Context, p Print) error {
	return m.after(ctx, actorv1.KeyOrder_STEP_REMOVE, p, "still sends with", func(keys []Print) bool { return keys[0] != p })
}

// RotateKey puts a key in the place of all others: installed, used, and the
// others removed, each step on all nodes before the next. After an error it may
// be called again with the same key.
func (m *Membership) RotateKey(ctx context.Context, key []byte) error {
	next := PrintOf(key)
	if err := m.InstallKey(ctx, key); err != nil {
		return err
	}
	if err := m.UseKey(ctx, next); err != nil {
		return err
	}
	all, err := m.Keys(ctx)
	if err != nil {
		return err
	}
	old := map[Print]bool{}
	for _, keys := range all {
		for _, k := range keys {
			old[k] = k != next
		}
	}
	for k, other := range old {
		if !other {
			continue
		}
		if err := m.RemoveKey(ctx, k); err != nil {
			return err
		}
	}
	return nil
}

// after does a step only if the keys of all nodes allow it.
func (m *Membership) after(ctx context.Context, step actorv1.KeyOrder_Step, p Print, fault string, ready func([]Print) bool) error {
	all, err := m.Keys(ctx)
	if err != nil {
		return err
	}
	var not []string
	for name, keys := range all {
		if len(keys) == 0 || !ready(keys) {
			not = append(not, name)
		}
	}
	if len(not) > 0 {
		slices.Sort(not)
		return fmt.Errorf("cluster: %s %s key %v; nothing was changed", strings.Join(not, ", "), fault, p)
	}
	_, err = m.order(ctx, &actorv1.KeyOrder{Step: step, Print: uint64(p)})
	return err
}

// order brings a step to all nodes that are alive or expected, and repeats it
// until each has done it. The error names those that have not.
func (m *Membership) order(ctx context.Context, o *actorv1.KeyOrder) (map[string][]Print, error) {
	if m.o.Keys == nil {
		return nil, errNoKeys
	}
	if _, ok := ctx.Deadline(); !ok {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, keyLimit)
		defer cancel()
	}
	o.Id, o.From = rand.Uint64(), m.o.Name
	answers := make(chan *actorv1.KeyAnswer, inboxSize)
	m.mu.Lock()
	m.asks[o.Id] = answers
	m.mu.Unlock()
	defer func() {
		m.mu.Lock()
		delete(m.asks, o.Id)
		m.mu.Unlock()
	}()
	t := time.NewTicker(keyRepeat)
	defer t.Stop()
	done := map[string][]Print{}
	for {
		open, err := m.open(done)
		if err != nil {
			return done, err
		}
		if len(open) == 0 {
			return done, nil
		}
		for _, name := range open {
			if name == m.o.Name {
				m.answered(m.obey(o))
			} else {
				m.send(name, &actorv1.GossipNote{Body: &actorv1.GossipNote_Order{Order: o}})
			}
		}
		if err := m.collect(ctx, t.C, answers, done); err != nil {
			return done, err
		}
	}
}

// open names who has to answer still.
func (m *Membership) open(done map[string][]Print) (names []string, err error) {
	m.mu.Lock()
	alive := make(map[string]bool, len(m.nodes))
	for name := range m.nodes {
		alive[name] = true
	}
	m.mu.Unlock()
	if m.o.Expect != nil {
		for _, name := range m.o.Expect() {
			if !alive[name] {
				return nil, fmt.Errorf("cluster: node %s is away, and would be shut out by keys that change without it; start or remove it first", name)
			}
		}
	}
	for name := range alive {
		if _, ok := done[name]; !ok {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names, nil
}

// collect takes answers until everybody has given one or it is time to repeat.
func (m *Membership) collect(ctx context.Context, repeat <-chan time.Time, answers <-chan *actorv1.KeyAnswer, done map[string][]Print) error {
	for {
		select {
		case a := <-answers:
			if a.Fault != "" {
				return fmt.Errorf("cluster: node %s: %s", a.From, a.Fault)
			}
			prints := make([]Print, 0, len(a.Prints))
			for _, p := range a.Prints {
				prints = append(prints, Print(p))
			}
			done[a.From] = prints
			if open, err := m.open(done); err != nil || len(open) == 0 {
				return err
			}
		case <-repeat:
			return nil
		case <-ctx.Done():
			open, _ := m.open(done)
			return fmt.Errorf("cluster: no answer about gossip keys from %s: %w", strings.Join(open, ", "), ctx.Err())
		case <-m.ctx.Done():
			return errors.New("cluster: the membership has ended")
		}
	}
}

// obey does a step on this node.
func (m *Membership) obey(o *actorv1.KeyOrder) *actorv1.KeyAnswer {
	a := &actorv1.KeyAnswer{Id: o.Id, From: m.o.Name}
	if m.o.Keys == nil {
		a.Fault = "it has no keyring"
		return a
	}
	if err := m.o.Keys.step(o.Step, o.Key, Print(o.Print)); err != nil {
		a.Fault = err.Error()
	} else if o.Step != actorv1.KeyOrder_STEP_LIST {
		m.log.Info("cluster: gossip keys changed", "step", o.Step.String(), "key", Print(o.Print).String(), "by", o.From)
	}
	for _, p := range m.o.Keys.Prints() {
		a.Prints = append(a.Prints, uint64(p))
	}
	return a
}

// answered hands an answer to who waits for it.
func (m *Membership) answered(a *actorv1.KeyAnswer) {
	m.mu.Lock()
	c := m.asks[a.Id]
	m.mu.Unlock()
	select {
	case c <- a: // nil: nobody waits any more
	default:
		m.metrics.dropped.Inc()
	}
}
