package replica

import (
	"bufio"
	"fmt"
	"net"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/rouse-im/rouse/storage"
	"github.com/rouse-im/rouse/storage/stream"
)

func TestSnapshotFramesRoundTrip(t *testing.T) {
	h := hello{group: 7, term: 3, at: position{9, 2}, session: 1 << 63}
	if got, err := readHello(h.append(nil)); err != nil || got != h {
		t.Errorf("%+v became %+v, %v", h, got, err)
	}
	for _, a := range []answer{{status: answerGo}, {status: answerGo, keys: 3, last: []byte("key")}, {status: answerNo, reason: "why"}} {
		got, err := readAnswer(a.append(nil))
		if err != nil || got.status != a.status || got.keys != a.keys || string(got.last) != string(a.last) || got.reason != a.reason {
			t.Errorf("%+v became %+v, %v", a, got, err)
		}
	}
	head := header{at: position{9, 2}, conf: &pb.ConfState{Voters: []uint64{1, 2}, Learners: []uint64{3}, AutoLeave: new(true)}}
	if got, err := readHeader(head.append(nil)); err != nil || got.at != head.at || !reflect.DeepEqual(got.conf.GetVoters(), head.conf.GetVoters()) {
		t.Errorf("%+v became %+v, %v", head, got, err)
	}
	for what, err := range map[string]error{
		"a hello of another version": second(readHello(append([]byte{9}, h.append(nil)[1:]...))),
		"a hello without a term":     second(readHello(hello{at: h.at}.append(nil))),
		"a hello that goes on":       second(readHello(append(h.append(nil), 0))),
		"an answer of no status":     second(readAnswer(answer{}.append(nil))),
		"keys without the last":      second(readAnswer(answer{status: answerGo, keys: 1}.append(nil))),
		"the last without keys":      second(readAnswer(answer{status: answerGo, last: []byte("k")}.append(nil))),
		"a header of no index":       second(readHeader(header{}.append(nil))),
	} {
		if err == nil {
			t.Errorf("%s was read", what)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func FuzzSnapshotFrames(f *testing.F) {
	f.Add(hello{group: 7, term: 3, at: position{9, 2}}.append(nil))
	f.Add(answer{status: answerGo, keys: 3, last: []byte("key")}.append(nil))
	f.Fuzz(func(_ *testing.T, b []byte) {
		_, _ = readHello(b)
		_, _ = readAnswer(b)
		_, _ = readHeader(b)
	})
}

// dialogue speaks to a node's Bulk by hand.
type dialogue struct {
	t    *testing.T
	conn net.Conn
	in   *stream.Reader
	end  chan struct{}
}

func (n *node) talk(t *testing.T, from uint64) *dialogue {
	here, there := net.Pipe()
	d := &dialogue{t: t, conn: here, in: stream.NewReader(bufio.NewReader(here)), end: make(chan struct{})}
	go func() { defer close(d.end); n.engine.Bulk(from, there) }()
	return d
}

func (d *dialogue) say(kind byte, payload []byte) {
	d.t.Helper()
	if err := stream.WriteFrame(d.conn, kind, payload); err != nil {
		d.t.Error(err)
	}
}

func (d *dialogue) hear() answer {
	d.t.Helper()
	kind, payload, err := d.in.Next()
	if err != nil || kind != frameAnswer {
		d.t.Errorf("frame %d, %v", kind, err)
		return answer{}
	}
	a, err := readAnswer(payload)
	if err != nil {
		d.t.Error(err)
	}
	a.last = append([]byte(nil), a.last...)
	return a
}

func (d *dialogue) close() { _ = d.conn.Close(); <-d.end }

func hi(group uint16, term, index, session uint64) []byte {
	return hello{group: group, term: term, at: position{index, term}, session: session}.append(nil)
}

// pairs is a frame of keys of group 2.
func pairs(keys ...string) []byte {
	var b []byte
	for _, k := range keys {
		b = appendSized(appendSized(b, name(2, k)), []byte(k))
	}
	return b
}

// TestReceiverAnswers what senders may say.
func TestReceiverAnswers(t *testing.T) {
	conf := &pb.ConfState{Voters: []uint64{8, 9}}
	bubble(t, 0, func(t *testing.T, w *world) {
		var said atomic.Int64 // frames to node 9
		w.options = func(o *Options) {
			o.Send = func(to uint64, _ []byte) error {
				if to == 9 {
					said.Add(1)
				}
				return nil
			}
		}
		n := w.start(1, vfs.NewCrashableMem())
		found(t, n, 1)
		w.leader(1)
		n.mustPut(1, "x")
		once := func(what string, hello []byte, status byte, reason string) {
			t.Helper()
			d := n.talk(t, 9)
			defer d.close()
			d.say(frameHello, hello)
			if a := d.hear(); a.status != status || !strings.Contains(a.reason, reason) {
				t.Errorf("%s: answer %d, %q", what, a.status, a.reason)
			}
		}
		once("an unknown group", hi(testShards+1, 1, 5, 1), answerNo, "no group")
		once("what is there", hi(1, 5, 2, 1), answerAhead, "")
		w.pass(0)
		if said.Load() == 0 {
			t.Error("Raft did not tell the leader what is there: it would ask for ever")
		}

		first := n.talk(t, 9)
		first.say(frameHello, hi(2, 5, 50, 77))
		if a := first.hear(); a.status != answerGo || a.keys != 0 {
			t.Errorf("a first group: %+v", a)
		}
		first.say(frameHeader, header{at: position{50, 5}, conf: conf}.append(nil))
		first.say(stream.Pairs, pairs("a", "b"))
		once("an older leader", hi(2, 4, 50, 78), answerNo, "later leader")
		other := n.talk(t, 9)
		other.say(frameHello, hi(3, 5, 50, 79))
		if a := other.hear(); a.status != answerGo {
			t.Errorf("a second group: %+v", a)
		}
		once("a third group", hi(4, 5, 50, 80), answerBusy, "other groups")
		first.close()
		again := n.talk(t, 9)
		again.say(frameHello, hi(2, 5, 50, 77))
		if a := again.hear(); a.status != answerGo || a.keys != 2 || string(a.last) != string(name(2, "b")) {
			t.Errorf("the first group again: %+v", a)
		}
		once("the same on a second connection", hi(2, 5, 50, 77), answerBusy, "former connection")
		again.close()
		other.close()
		w.pass(0)
		once("an evicted one's place", hi(4, 5, 50, 80), answerGo, "")
		w.pass(2 * resumeFor)
		if s := len(n.engine.traffic.arriving); s != 0 {
			t.Errorf("%d groups still arrive", s)
		}
		bad(t, n, conf)
	})
}

// bad sends what no sender sends, and finds it given up.
func bad(t *testing.T, n *node, conf *pb.ConfState) {
	t.Helper()
	head := header{at: position{50, 5}, conf: conf}.append(nil)
	end := func(count int) []byte {
		total := stream.NewTotal()
		for i := range count {
			k := fmt.Sprint(i)
			total.Add(name(2, k), []byte(k))
		}
		return total.Append(nil)
	}
	frame := func(kind byte, payload []byte) func(*dialogue) {
		return func(d *dialogue) { d.say(kind, payload) }
	}
	for what, said := range map[string][]func(*dialogue){
		"keys before the header": {frame(stream.Pairs, pairs("a"))},
		"an older header":        {frame(frameHeader, header{at: position{49, 5}, conf: conf}.append(nil))},
		"keys out of order":      {frame(frameHeader, head), frame(stream.Pairs, pairs("b", "a"))},
		"a foreign key":          {frame(frameHeader, head), frame(stream.Pairs, appendSized(appendSized(nil, name(3, "a")), nil))},
		"a log":                  {frame(frameHeader, head), frame(stream.Pairs, appendSized(appendSized(nil, storage.LogRange(2).Lo), nil))},
		"a key too few":          {frame(frameHeader, head), frame(stream.Pairs, pairs("0", "1")), frame(stream.End, end(3))},
		"an unknown frame":       {frame(frameHeader, head), frame(99, nil)},
	} {
		d := n.talk(t, 9)
		d.say(frameHello, hi(2, 5, 50, 90))
		if a := d.hear(); a.status != answerGo {
			t.Errorf("%s: not begun: %+v", what, a)
		}
		for _, say := range said {
			say(d)
		}
		if a := d.hear(); a.status != answerNo || a.reason == "" {
			t.Errorf("%s: %+v", what, a)
		}
		d.close()
	}
	if g := n.engine.Groups(); len(g) != 1 {
		t.Errorf("groups %v came into being", g)
	}
}
