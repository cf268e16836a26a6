package roster

import (
	"bytes"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode"

	"google.golang.org/protobuf/proto"

	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	"github.com/rouse-im/rouse/storage"
)

// Bounds.
const (
	MaxMembers = 100 // admitted nodes, with those that are leaving
	MaxRemoved = 1000
	maxName    = 128 // bytes of names, zones, versions
	maxAddress = 260
)

// Reasons why a node is not admitted; the errors say what to do about it.
var (
	ErrInvalid      = errors.New("not valid")
	ErrNotFounded   = errors.New("this cluster has not been founded")
	ErrOtherCluster = errors.New("its data belongs to another cluster")
	ErrOtherShards  = errors.New("its data has another number of shards")
	ErrOtherSeal    = errors.New("it has other sealing keys")
	ErrOtherStore   = errors.New("its id is that of another node")
	ErrNameTaken    = errors.New("its name is that of another node")
	ErrRemoved      = errors.New("it was removed from this cluster")
	ErrFull         = errors.New("the cluster is full")
)

// Terms of admission that are not in the records.
type Terms struct {
	// Shards of the cluster's stores.
	Shards uint32
	// Seal is the fingerprint of the newest sealing key of the node that admits,
	// which one that is no member yet must have; without one, none is asked for.
	Seal []byte
	// Dead tells which nodes are known to be dead, for long enough that no node
	// that only restarts is meant: whoever takes the name of such a node ends its
	// membership.
	Dead func(node uint64) bool
}

// Admit makes a node a member, or keeps it one and notes what has changed:
// addresses, version, name, zone. The answer may be empty. Who comes under the
// name of a dead node has lost that node's disk: the dead one is to leave.
func (v *View) Admit(a *actorv1.Admit, t Terms, now time.Time) ([]storage.Mutation, error) {
	if err := v.admissible(a, t); err != nil {
		return nil, fmt.Errorf("node %q is not admitted: %w", short(a.GetName()), err)
	}
	var ms []storage.Mutation
	for _, m := range v.present {
		if m.GetName() != a.GetName() || m.GetNode() == a.GetNode() || m.GetLeaving() {
			continue
		}
		gone := proto.CloneOf(m)
		gone.Leaving = true
		mutation, err := setMember(gone)
		if err != nil {
			return nil, err
		}
		ms = append(ms, mutation)
	}
	known, _ := v.Member(a.GetNode())
	next := proto.CloneOf(known)
	if known == nil {
		next = &actorv1.Member{Node: a.GetNode(), Store: a.GetStore(), AdmittedAtMs: now.UnixMilli()}
	}
	next.Name, next.Version, next.Zone, next.Addresses = a.GetName(), a.GetVersion(), a.GetZone(), proto.CloneOf(a.GetAddresses())
	if known != nil && proto.Equal(known, next) {
		return ms, nil
	}
	mutation, err := setMember(next)
	if err != nil {
		return nil, err
	}
	return append(ms, mutation), nil
}

func (v *View) admissible(a *actorv1.Admit, t Terms) error {
	if err := wellFormed(a); err != nil {
		return err
	}
	known, member := v.Member(a.GetNode())
	switch {
	case v.cluster == "":
		return fmt.Errorf("%w; start its first node without addresses to join", ErrNotFounded)
	case v.Removed(a.GetNode()):
		return fmt.Errorf("%w; to bring the machine back, start it with an empty data directory", ErrRemoved)
	case a.GetCluster() != "" && a.GetCluster() != v.cluster:
		return fmt.Errorf("%w: %s, not %s; start it with an empty data directory, or let it join the nodes of its own", ErrOtherCluster, short(a.GetCluster()), v.cluster)
	case a.GetShards() != t.Shards:
		return fmt.Errorf("%w: %d, and the cluster has %d; set data.shards to %d and start it with an empty data directory", ErrOtherShards, a.GetShards(), t.Shards, t.Shards)
	case !member && len(t.Seal) > 0 && !bytes.Equal(a.GetSeal(), t.Seal): // of members they differ while keys rotate
		return fmt.Errorf("%w: fingerprint %x, not %x; copy the file of sealing keys of a member to it", ErrOtherSeal, cutBytes(a.GetSeal()), cutBytes(t.Seal))
	case member && known.GetStore() != a.GetStore():
		return fmt.Errorf("%w: %s; start it with an empty data directory, which gets another id", ErrOtherStore, NodeID(a.GetNode()))
	case !member && len(v.present) >= MaxMembers:
		return fmt.Errorf("%w: it has %d nodes; remove some first", ErrFull, len(v.present))
	}
	for _, m := range v.present {
		if m.GetName() == a.GetName() && m.GetNode() != a.GetNode() && !m.GetLeaving() && !t.Dead(m.GetNode()) {
			return fmt.Errorf("%w: %s; give it another with cluster.name, or wait a minute if that one has just died", ErrNameTaken, NodeID(m.GetNode()))
		}
	}
	return nil
}

func wellFormed(a *actorv1.Admit) error {
	node, err := NodeOf(a.GetStore())
	if err != nil {
		return err
	}
	if node != a.GetNode() {
		return fmt.Errorf("%w: node %s is not that of its store", ErrInvalid, NodeID(a.GetNode()))
	}
	if a.GetName() == "" {
		return fmt.Errorf("%w: it has no name; set cluster.name", ErrInvalid)
	}
	for what, text := range map[string]string{"name": a.GetName(), "zone": a.GetZone(), "version": a.GetVersion()} {
		if len(text) > maxName || strings.ContainsFunc(text, func(r rune) bool { return !unicode.IsGraphic(r) }) {
			return fmt.Errorf("%w: its %s is longer than %d bytes or has control characters", ErrInvalid, what, maxName)
		}
	}
	n := a.GetAddresses()
	for what, address := range map[string]string{"peers": n.GetPeers(), "actors": n.GetActors(), "gossip": n.GetGossip()} {
		if address == "" {
			return fmt.Errorf("%w: it names no address of its port %s", ErrInvalid, what)
		}
	}
	for _, address := range []string{n.GetPeers(), n.GetActors(), n.GetGossip(), n.GetGrpc(), n.GetHttp()} {
		if len(address) > maxAddress {
			return fmt.Errorf("%w: an address is longer than %d bytes", ErrInvalid, maxAddress)
		}
	}
	return nil
}

// short keeps what a stranger says of himself short.
func short(text string) string { return text[:min(len(text), maxName)] }

func cutBytes(b []byte) []byte { return b[:min(len(b), 8)] }
