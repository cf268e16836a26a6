package world

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/rouse-im/rouse/simulations"
	"github.com/rouse-im/rouse/simulations/scenarios"
)

// user with a few bits of what he is like.
type user struct {
	first    uint32 // his first device; the others follow
	devices  uint8
	region   uint8
	commutes bool
	set      bool // his settings were told
	// unread are numbers of the last messages to him; 0 = none.
	unread [4]uint64
}

type slot uint8

const (
	phone slot = iota
	phone2
	tablet
	desktop
	web
)

var slotNames = [...]string{"p", "q", "t", "d", "w"}

type place uint8

const (
	offline place = iota
	foreground
	background
	lost // its IM node died
	out  // kicked or logged out: it has to log in again
	gone // uninstalled for good
)

type action uint8

const (
	actInstall action = iota // the first login
	actOpen                  // somebody looks at the app
	actUse                   // and does something with it
	actDrop                  // the connection in the background ends
	actRegain                // and comes back
	actReturn                // after the death of an IM node
	actGuest                 // somebody else logs in
	actHost                  // and goes
)

// device of a user; 96 bytes.
type device struct {
	rng     rand.PCG
	next    simulations.Offset
	until   simulations.Offset // end of the look, or the next one when there is none
	owner   uint32
	account uint32 // who is logged in
	session uint32
	step    uint32
	tokens  uint32 // it has had
	node    int16
	inc     uint32 // incarnation of the node at its login
	brand   uint8
	slot    slot
	state   place
	then    action
	install uint8
	fresh   bool // its token must be registered at the next login
	flaps   bool // the connection ended on the way
	voip    bool
	inFront bool // was looked at when its IM node died
}

func (d *device) online() bool { return d.state == foreground || d.state == background }

var brandNames = []string{"", "apple", "google", "harmony", "honor", "huawei", "meizu", "oppo", "vivo", "xiaomi"}

// maker says how phones of a brand are reached.
func (d *device) maker() (platform, brand, notifier, vendor string) {
	switch b := brandNames[d.brand]; {
	case d.slot == desktop:
		return "desktop", "", "", ""
	case d.slot == web:
		return "web", "", "", ""
	case b == "apple":
		return "ios", b, "ios", "apns"
	case b == "google":
		return "android", b, "android", "fcm"
	case b == "harmony":
		return "harmony", "huawei", "harmony", "harmony"
	default:
		return "android", b, b, b
	}
}

func (w *World) populate() {
	s := w.s
	w.users = make([]user, s.Users)
	w.devices = make([]device, 0, s.Users)
	var shares []weighted
	for i, r := range s.Regions {
		shares = append(shares, weighted{fmt.Sprint(i), r.Share.Of})
		if i > 0 {
			shares[i].sum += shares[i-1].sum
		}
	}
	for i := range w.users {
		pcg := w.random("user", uint64(i))
		r := rand.New(&pcg)
		u := &w.users[i]
		u.first = uint32(len(w.devices))
		name := pick(r, shares)
		u.region = uint8(slices.IndexFunc(shares, func(x weighted) bool { return x.name == name }))
		u.commutes = hit(r, s.Moves.Commuters)
		w.give(r, i, phone)
		for _, more := range []struct {
			share scenarios.Share
			slot  slot
		}{{s.Devices.SecondPhone, phone2}, {s.Devices.Tablet, tablet}, {s.Devices.Desktop, desktop}, {s.Devices.Web, web}} {
			if hit(r, more.share) {
				w.give(r, i, more.slot)
			}
		}
		u.devices = uint8(len(w.devices) - int(u.first))
	}
}

func (w *World) give(r *rand.Rand, owner int, s slot) {
	d := device{rng: w.random("device", uint64(owner)<<8|uint64(s)), owner: uint32(owner), account: uint32(owner), slot: s, fresh: true, install: 1, tokens: 1}
	switch s {
	case phone, phone2:
		d.brand = uint8(slices.Index(brandNames, pick(r, w.regions[w.users[owner].region].brands)))
	case tablet:
		d.brand = uint8(slices.Index(brandNames, "apple"))
	}
	d.voip = brandNames[d.brand] == "apple" && s != tablet && hit(r, w.s.Devices.VoIP)
	d.then, d.next = actInstall, simulations.Offset(r.Int64N(int64(simulations.At(w.s.Warmup))))
	w.devices = append(w.devices, d)
}

func userName(i uint32) string { return fmt.Sprintf("u%d", i) }

// name of the installation: the next one of the app is another device.
func (d *device) name() string { return fmt.Sprintf("d%d%s%d", d.owner, slotNames[d.slot], d.install) }

// token looks like those of its vendor, as far as that says how they look. It is
// made of names, so that it is always the same.
func (d *device) token(seed uint64, number uint32) string {
	sum := sha256.Sum256(fmt.Appendf(nil, "%d %d %d %d", seed, d.owner, d.slot, number))
	_, brand, notifier, _ := d.maker()
	switch notifier {
	case "ios":
		return hex.EncodeToString(sum[:])
	case "oppo":
		return strings.ToUpper(brand) + "_CN_" + hex.EncodeToString(sum[:16])
	}
	return fmt.Sprintf("%s-%d:%s", d.name(), number, hex.EncodeToString(sum[:12]))
}

// voip is the token for calls beside one for alerts.
func voip(token string) string { return "cafe" + token[4:] }

// group of members that are found by arithmetic: member k is user
// (first + k*stride) modulo the number of users.
type group struct {
	rng    rand.PCG
	next   simulations.Offset
	first  uint32
	stride uint32
	size   uint32
	region uint8
	id     uint32
}

// large groups come first, in the order of the scenario.
func (w *World) gather() {
	g := w.s.Groups
	small := int(g.PerUser * float64(w.s.Users))
	w.groups = make([]group, 0, small+len(g.Large))
	for i := range cap(w.groups) {
		pcg := w.random("group", uint64(i))
		r := rand.New(&pcg)
		size := min(g.MaxSize, int(min(1e9, float64(g.MinSize)*math.Pow(1-r.Float64(), -1/g.Shape))))
		if i < len(g.Large) {
			size = g.Large[i].Size
		}
		size = min(size, w.s.Users)
		x := group{id: uint32(i), first: uint32(r.IntN(w.s.Users)), stride: w.stride(r), size: uint32(size), next: never}
		x.region = w.users[x.first].region
		if i < len(g.Large) {
			for k, at := range g.Large[i].At {
				w.later.add(simulations.At(at), follow{kind: followLarge, ref: uint64(i), session: uint32(k)})
			}
		} else {
			x.next = w.regions[x.region].hours.after(simulations.At(w.s.Warmup), draw(r, g.Pause))
		}
		x.rng = pcg
		w.groups = append(w.groups, x)
	}
}

// stride without a common divisor with the number of users: no member comes twice.
func (w *World) stride(r *rand.Rand) uint32 {
	for {
		x := 1 + r.Uint32N(uint32(w.s.Users))
		if gcd(x, uint32(w.s.Users)) == 1 {
			return x
		}
	}
}

func gcd(a, b uint32) uint32 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

func (w *World) member(g *group, k uint32) uint32 {
	return uint32((uint64(g.first) + uint64(k)*uint64(g.stride)) % uint64(len(w.users)))
}
