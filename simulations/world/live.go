package world

import (
	"math/rand/v2"

	"github.com/rouse-im/rouse/simulations"
)

// live is the turn of a device: it does what is due and says when it is next.
func (w *World) live(t simulations.Offset, d *device) {
	r := rand.New(&d.rng)
	switch d.then {
	case actInstall:
		w.introduce(t, d, r)
	case actOpen:
		w.open(t, d, r)
	case actUse:
		w.use(t, d, r)
	case actDrop:
		why := "os-kill"
		if d.flaps {
			why = "no-network"
		}
		w.drop(t, d, r, why)
	case actRegain:
		w.regain(t, d, r)
	case actReturn:
		w.comeBack(t, d, r)
	case actGuest:
		w.guest(t, d, r)
	case actHost:
		w.host(t, d, r)
	}
	if d.next <= t {
		d.next = t + 1 // time goes on
	}
}

// report tells the session of a device as its IM node sees it.
func (w *World) report(t simulations.Offset, d *device, state simulations.State, why string) {
	platform, brand, _, _ := d.maker()
	w.tell(simulations.Event{
		At: t, Kind: simulations.Presence, Why: why, Node: nodeName(int(d.node)), Incarnation: uint64(d.inc),
		User: userName(d.account), Device: d.name(), State: state, Session: uint64(d.session), Step: uint64(d.step),
		Platform: platform, Brand: brand, Zone: w.regions[w.users[d.owner].region].name,
	})
}

func (w *World) step(t simulations.Offset, d *device, state simulations.State, why string) {
	d.step++
	w.report(t, d, state, why)
}

// connect opens a session on some IM node; false if all are down: it is tried
// again later.
func (w *World) connect(t simulations.Offset, d *device, r *rand.Rand, state simulations.State, why string) bool {
	n, ok := w.liveNode(r)
	if !ok {
		d.inFront, d.state = state == simulations.Connected, lost
		d.then, d.next = actReturn, t+max(1, draw(r, w.s.IM.Reconnect))
		return false
	}
	login := d.state == out
	d.node, d.inc = int16(n), w.nodes[n].incarnation
	d.session, d.step = d.session+1, 0
	d.state = foreground
	if state == simulations.Background {
		d.state = background
	}
	w.report(t, d, state, why)
	if login || d.fresh || hit(r, w.s.Sessions.Registers) {
		w.bind(t, d)
	}
	if hit(r, w.s.Sessions.Fetches) {
		w.later.add(t+draw(r, w.s.Sessions.Fetch), follow{kind: followFetched, ref: uint64(w.index(d)), session: d.session, tokens: d.account})
	}
	return true
}

// bind registers the token, as apps do when they log in.
func (w *World) bind(t simulations.Offset, d *device) {
	platform, brand, notifier, _ := d.maker()
	d.fresh = false
	if notifier == "" {
		return
	}
	e := simulations.Event{
		At: t, Kind: simulations.Bind, User: userName(d.account), Device: d.name(), Platform: platform, Brand: brand,
		Zone: w.regions[w.users[d.owner].region].name, Notifier: notifier, Token: d.token(w.seed, d.tokens),
	}
	w.tell(e)
	if d.voip {
		e.Notifier, e.Token = "ios-voip", voip(e.Token)
		w.tell(e)
	}
}

// index of a device in devices.
func (w *World) index(d *device) int {
	u := &w.users[d.owner]
	for i := int(u.first); i < int(u.first)+int(u.devices); i++ {
		if &w.devices[i] == d {
			return i
		}
	}
	return int(u.first)
}

// introduce is the first login of an installation, which is then put away.
func (w *World) introduce(t simulations.Offset, d *device, r *rand.Rand) {
	if u := &w.users[d.owner]; !u.set {
		u.set = true
		w.wishes(t, d.owner, r)
	}
	if w.connect(t, d, r, simulations.Connected, "install") {
		w.look(t, d, r)
	}
}

// look begins: until when, and what comes first.
func (w *World) look(t simulations.Offset, d *device, r *rand.Rand) {
	length := w.s.Sessions.Foreground
	if d.slot == desktop || d.slot == web {
		length = w.s.Sessions.Desktop
	}
	d.until = t + max(1, draw(r, length))
	w.nextUse(t, d, r)
}

func (w *World) nextUse(t simulations.Offset, d *device, r *rand.Rand) {
	pause := draw(r, w.s.Talk.Pause)
	if d.slot == desktop || d.slot == web {
		pause *= 30 // it lies open, mostly
	}
	d.then, d.next = actUse, min(d.until, t+max(1, pause))
}

// open: somebody takes the device up, after whatever became of the app meanwhile.
func (w *World) open(t simulations.Offset, d *device, r *rand.Rand) {
	switch w.fate(r) {
	case uninstalled:
		if d.online() {
			w.step(t, d, simulations.Disconnected, "uninstall")
		}
		w.dies(t, d, r)
		d.state, d.next = gone, never
		return
	case reinstalled:
		if d.online() {
			w.step(t, d, simulations.Disconnected, "reinstall")
		}
		w.dies(t, d, r)
		d.state, d.install, d.fresh, d.session = offline, d.install+1, true, 0
		if _, _, notifier, _ := d.maker(); !hit(r, w.s.Churn.Restored) || notifier != "ios" { // others have tokens with the installation's name
			d.tokens++
		}
	case rotated:
		w.dies(t, d, r)
		d.tokens, d.fresh = d.tokens+1, true
	case switched:
		w.leave(t, d, r, "switch")
		d.then, d.next = actGuest, t+15_000
		return
	}
	if d.slot == phone2 && hit(r, w.s.Churn.Kick) {
		w.kick(t, d)
	}
	if d.online() {
		d.state = foreground
		w.step(t, d, simulations.Connected, "open")
		if d.fresh {
			w.bind(t, d)
		}
	} else if !w.connect(t, d, r, simulations.Connected, "open") {
		return
	}
	w.look(t, d, r)
}

type fate int

const (
	asEver fate = iota
	uninstalled
	reinstalled
	rotated
	switched
)

// looksPerDay turns rates of a day into chances of a look.
const looksPerDay = 20

func (w *World) fate(r *rand.Rand) fate {
	x, c := r.Float64()*looksPerDay, w.s.Churn
	for _, f := range []struct {
		rate float64
		fate fate
	}{{c.Uninstall.PerDay, uninstalled}, {c.Reinstall.PerDay, reinstalled}, {c.TokenRotation.PerDay, rotated}, {c.AccountSwitch.PerDay, switched}} {
		if x -= f.rate; x < 0 {
			return f.fate
		}
	}
	return asEver
}

// kick forces the user's first phone off.
func (w *World) kick(t simulations.Offset, by *device) {
	first := &w.devices[w.users[by.owner].first]
	if first.online() && first.account == by.account {
		w.step(t, first, simulations.Kicked, "kick")
		first.state = out
	}
}

// use is what somebody does who looks at the app, or the end of it.
func (w *World) use(t simulations.Offset, d *device, r *rand.Rand) {
	switch {
	case d.state != foreground: // forced off meanwhile
		d.then, d.next = actOpen, w.nextLook(t, d, r)
	case t >= d.until:
		w.away(t, d, r)
	default:
		if hit(r, w.s.Talk.Writes) {
			w.write(t, d, r)
		} else {
			w.read(t, d)
		}
		w.nextUse(t, d, r)
	}
}

func (w *World) nextLook(t simulations.Offset, d *device, r *rand.Rand) simulations.Offset {
	gap := w.s.Sessions.Gap
	if d.slot == desktop || d.slot == web {
		gap = w.s.Sessions.DesktopGap
	}
	return w.regions[w.users[d.owner].region].hours.after(t, max(1000, draw(r, gap)))
}

// away: nobody looks any more. What becomes of the connection depends on the
// platform, and on where the phone is carried.
func (w *World) away(t simulations.Offset, d *device, r *rand.Rand) {
	next := w.nextLook(t, d, r)
	d.flaps = false
	switch {
	case r.Float64()*looksPerDay < w.s.Moves.Flights.PerDay:
		w.step(t, d, simulations.Disconnected, "flight")
		d.state, d.then, d.next = offline, actOpen, t+draw(r, w.s.Moves.Flight)
		return
	case r.Float64()*looksPerDay < w.s.Churn.Logout.PerDay:
		w.leave(t, d, r, "logout")
		d.then, d.next = actOpen, next
		return
	case d.slot == desktop || d.slot == web:
		w.step(t, d, simulations.Disconnected, "shut")
		d.state, d.then, d.next = offline, actOpen, next
		return
	}
	d.state = background
	w.step(t, d, simulations.Background, "away")
	life := w.s.Sessions.AndroidBackground
	if platform, _, _, _ := d.maker(); platform == "ios" {
		life = w.s.Sessions.IOSBackground
	} else if hit(r, w.s.Sessions.OSKill) {
		life.Kind, life.Min, life.Max = "fixed", 1e9, 0 // a second
	}
	w.wait(t, d, r, next, t+max(1, draw(r, life)))
}

// wait in the background until the next look or the end of the connection.
func (w *World) wait(t simulations.Offset, d *device, r *rand.Rand, next, end simulations.Offset) {
	if w.travels(t, d) {
		if flap := t + max(1, draw(r, w.s.Moves.FlapUp)); flap < end {
			end, d.flaps = flap, true
		}
	}
	d.until = next
	if end < next {
		d.then, d.next = actDrop, end
	} else {
		d.then, d.next = actOpen, next
	}
}

func (w *World) travels(t simulations.Offset, d *device) bool {
	u, m := &w.users[d.owner], w.s.Moves
	h := &w.regions[u.region].hours
	return u.commutes && d.slot <= tablet && (h.within(t, m.Morning) || h.within(t, m.Evening))
}

// drop: the connection in the background is gone.
func (w *World) drop(t simulations.Offset, d *device, r *rand.Rand, why string) {
	if d.online() {
		w.step(t, d, simulations.Disconnected, why)
		d.state = offline
	}
	d.then, d.next = actOpen, d.until
	if d.flaps && d.state == offline {
		if back := t + max(1, draw(r, w.s.Moves.FlapDown)); back < d.until {
			d.then, d.next = actRegain, back
		}
	}
}

// regain: the network is back, and nobody looks.
func (w *World) regain(t simulations.Offset, d *device, r *rand.Rand) {
	d.flaps = false
	if w.connect(t, d, r, simulations.Background, "network-back") {
		w.wait(t, d, r, d.until, t+max(1, draw(r, w.s.Sessions.AndroidBackground)))
	}
}

// comeBack after the death of an IM node.
func (w *World) comeBack(t simulations.Offset, d *device, r *rand.Rand) {
	state := simulations.Background
	if d.inFront {
		state = simulations.Connected
	}
	if !w.connect(t, d, r, state, "reconnect") {
		return
	}
	if state == simulations.Connected {
		w.look(t, d, r)
		return
	}
	w.wait(t, d, r, max(t+1, d.until), t+max(1, draw(r, w.s.Sessions.AndroidBackground)))
}

// leave logs out; without a network the token stays registered.
func (w *World) leave(t simulations.Offset, d *device, r *rand.Rand, why string) {
	if !d.online() {
		return // without a word
	}
	d.step++
	platform, brand, _, _ := d.maker()
	w.tell(simulations.Event{
		At: t, Kind: simulations.Presence, Why: why, Node: nodeName(int(d.node)), Incarnation: uint64(d.inc), User: userName(d.account), Device: d.name(),
		State: simulations.LoggedOut, Session: uint64(d.session), Step: uint64(d.step), Unbind: hit(r, w.s.Churn.Unbinds), Platform: platform, Brand: brand,
		Zone: w.regions[w.users[d.owner].region].name,
	})
	d.state = out
}

// guest: somebody else logs in on the phone; its token goes with it.
func (w *World) guest(t simulations.Offset, d *device, r *rand.Rand) {
	d.account = (d.owner + 1) % uint32(len(w.users))
	d.state = out
	if !w.connect(t, d, r, simulations.Connected, "guest") {
		d.account, d.state = d.owner, out
		return
	}
	d.then, d.next = actHost, t+max(1, draw(r, w.s.Churn.Guest))
}

// host: the owner has it back.
func (w *World) host(t simulations.Offset, d *device, r *rand.Rand) {
	w.leave(t, d, r, "guest-goes")
	d.account, d.state = d.owner, out
	if w.connect(t, d, r, simulations.Connected, "host") {
		w.look(t, d, r)
	}
}

// dies: the vendor forgets the present token some time later.
func (w *World) dies(t simulations.Offset, d *device, r *rand.Rand) {
	if _, _, notifier, _ := d.maker(); notifier != "" {
		w.later.add(t+max(1, draw(r, w.s.Churn.Dies)), follow{kind: followDead, ref: uint64(w.index(d)), tokens: d.tokens, session: uint32(d.install)})
	}
}

// planErasures says who is forgotten, and when. It takes nothing from the random
// numbers of devices.
func (w *World) planErasures() {
	if w.s.Churn.Erased.Of == 0 {
		return
	}
	from := simulations.At(w.s.Warmup)
	for u := range w.users {
		source := w.random("erase", uint64(u))
		if r := rand.New(&source); hit(r, w.s.Churn.Erased) {
			w.later.add(from+simulations.Offset(r.Int64N(int64(w.end-from))), follow{kind: followErase, ref: uint64(u)})
		}
	}
}

// erase a user. Phones on which he is logged in register anew when they are taken up.
func (w *World) erase(t simulations.Offset, u uint32) {
	w.tell(simulations.Event{At: t, Kind: simulations.Erase, User: userName(u)})
	for i := range w.devices {
		if d := &w.devices[i]; d.account == u {
			d.fresh = true
		}
	}
}
