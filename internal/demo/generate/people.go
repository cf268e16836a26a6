package main

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"

	"github.com/rouse-im/rouse/internal/demo"
)

// user of the IM, with one to four devices.
type user struct {
	name    string
	devices []*device
	groups  []*group
	recent  []string // ids of the last messages to him, at most 8
}

// device of a user, as its IM node sees it.
type device struct {
	of       *user
	name     string
	platform string
	brand    string // empty = desktop and web
	notifier string // empty: desktop and web take no pushes
	voip     bool   // has a PushKit token too
	token    string
	tokens   int    // tokens it has had
	state    string // empty before the first login
	node     string
	session  uint64
	step     uint64
}

type group struct {
	id      string
	members []*user
}

const (
	connected    = "connected"
	background   = "background"
	disconnected = "disconnected"
	kicked       = "kicked"
	loggedOut    = "logged-out"
	lost         = "lost" // its IM node died; nobody reports it
)

func (d *device) online() bool { return d.state == connected || d.state == background }

// online is the IM node of one of the user's open sessions; empty = none is.
func (u *user) online() string {
	for _, d := range u.devices {
		if d.online() {
			return d.node
		}
	}
	return ""
}

// phones are the makers of phones, and how many of a hundred users have one.
var phones = []struct {
	share                     int
	platform, brand, notifier string
}{
	{40, "ios", "apple", demo.IOS},
	{6, "android", "google", demo.Android},
	{11, "android", "huawei", demo.Huawei},
	{9, "harmony", "huawei", demo.Harmony},
	{8, "android", "honor", demo.Honor},
	{10, "android", "xiaomi", demo.Xiaomi},
	{5, "android", "oppo", demo.OPPO},
	{2, "android", "realme", demo.OPPO},
	{6, "android", "vivo", demo.Vivo},
	{3, "android", "meizu", demo.Meizu},
}

// newPhone is of a maker that n, 0..99, chooses.
func newPhone(n int) *device {
	for _, p := range phones {
		if n -= p.share; n < 0 {
			return &device{name: "phone", platform: p.platform, brand: p.brand, notifier: p.notifier}
		}
	}
	return nil
}

// people makes users, devices and groups.
func people(r *rand.Rand, users, groups int) ([]*user, []*group) {
	var all []*user
	for i := range users {
		u := &user{name: fmt.Sprintf("u%03d", i)}
		phone := newPhone(r.IntN(100))
		phone.of, phone.voip = u, phone.notifier == demo.IOS && r.IntN(2) == 0
		u.devices = append(u.devices, phone)
		for _, extra := range []struct {
			share int
			d     device
		}{
			{30, device{name: "laptop", platform: "desktop"}},
			{25, device{name: "tablet", platform: "ios", brand: "apple", notifier: demo.IOS}},
			{15, device{name: "browser", platform: "web"}},
		} {
			if r.IntN(100) < extra.share {
				d := extra.d
				d.of = u
				u.devices = append(u.devices, &d)
			}
		}
		all = append(all, u)
	}
	var teams []*group
	for i := range groups {
		size := 3 + r.IntN(10)
		if i%4 == 0 {
			size = 12 + r.IntN(20)
		}
		if i%6 == 1 {
			size = 40 + r.IntN(22)
		}
		g := &group{id: fmt.Sprintf("g%02d", i)}
		// The last users are in no group: they take over other people's phones.
		for _, n := range r.Perm(users - strangers)[:size] {
			g.members = append(g.members, all[n])
			all[n].groups = append(all[n].groups, g)
		}
		teams = append(teams, g)
	}
	return all, teams
}

// newToken is made of names, so that the day is always the same. It looks like
// those of its vendor as far as that says how they look.
func (d *device) newToken() string {
	d.tokens++
	sum := sha256.Sum256(fmt.Appendf(nil, "%s %s %d", d.of.name, d.name, d.tokens))
	switch d.notifier {
	case demo.IOS:
		return hex.EncodeToString(sum[:])
	case demo.OPPO:
		return strings.ToUpper(d.brand) + "_CN_" + hex.EncodeToString(sum[:16])
	}
	return fmt.Sprintf("%s-%s-%d:%s", d.of.name, d.name, d.tokens, hex.EncodeToString(sum[:12]))
}

// got notes a message to the user.
func (u *user) got(id string) {
	u.recent = append(u.recent, id)
	if len(u.recent) > 8 {
		u.recent = slices.Delete(u.recent, 0, 1)
	}
}

func (g *group) names() []string {
	var names []string
	for _, u := range g.members {
		names = append(names, u.name)
	}
	return names
}
