// Package backup writes all that a cluster keeps into one archive, brings it
// back, in as many shards as are wanted, and makes a single survivor able to go
// on without the others.
//
// An archive is frames of package storage/stream: a head; for each group its
// section, its pairs and their end; and the manifest, which says what must have
// been before it. Values are as they are stored: tokens and credentials are
// sealed, and without the sealing keys, which are not in the archive, they are
// worth nothing.
package backup

import (
	"bufio"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rouse-im/rouse/cluster/replica"
	"github.com/rouse-im/rouse/cluster/roster"
	"github.com/rouse-im/rouse/storage"
	"github.com/rouse-im/rouse/storage/seal"
	"github.com/rouse-im/rouse/storage/stream"
)

// formatVersion is that of the archive.
const formatVersion = 1

const (
	frameHead     byte = 32
	frameSection  byte = 33
	frameManifest byte = 34
)

// ErrArchive refuses what is no whole archive.
var ErrArchive = errors.New("backup: not a whole archive")

// ErrPartial refuses to write what a stopped node alone cannot.
var ErrPartial = errors.New("backup: this node does not hold all groups; ask the running cluster for the backup")

// ErrCut ends a backup whose node went away while a group came from it.
var ErrCut = errors.New("backup: a group did not come whole; take the backup again")

// Fingerprint tells sealing keys apart without telling them.
func Fingerprint(ring *seal.Ring) string {
	sum := ring.Sum("backup")
	return hex.EncodeToString(sum[:8])
}

// Head says what an archive is of.
type Head struct {
	Format  int    `json:"format"`
	Cluster string `json:"cluster,omitempty"` // empty for a node that was never in one
	Node    string `json:"node"`
	Shards  uint16 `json:"shards"`
	// Seal is the fingerprint of the sealing keys; empty if it is not known.
	Seal  string    `json:"seal,omitempty"`
	Taken time.Time `json:"taken"`
}

// Group is one section.
type Group struct {
	Group uint16 `json:"group"`
	// Applied is the entry of the group's log up to which its keys are.
	Applied uint64 `json:"applied"`
	Keys    uint64 `json:"keys"`
	Bytes   uint64 `json:"bytes"`
	Hash    string `json:"hash"`
}

// Manifest ends an archive.
type Manifest struct {
	Head
	Groups []Group `json:"groups"`
}

// Options of Write.
type Options struct {
	// Seal is the fingerprint of the sealing keys; may be empty.
	Seal string
	Now  time.Time
	// Fetch brings a group from the node that leads it; nil without an error = this
	// node does, and the store has it. Without Fetch all groups are the store's.
	Fetch func(group uint16) (*replica.Fetched, error)
	// Progress is told of each group that is done; may be nil.
	Progress func(Group)
}

// Write writes all groups of a store, or of the nodes of its cluster, each as it
// is at one moment. No more than some frames are in memory at once.
func Write(w io.Writer, s *storage.Store, o Options) (Manifest, error) {
	cluster, err := roster.Cluster(s)
	if err != nil {
		return Manifest{}, err
	}
	m := Manifest{Head: Head{
		Format: formatVersion, Cluster: cluster, Node: s.NodeID(), Shards: s.Shards(), Seal: o.Seal, Taken: o.Now.UTC(),
	}}
	if o.Fetch == nil {
		if err := complete(s); err != nil {
			return m, err
		}
	}
	b := bufio.NewWriterSize(w, 64<<10)
	if err := writeJSON(b, frameHead, m.Head); err != nil {
		return m, err
	}
	for group := range s.Shards() + 1 {
		g, err := o.writeGroup(b, s, group)
		if err != nil {
			return m, fmt.Errorf("backup: group %d: %w", group, err)
		}
		m.Groups = append(m.Groups, g)
		if o.Progress != nil {
			o.Progress(g)
		}
	}
	if err := writeJSON(b, frameManifest, m); err != nil {
		return m, err
	}
	return m, b.Flush()
}

// complete refuses a store that has replicas of some groups only. One without
// any is of an older release, and has all.
func complete(s *storage.Store) error {
	held, err := s.Replicas()
	if err != nil || len(held) == 0 || len(held) == int(s.Shards())+1 {
		return err
	}
	return fmt.Errorf("%w: it holds %d of %d", ErrPartial, len(held), int(s.Shards())+1)
}

func (o *Options) writeGroup(w io.Writer, s *storage.Store, group uint16) (Group, error) {
	if o.Fetch == nil {
		return ownGroup(w, s, group)
	}
	f, err := o.Fetch(group)
	if err != nil {
		return Group{}, err
	}
	if f == nil {
		return ownGroup(w, s, group)
	}
	g, err := relay(w, group, f)
	return g, errors.Join(err, f.Close())
}

// relay writes a group as it comes from another node.
func relay(w io.Writer, group uint16, f *replica.Fetched) (Group, error) {
	g := Group{Group: group, Applied: f.Applied}
	if err := writeJSON(w, frameSection, g); err != nil {
		return g, err
	}
	total := stream.NewTotal()
	for {
		kind, payload, err := f.Next()
		if err != nil {
			return g, fmt.Errorf("%w: %w", ErrCut, err)
		}
		switch kind {
		case stream.Pairs:
			err = stream.ReadPairs(payload, func(key, value []byte) error { total.Add(key, value); return nil })
		case stream.End:
			err = total.Check(payload)
		default:
			err = fmt.Errorf("a frame of kind %d is out of place", kind)
		}
		if err == nil {
			err = stream.WriteFrame(w, kind, payload)
		}
		if err != nil || kind == stream.End {
			g.count(total)
			return g, err
		}
	}
}

func ownGroup(w io.Writer, s *storage.Store, group uint16) (g Group, err error) {
	v, err := s.View()
	if err != nil {
		return g, err
	}
	defer func() { err = errors.Join(err, v.Close()) }()
	g.Group = group
	if g.Applied, err = replica.AppliedIn(v, group); err != nil {
		return g, err
	}
	if err := writeJSON(w, frameSection, g); err != nil {
		return g, err
	}
	out := stream.NewWriter(w)
	for _, r := range storage.ShardRanges(group) {
		var failed error
		err := v.Scan(r, func(key, value []byte) bool {
			failed = out.Add(key, value)
			return failed == nil
		})
		if err := errors.Join(err, failed); err != nil {
			return g, err
		}
	}
	g.count(out.Total())
	return g, out.End()
}

func (g *Group) count(t *stream.Total) {
	g.Keys, g.Bytes, g.Hash = t.Keys, t.Bytes, fmt.Sprintf("%016x", t.Sum())
}

func writeJSON(w io.Writer, kind byte, v any) error {
	b, err := json.Marshal(v)
	if err != nil {
		return err
	}
	return stream.WriteFrame(w, kind, b)
}

// Read reads an archive, checks all of it, and calls fn, which may be nil, for
// each pair, in the order of groups and keys. What fn has seen is not to be
// trusted before Read returns without an error.
func Read(r io.Reader, fn func(group uint16, key, value []byte) error) (Manifest, error) {
	a := &archive{in: stream.NewReader(bufio.NewReaderSize(r, 64<<10)), fn: fn}
	for !a.ended {
		kind, payload, err := a.in.Next()
		if errors.Is(err, io.EOF) {
			err = errors.New("it ends too early")
		}
		if err == nil {
			err = a.frame(kind, payload)
		}
		if err != nil {
			return Manifest{}, fmt.Errorf("%w: %w", ErrArchive, err)
		}
	}
	if _, _, err := a.in.Next(); !errors.Is(err, io.EOF) {
		return Manifest{}, fmt.Errorf("%w: something follows on its end", ErrArchive)
	}
	return a.said, nil
}

// archive is what has been read of one.
type archive struct {
	in    *stream.Reader
	fn    func(group uint16, key, value []byte) error
	head  *Head
	open  *Group
	total *stream.Total
	found []Group
	said  Manifest
	ended bool
}

func (a *archive) frame(kind byte, payload []byte) error {
	switch {
	case kind == frameHead && a.head == nil:
		a.head = &Head{}
		if err := json.Unmarshal(payload, a.head); err != nil {
			return err
		}
		if a.head.Format != formatVersion {
			return fmt.Errorf("it has format %d, this release knows %d", a.head.Format, formatVersion)
		}
		if a.head.Shards < 1 || a.head.Shards > storage.MaxShards {
			return fmt.Errorf("it has %d shards", a.head.Shards)
		}
		return nil
	case kind == frameSection && a.head != nil && a.open == nil:
		a.open, a.total = &Group{}, stream.NewTotal()
		if err := json.Unmarshal(payload, a.open); err != nil {
			return err
		}
		if int(a.open.Group) != len(a.found) || a.open.Group > a.head.Shards {
			return fmt.Errorf("group %d comes after %d others", a.open.Group, len(a.found))
		}
		return nil
	case kind == stream.Pairs && a.open != nil:
		return stream.ReadPairs(payload, func(key, value []byte) error {
			a.total.Add(key, value)
			if a.fn == nil {
				return nil
			}
			return a.fn(a.open.Group, key, value)
		})
	case kind == stream.End && a.open != nil:
		err := a.total.Check(payload)
		a.open.count(a.total)
		a.found = append(a.found, *a.open)
		a.open = nil
		return err
	case kind == frameManifest && a.head != nil && a.open == nil:
		a.ended = true
		return a.compare(payload)
	}
	return fmt.Errorf("a frame of kind %d is out of place", kind)
}

// compare checks that the archive has what its manifest says.
func (a *archive) compare(payload []byte) error {
	if err := json.Unmarshal(payload, &a.said); err != nil {
		return err
	}
	if !a.said.Taken.Equal(a.head.Taken) || a.said.Node != a.head.Node || a.said.Shards != a.head.Shards {
		return errors.New("its manifest is of another archive")
	}
	if len(a.found) != int(a.head.Shards)+1 || len(a.said.Groups) != len(a.found) {
		return fmt.Errorf("it has %d groups, its manifest %d, for %d shards", len(a.found), len(a.said.Groups), a.head.Shards)
	}
	for i, g := range a.found {
		if a.said.Groups[i] != g {
			return fmt.Errorf("group %d has %d keys with hash %s, its manifest says %d with %s",
				g.Group, g.Keys, g.Hash, a.said.Groups[i].Keys, a.said.Groups[i].Hash)
		}
	}
	return nil
}
