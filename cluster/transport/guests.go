package transport

import (
	"fmt"
	"sync"

	"github.com/rouse-im/rouse/cluster/certs"
)

// maxGuests bounds the addresses of IM nodes that are connected.
const maxGuests = 4096

// guests are the addresses at which IM nodes are answered: each is that of one IM
// node, which must show the same certificate there. The zero value is ready.
type guests struct {
	mu sync.Mutex
	by map[string]*guest
}

type guest struct {
	peer    certs.Peer
	streams int
}

// enter notes one stream of p, which is to be left again.
func (g *guests) enter(address string, p certs.Peer) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	known := g.by[address]
	switch {
	case address == "":
		return fmt.Errorf("transport: %s gives no address", p)
	case known != nil && known.peer != p:
		return fmt.Errorf("transport: %s gives the address %s, which is that of %s", p, address, known.peer)
	case known == nil && len(g.by) >= maxGuests:
		return fmt.Errorf("transport: %d IM nodes are connected; %s has to wait", maxGuests, p)
	case known == nil:
		if g.by == nil {
			g.by = map[string]*guest{}
		}
		known = &guest{peer: p}
		g.by[address] = known
	}
	known.streams++
	return nil
}

// leave ends what enter began; empty = nothing.
func (g *guests) leave(address string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if known := g.by[address]; known != nil {
		if known.streams--; known.streams == 0 {
			delete(g.by, address)
		}
	}
}

func (g *guests) at(address string) (certs.Peer, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if known := g.by[address]; known != nil {
		return known.peer, true
	}
	return certs.Peer{}, false
}
