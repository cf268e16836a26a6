package cluster

import (
	"google.golang.org/protobuf/proto"

	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
)

const (
	// inboxSize bounds the notes that wait to be read; more are dropped, and
	// counted.
	inboxSize = 64
	// maxSending bounds the notes under way to others; more are dropped, and
	// counted.
	maxSending = 16
)

// Exile says that a part of this node has given a living member up for good,
// under its id. The member is told, until it goes by another id.
func (m *Membership) Exile(id string) {
	m.mu.Lock()
	known := false
	for _, member := range m.Members() {
		known = known || member.ID() == id
	}
	if known {
		m.exiled[id] = struct{}{}
	}
	m.mu.Unlock()
	if known {
		m.remind()
	}
}

// remind tells members again that they were given up.
func (m *Membership) remind() {
	m.mu.Lock()
	ids := make(map[string]bool, len(m.exiled))
	for id := range m.exiled {
		ids[id] = true
	}
	m.mu.Unlock()
	if len(ids) == 0 {
		return
	}
	for _, member := range m.Members() {
		if !member.Unknown && ids[member.ID()] {
			m.send(member.Name, &actorv1.GossipNote{Body: &actorv1.GossipNote_Exiled{Exiled: member.ID()}})
		}
	}
}

// send does not wait. A note that does not arrive is repeated by who sent it.
func (m *Membership) send(name string, note *actorv1.GossipNote) {
	b, err := proto.Marshal(note)
	if err != nil {
		m.log.Error("cluster: note not sent", "to", name, "error", err)
		return
	}
	m.mu.Lock()
	n, ok := m.nodes[name]
	m.mu.Unlock()
	if !ok {
		return
	}
	select {
	case m.sending <- struct{}{}:
	default:
		m.metrics.dropped.Inc()
		return
	}
	go func() { // ends with the stream timeout
		defer func() { <-m.sending }()
		if err := m.list.SendReliable(&n.peer, b); err != nil {
			m.log.Debug("cluster: note did not arrive", "to", name, "error", err)
		}
	}()
}

// notes reads what other nodes say to this one.
func (m *Membership) notes() {
	for {
		select {
		case <-m.ctx.Done():
			return
		case b := <-m.inbox:
			note := &actorv1.GossipNote{}
			if err := proto.Unmarshal(b, note); err != nil {
				m.metrics.dropped.Inc()
				continue
			}
			switch body := note.Body.(type) {
			case *actorv1.GossipNote_Exiled:
				m.raise(body.Exiled)
			case *actorv1.GossipNote_Order:
				m.send(body.Order.GetFrom(), &actorv1.GossipNote{Body: &actorv1.GossipNote_Answer{Answer: m.obey(body.Order)}})
			case *actorv1.GossipNote_Answer:
				m.answered(body.Answer)
			default:
				m.metrics.dropped.Inc()
			}
		}
	}
}

// raise gives this node another id if it was given up under the one it has.
func (m *Membership) raise(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if id != m.self.ID() {
		return
	}
	self := m.self
	self.Epoch++
	if err := m.setSelf(self); err != nil {
		m.log.Error("cluster: other nodes have given this one up, and it cannot take another id", "error", err)
		return
	}
	m.metrics.epochs.Inc()
	m.log.Warn("cluster: other nodes had given this one up; it goes by another id now", "epoch", self.Epoch)
}
