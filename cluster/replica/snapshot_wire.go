package replica

import (
	"encoding/binary"

	pb "go.etcd.io/raft/v3/raftpb"
)

// Frames of a bulk connection, beside those of package stream. The sender says
// hello, the receiver answers; the sender goes on with the header, unless the
// receiver has it, and with pairs and their end; the receiver answers again.
const (
	frameHello  byte = 16
	frameAnswer byte = 17
	frameHeader byte = 18
)

const helloVersion = 1

// hello asks to send a group.
type hello struct {
	group   uint16
	term    uint64   // of the sender's leadership
	at      position // what is sent is here or above
	session uint64   // random; the same one continues what was broken off
}

func (h hello) append(dst []byte) []byte {
	dst = binary.BigEndian.AppendUint16(append(dst, helloVersion), h.group)
	dst = h.at.append(binary.AppendUvarint(dst, h.term))
	return binary.BigEndian.AppendUint64(dst, h.session)
}

func readHello(b []byte) (hello, error) {
	r := reader{b: b}
	if r.byte() != helloVersion {
		return hello{}, errMalformed
	}
	h := hello{group: r.uint16(), term: r.uvarint(), at: position{r.uvarint(), r.uvarint()}, session: r.uint64()}
	if h.term == 0 || h.at.index == 0 {
		return hello{}, errMalformed
	}
	return h, r.end()
}

// Statuses of an answer.
const (
	answerGo    byte = iota + 1 // send; from above last, if there is one
	answerBusy                  // try again later
	answerAhead                 // the receiver has all of it
	answerNo                    // it was given up, for the reason given
	answerDone                  // it has arrived whole
)

type answer struct {
	status byte
	keys   uint64 // that have arrived; 0 = the header is missing, too
	last   []byte
	reason string
}

func (a answer) append(dst []byte) []byte {
	dst = binary.AppendUvarint(append(dst, a.status), a.keys)
	return appendSized(appendSized(dst, a.last), []byte(a.reason))
}

func readAnswer(b []byte) (answer, error) {
	r := reader{b: b}
	a := answer{status: r.byte(), keys: r.uvarint(), last: r.sized(), reason: string(r.sized())}
	if a.status < answerGo || a.status > answerDone || (a.keys == 0) != (len(a.last) == 0) {
		return answer{}, errMalformed
	}
	return a, r.end()
}

// header says what the keys that follow are.
type header struct {
	at   position
	conf *pb.ConfState
}

func (h header) append(dst []byte) []byte { return appendConf(h.at.append(dst), h.conf) }

func readHeader(b []byte) (h header, err error) {
	r := reader{b: b}
	h.at = position{r.uvarint(), r.uvarint()}
	if r.bad || h.at.index == 0 {
		return header{}, errMalformed
	}
	h.conf, err = readConf(r.b)
	return h, err
}

func appendSized(dst, b []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}
