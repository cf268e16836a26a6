package link

import (
	"encoding/binary"
	"fmt"
	"io"
)

// version is the newest form of what follows the hello. The sides speak the
// lower one of theirs. The hello and its answer have the same form for ever.
const version = 1

const magic = "RLNK"

// Kinds of connections.
const (
	kindFrames = 1
	kindBulk   = 2
)

// verdict answers a hello.
type verdict byte

const (
	accepted verdict = iota
	otherCluster
	otherNode
	stranger
	badCertificate
	busy
	unknownKind
)

var verdicts = [...]string{
	accepted: "accepted", otherCluster: "other_cluster", otherNode: "other_node", stranger: "not_admitted",
	badCertificate: "certificate", busy: "busy", unknownKind: "unknown_kind",
}

func (v verdict) String() string {
	if int(v) < len(verdicts) {
		return verdicts[v]
	}
	return fmt.Sprintf("verdict %d of a newer version", byte(v))
}

// Error has a verdict be why the node that gives it refuses.
func (v verdict) Error() string { return v.String() }

// refusal is an error because of a verdict.
type refusal struct {
	verdict verdict
	by      uint64
}

func (r refusal) Error() string {
	why := "the peer refused the connection: " + r.verdict.String()
	switch r.verdict {
	case otherCluster:
		why = "the peer belongs to another cluster: compare the cluster labels of both nodes"
	case otherNode:
		why = fmt.Sprintf("another node answers at this address: %016x", r.by)
	case stranger:
		why = "the peer does not know this node as a member (yet)"
	case badCertificate:
		why = "the peer knows this node by another certificate"
	case busy:
		why = "the peer has too many connections of this kind"
	case accepted, unknownKind:
	}
	return "link: " + why
}

// hello opens a connection: magic, version u8, kind u8, from u64, to u64, length
// u8 and name of the cluster.
type hello struct {
	version, kind byte
	from, to      uint64
	cluster       string
}

func (h hello) encode() []byte {
	b := append([]byte(magic), version, h.kind)
	b = binary.BigEndian.AppendUint64(b, h.from)
	b = binary.BigEndian.AppendUint64(b, h.to)
	b = append(b, byte(len(h.cluster)))
	return append(b, h.cluster...)
}

func readHello(r io.Reader) (h hello, err error) {
	var b [len(magic) + 2 + 8 + 8 + 1]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return h, err
	}
	if string(b[:4]) != magic {
		return h, fmt.Errorf("link: who connected speaks another protocol: it began with %q", b[:4])
	}
	h.version, h.kind = b[4], b[5]
	h.from, h.to = binary.BigEndian.Uint64(b[6:]), binary.BigEndian.Uint64(b[14:])
	name := make([]byte, b[22])
	if _, err := io.ReadFull(r, name); err != nil {
		return h, err
	}
	h.cluster = string(name)
	return h, nil
}

// answer follows a hello: magic, version u8, verdict u8, id of who answers u64.
type answer struct {
	version byte
	verdict verdict
	id      uint64
}

func (a answer) encode() []byte {
	return binary.BigEndian.AppendUint64(append([]byte(magic), version, byte(a.verdict)), a.id)
}

func readAnswer(r io.Reader) (a answer, err error) {
	var b [len(magic) + 2 + 8]byte
	if _, err := io.ReadFull(r, b[:]); err != nil {
		return a, err
	}
	if string(b[:4]) != magic {
		return a, fmt.Errorf("link: who listens there speaks another protocol: it began with %q", b[:4])
	}
	return answer{b[4], verdict(b[5]), binary.BigEndian.Uint64(b[6:])}, nil
}
