package replica

import (
	"bytes"
	"testing"

	pb "go.etcd.io/raft/v3/raftpb"
	"google.golang.org/protobuf/proto"
	"pgregory.net/rapid"
)

func drawEntry(t *rapid.T, index uint64) *pb.Entry {
	kind := rapid.SampledFrom([]pb.EntryType{pb.EntryNormal, pb.EntryConfChangeV2}).Draw(t, "kind")
	e := &pb.Entry{Index: &index, Term: new(rapid.Uint64().Draw(t, "entry term")), Type: &kind}
	if data := rapid.SliceOf(rapid.Byte()).Draw(t, "data"); len(data) > 0 {
		e.Data = data
	}
	return e
}

func TestMessagesRoundTrip(t *testing.T) {
	kinds := []pb.MessageType{
		pb.MsgApp, pb.MsgAppResp, pb.MsgVote, pb.MsgVoteResp, pb.MsgHeartbeat, pb.MsgHeartbeatResp,
		pb.MsgTimeoutNow, pb.MsgPreVote, pb.MsgPreVoteResp,
	}
	rapid.Check(t, func(t *rapid.T) {
		var frame []byte
		var want []*pb.Message
		var groups []uint16
		for range rapid.IntRange(0, 4).Draw(t, "messages") {
			number := func(name string) *uint64 { return new(rapid.Uint64().Draw(t, name)) }
			m := &pb.Message{
				Type: rapid.SampledFrom(kinds).Draw(t, "kind").Enum(), From: new(uint64(7)), To: new(uint64(8)),
				Term: new(rapid.Uint64Min(1).Draw(t, "term")), LogTerm: number("log term"), Index: new(rapid.Uint64Max(1<<60).Draw(t, "index")),
				Commit: number("commit"), RejectHint: number("hint"), Reject: new(rapid.Bool().Draw(t, "reject")),
			}
			if c := rapid.SliceOf(rapid.Byte()).Draw(t, "context"); len(c) > 0 {
				m.Context = c
			}
			if m.GetType() == pb.MsgApp {
				for i := range rapid.Uint64Max(3).Draw(t, "entries") {
					m.Entries = append(m.Entries, drawEntry(t, m.GetIndex()+1+i))
				}
			}
			groups = append(groups, rapid.Uint16().Draw(t, "group"))
			want = append(want, m)
			before := len(frame)
			frame = appendMessage(frame, groups[len(groups)-1], m)
			if n := len(frame) - before; n > messageBytes(m) {
				t.Fatalf("a message of %d bytes was taken for one of %d", n, messageBytes(m))
			}
		}
		r := reader{b: frame}
		for i := range want {
			group, m := readMessage(&r, 7, 8)
			if r.bad || group != groups[i] || !proto.Equal(m, want[i]) {
				t.Fatalf("group %d, bad %v: %v came back as %v", group, r.bad, want[i], m)
			}
		}
		if r.end() != nil {
			t.Fatal("bytes are left")
		}
	})
}

func TestStatesRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		ids := func(name string) []uint64 { return rapid.SliceOfN(rapid.Uint64(), 0, 4).Draw(t, name) }
		h := hardState{rapid.Uint64().Draw(t, "term"), rapid.Uint64().Draw(t, "vote"), rapid.Uint64().Draw(t, "commit")}
		if got, err := readHardState(h.append(nil)); err != nil || got != h {
			t.Fatalf("%v came back as %v, %v", h, got, err)
		}
		p := position{h.term, h.vote}
		if got, err := readPosition(p.append(nil)); err != nil || got != p {
			t.Fatalf("%v came back as %v, %v", p, got, err)
		}
		c := &pb.ConfState{
			Voters: ids("voters"), Learners: ids("learners"), VotersOutgoing: ids("outgoing"), LearnersNext: ids("next"),
			AutoLeave: new(rapid.Bool().Draw(t, "auto")),
		}
		if got, err := readConf(appendConf(nil, c)); err != nil || !proto.Equal(got, c) {
			t.Fatalf("%v came back as %v, %v", c, got, err)
		}
		e := drawEntry(t, 9)
		var x entryBox
		if err := readRecord(&x, 9, appendRecord(nil, e)); err != nil || !proto.Equal(&x.entry, e) {
			t.Fatalf("%v came back as %v, %v", e, &x.entry, err)
		}
	})
}

// TestGoldenStates pins what is on disk and on the wire.
func TestGoldenStates(t *testing.T) {
	index, term, kind := uint64(300), uint64(5), pb.EntryNormal
	e := &pb.Entry{Index: &index, Term: &term, Type: &kind, Data: []byte("data")}
	m := &pb.Message{Type: pb.MsgApp.Enum(), Term: &term, Index: new(uint64(299)), LogTerm: new(uint64(4)), Commit: new(uint64(200)), Entries: []*pb.Entry{e}}
	for name, c := range map[string]struct {
		got  []byte
		want string
	}{
		"hard state":    {hardState{300, 2, 1}.append(nil), "\xac\x02\x00\x00\x00\x00\x00\x00\x00\x02\x01"},
		"position":      {position{300, 5}.append(nil), "\xac\x02\x05"},
		"configuration": {appendConf(nil, &pb.ConfState{Voters: []uint64{1}, Learners: []uint64{2}}), "\x00\x01\x00\x00\x00\x00\x00\x00\x00\x01\x01\x00\x00\x00\x00\x00\x00\x00\x02\x00\x00"},
		"record":        {appendRecord(nil, e), "\x00\x05data"},
		"message":       {appendMessage(nil, 258, m), "\x01\x02\x03\x27\x05\x04\xab\x02\xc8\x01\x01\x06\x00\x05data"},
	} {
		if string(c.got) != c.want {
			t.Errorf("%s: %q, want %q", name, c.got, c.want)
		}
	}
}

// FuzzReceive: no frame panics, and what is read says the same again.
func FuzzReceive(f *testing.F) {
	one := uint64(1)
	f.Add([]byte{})
	f.Add(appendMessage(nil, 1, &pb.Message{Type: pb.MsgHeartbeat.Enum(), Term: &one, Commit: &one}))
	f.Add(appendMessage(nil, 1, &pb.Message{Type: pb.MsgApp.Enum(), Term: &one, Entries: []*pb.Entry{{Index: &one, Term: &one, Data: []byte("d")}}}))
	f.Add(appendMessage(nil, 1, &pb.Message{Type: pb.MsgSnap.Enum(), Term: &one}))
	f.Fuzz(func(t *testing.T, frame []byte) {
		for r := (reader{b: frame}); len(r.b) > 0; {
			group, m := readMessage(&r, 7, 8)
			if r.bad {
				return
			}
			again := reader{b: appendMessage(nil, group, m)}
			if g, n := readMessage(&again, 7, 8); again.bad || g != group || !proto.Equal(m, n) {
				t.Fatalf("%v came back as %v", m, n)
			}
		}
	})
}

// FuzzReadState: no value panics, and what is read says the same again.
func FuzzReadState(f *testing.F) {
	f.Add(hardState{1, 2, 3}.append(nil))
	f.Add(position{1, 2}.append(nil))
	f.Add(appendConf(nil, &pb.ConfState{Voters: []uint64{1, 2, 3}}))
	f.Add([]byte{1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1})
	f.Fuzz(func(t *testing.T, b []byte) {
		if h, err := readHardState(b); err == nil {
			if again, err := readHardState(h.append(nil)); err != nil || again != h {
				t.Fatal(h, again, err)
			}
		}
		if p, err := readPosition(b); err == nil {
			if again, err := readPosition(p.append(nil)); err != nil || again != p {
				t.Fatal(p, again, err)
			}
		}
		if c, err := readConf(b); err == nil {
			if again, err := readConf(appendConf(nil, c)); err != nil || !proto.Equal(again, c) {
				t.Fatal(c, again, err)
			}
		}
		var x, y entryBox
		if readRecord(&x, 5, b) == nil {
			if err := readRecord(&y, 5, appendRecord(nil, &x.entry)); err != nil || !bytes.Equal(x.entry.GetData(), y.entry.GetData()) {
				t.Fatal(err)
			}
		}
	})
}

// What is a small part of its frame does not keep the frame alive.
func TestDetach(t *testing.T) {
	frame := []byte("one, two")
	m := &pb.Message{Entries: []*pb.Entry{{Data: frame[:3]}, {}, {Data: frame[5:]}}}
	detach(m)
	clear(frame)
	if got := m.GetEntries(); string(got[0].GetData()) != "one" || got[1].Data != nil || string(got[2].GetData()) != "two" {
		t.Errorf("got %v", got)
	}
}
