package user

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/rouse-im/rouse/storage"
)

// What was taken from a page is not touched by what is written to it later.
func TestPage(t *testing.T) {
	var p page
	write := func(texts ...string) []storage.Mutation {
		for i := 0; i < len(texts); i += 2 {
			p.buf = append(p.buf, texts[i]...)
			key := len(p.buf)
			p.buf = append(p.buf, texts[i+1]...)
			op := storage.Set
			if texts[i+1] == "" {
				op = storage.Delete
			}
			p.put(op, key)
		}
		return p.take()
	}
	first := write("user", "record", "outbox", "", "outcome", "accepted")
	want := []storage.Mutation{
		{Op: storage.Set, Key: []byte("user"), Value: []byte("record")},
		{Op: storage.Delete, Key: []byte("outbox")},
		{Op: storage.Set, Key: []byte("outcome"), Value: []byte("accepted")},
	}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Fatal(diff)
	}
	_ = append(first[0].Key, "overwritten"...)
	if second := write("other", "thing"); len(second) != 1 || string(second[0].Key) != "other" {
		t.Errorf("second page %v", second)
	}
	if diff := cmp.Diff(want, first); diff != "" {
		t.Errorf("changed afterwards:\n%s", diff)
	}
	dirty := &turn{}
	dirty.page.buf = append(dirty.page.buf, "left by a panic"...)
	dirty.page.put(storage.Set, 4)
	(&Actor{}).release(dirty)
	if got := dirty.page.take(); got != nil {
		t.Errorf("the next turn would commit %v", got)
	}
}

func TestDecodeDays(t *testing.T) {
	for _, s := range []State{{}, {Days: [2]uint16{20000, 19999}}, {Days: [2]uint16{7, 0}, Devices: []Device{{ID: "phone", Count: 5}, {ID: "pad"}}, Policy: Policy{Kind: 2}}} {
		rec := string(s.Encode(nil))
		if got, err := decodeDays(rec); err != nil || got != s.Days {
			t.Errorf("got %v, %v; want %v", got, err, s.Days)
		}
	}
	if _, err := decodeDays("\x12\xff"); err == nil {
		t.Error("a damaged record has days")
	}
}
