package cluster

import (
	"context"
	"math/rand/v2"
	"net"
	"sync"
	"time"
)

const (
	// rejoinInterval is how often seeds and lost members are asked again: gossip
	// itself forgets who was away for half a minute, so without it the halves of
	// a longer partition would never meet.
	rejoinInterval = 5 * time.Second
	resolveLimit   = 3 * time.Second
	// maxCandidates bounds the addresses asked in one round, lostPerRound those
	// of lost members among them, and joining those asked at the same time.
	maxCandidates = 64
	lostPerRound  = 3
	joining       = 4
)

func (m *Membership) rejoin() {
	t := time.NewTicker(rejoinInterval)
	defer t.Stop()
	for {
		m.remind()
		m.round()
		select {
		case <-m.ctx.Done():
			return
		case <-t.C:
		}
	}
}

// round asks everybody who may be alive and is not taken for it.
func (m *Membership) round() {
	place := make(chan struct{}, joining)
	var under sync.WaitGroup
	for _, addr := range m.candidates() {
		select {
		case place <- struct{}{}:
		case <-m.ctx.Done():
			return
		}
		under.Go(func() {
			m.metrics.rejoins.Inc()
			if _, err := m.list.Join([]string{addr}); err != nil {
				m.log.Debug("cluster: nobody to join", "address", addr, "error", err)
			}
			<-place
		})
	}
	// A join that hangs must hold up neither the next round for long nor Close.
	done := make(chan struct{})
	go func() { under.Wait(); close(done) }()
	select {
	case <-done:
	case <-m.ctx.Done():
	}
}

// candidates resolves the seeds, adds known and some lost members, and leaves out
// who is alive.
func (m *Membership) candidates() []string {
	found := map[string]bool{}
	for _, seed := range m.o.Seeds {
		host, port, err := net.SplitHostPort(seed)
		if err != nil {
			continue // refused by Options.check
		}
		for _, ip := range m.resolve(host) {
			found[net.JoinHostPort(ip, port)] = true
		}
	}
	if m.o.Known != nil {
		for _, addr := range m.o.Known() {
			if _, _, err := net.SplitHostPort(addr); err == nil {
				found[addr] = true
			}
		}
	}
	m.mu.Lock()
	n := 0
	for addr, since := range m.lost {
		if time.Since(since) > lostFor {
			delete(m.lost, addr)
			continue
		}
		if n < lostPerRound {
			found[addr] = true
			n++
		}
	}
	for _, alive := range m.nodes {
		delete(found, alive.address)
	}
	m.mu.Unlock()
	list := make([]string, 0, len(found))
	for addr := range found {
		list = append(list, addr)
	}
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list[:min(len(list), maxCandidates)]
}

func (m *Membership) resolve(host string) []string {
	if net.ParseIP(host) != nil {
		return []string{host}
	}
	ctx, cancel := context.WithTimeout(m.ctx, resolveLimit)
	defer cancel()
	ips, err := m.o.Resolve(ctx, host)
	if err != nil {
		m.log.Debug("cluster: seed has no address now", "host", host, "error", err)
	}
	return ips
}
