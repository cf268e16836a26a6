package cluster

import (
	"math/rand/v2"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"

	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
)

func addresses(host string) *actorv1.NodeAddresses {
	return &actorv1.NodeAddresses{Peers: host + ":65531", Actors: host + ":65532", Grpc: host + ":65533", Http: host + ":65534", Gossip: host + ":65535"}
}

// The longest host name that DNS allows, on all ports, with much else, fits.
func TestMetaFits(t *testing.T) {
	host := strings.Repeat(strings.Repeat("h", 62)+".", 4) + "h" // 253
	m := Member{Name: long(200), Node: ^uint64(0), System: long(22), Epoch: ^uint32(0), Version: long(40), Zone: long(63), DiskLow: true, Deaf: true, Addresses: addresses(host)}
	b, err := encodeMeta(m)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d of %d bytes", len(b), MetaMax)
	got := decodeMeta(m.Name, host+":65535", b)
	if !got.equal(m) {
		t.Errorf("got %+v\nwant %+v", got, m)
	}
	m.Addresses.Http = strings.Repeat("o", 253) + ":1"
	if _, err := encodeMeta(m); err == nil || !strings.Contains(err.Error(), "512") {
		t.Errorf("two long hosts: %v", err)
	}
}

func TestMetaRoundTrip(t *testing.T) {
	for _, a := range []*actorv1.NodeAddresses{
		nil,
		{},
		{Actors: "10.0.0.1:1"},
		{Peers: "[::1]:1", Actors: "[::1]:2", Grpc: "a.example:3", Http: "[fe80::1%eth0]:4"},
	} {
		m := Member{Name: "n", Node: 1, System: "s", Epoch: 3, Addresses: a}
		b, err := encodeMeta(m)
		if err != nil {
			t.Fatal(err)
		}
		if a == nil {
			m.Addresses = &actorv1.NodeAddresses{}
		}
		want := proto.CloneOf(m.Addresses)
		want.Gossip = "g:1"
		if got := decodeMeta("n", "g:1", b); !proto.Equal(got.Addresses, want) || got.ID() != "s~3" || got.Unknown {
			t.Errorf("%v became %+v", a, got)
		}
		if a != nil && a.Gossip != "" {
			t.Errorf("encoding changed its argument to %v", a)
		}
	}
	for _, bad := range []Member{
		{Name: "n"},
		{Name: "n", System: "s", Addresses: &actorv1.NodeAddresses{Http: "nowhere"}},
		{Name: "n", System: "s", Addresses: &actorv1.NodeAddresses{Http: ":80"}},
		{Name: "n", System: "s", Zone: "\xff"},
	} {
		if _, err := encodeMeta(bad); err == nil {
			t.Errorf("took %+v", bad)
		}
	}
}

// Whatever comes, reading it gives a member or an unknown one.
func TestMetaOfAnything(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	good, err := encodeMeta(Member{Name: "n", System: "s", Addresses: addresses("h")})
	if err != nil {
		t.Fatal(err)
	}
	for range 20_000 {
		b := append([]byte(nil), good...)
		for range 1 + r.IntN(4) {
			switch i := r.IntN(len(b)); r.IntN(3) {
			case 0:
				b[i] = byte(r.Uint32())
			case 1:
				b = b[:i+1]
			default:
				b = append(b, byte(r.Uint32()))
			}
		}
		if m := decodeMeta("n", "g:1", b); m.Addresses == nil || m.Addresses.Gossip != "g:1" || m.Name != "n" || m.Unknown == (m.System != "") {
			t.Fatalf("%x became %+v", b, m)
		}
	}
}
