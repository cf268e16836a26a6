package user

import (
	"flag"
	"fmt"
	"slices"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	"github.com/rouse-im/rouse/actors"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/oracle"
)

// oracleCases are compared unless -rapid.checks says how many.
const oracleCases = "20000"

// oracleReasons are those that a decision gives.
var oracleReasons = []rousev1.Reason{
	rousev1.Reason_REASON_QUEUED, rousev1.Reason_REASON_DELAYED,
	rousev1.Reason_REASON_CHAT_ROOM, rousev1.Reason_REASON_ONLINE_ONLY, rousev1.Reason_REASON_SENDER_DEVICE,
	rousev1.Reason_REASON_KIND_NOT_PUSHED, rousev1.Reason_REASON_GROUP_TOO_LARGE, rousev1.Reason_REASON_MESSAGE_EXPIRED,
	rousev1.Reason_REASON_IGNORED_BY_SENDER, rousev1.Reason_REASON_STOPPED_BY_HOOK,
	rousev1.Reason_REASON_NO_USER, rousev1.Reason_REASON_USER_BANNED, rousev1.Reason_REASON_NO_BINDING, rousev1.Reason_REASON_USER_ONLINE, rousev1.Reason_REASON_DEVICE_ONLINE,
	rousev1.Reason_REASON_KICKED, rousev1.Reason_REASON_LOGGED_OUT, rousev1.Reason_REASON_STALE_DEVICE,
	rousev1.Reason_REASON_DEVICE_FILTERED, rousev1.Reason_REASON_NO_NOTIFIER, rousev1.Reason_REASON_INVALID_NOTIFIER,
	rousev1.Reason_REASON_NOTIFIER_DISABLED, rousev1.Reason_REASON_NOTIFIER_BANNED, rousev1.Reason_REASON_DEVICE_CAP,
	rousev1.Reason_REASON_QUIET_WINDOW, rousev1.Reason_REASON_QUIET_DURATION, rousev1.Reason_REASON_QUIET_CONVERSATION,
	rousev1.Reason_REASON_MODE_NONE, rousev1.Reason_REASON_MODE_MENTION, rousev1.Reason_REASON_MODE_MANAGERS,
}

// The engine and the second implementation of the rules answer the same for
// random users and all that may happen to them.
func TestAgainstOracle(t *testing.T) {
	if f := flag.Lookup("rapid.checks"); f.Value.String() == f.DefValue {
		if err := f.Value.Set(oracleCases); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = f.Value.Set(f.DefValue) })
	}
	seen := map[rousev1.Reason]int{}
	rapid.Check(t, func(t *rapid.T) {
		x := newTwins(t)
		x.seen = seen
		for range rapid.IntRange(0, 6).Draw(t, "devices") {
			x.presenceOrBind()
		}
		for range rapid.IntRange(1, 24).Draw(t, "steps") {
			x.step()
			x.reload()
			x.compareCounts()
		}
	})
	for _, r := range oracleReasons {
		if !t.Failed() && seen[r] == 0 {
			t.Errorf("no device had %v: the cases do not reach it", r)
		}
	}
	t.Logf("devices by reason: %v", seen)
}

// twins are the engine and the oracle, told the same.
type twins struct {
	*world
	t       *rapid.T
	u       *oracle.User
	alive   map[string]uint64 // incarnation by IM node
	session map[string]uint64
	ids     []string // of messages decided
	all     map[string]*Pending
	seen    map[rousev1.Reason]int // verdicts
}

func newTwins(t *rapid.T) *twins {
	settings := drawAppSettings(t)
	x := &twins{
		world: newWorld(t, settings), t: t, alive: map[string]uint64{"im1": 1, "im2": 1}, session: map[string]uint64{}, all: map[string]*Pending{},
	}
	shanghai, _ := time.LoadLocation("Asia/Shanghai")
	ns := x.env.App.Notifiers
	ns["bad"] = Notifier{Invalid: true, Banned: true}
	ns["voip off"] = Notifier{VoIP: true, Disabled: true}
	ns["apns2"] = Notifier{MarketingCap: 1}
	ns["fcm"] = Notifier{MarketingCap: 2, Zone: shanghai}
	x.env.Live = func(node string, incarnation uint64) bool { return x.alive[node] == incarnation }
	x.env.Now = drawInstant(t)
	x.u = oracle.NewUser("ann", &oracle.App{Settings: settings, Live: x.env.Live, Credentials: map[string]oracle.Credential{
		"apns":     {},
		"apns2":    {MarketingCap: 1, Zone: time.UTC},
		"voip":     {VoIP: true},
		"fcm":      {MarketingCap: 2, Zone: shanghai},
		"banned":   {Banned: true, Disabled: true},
		"off":      {Disabled: true},
		"bad":      {Invalid: true, Banned: true},
		"voip off": {VoIP: true, Disabled: true},
	}})
	return x
}

// pick draws one of the values; the first is the simplest.
func pick[T any](t *rapid.T, name string, of ...T) T {
	return of[rapid.IntRange(0, len(of)-1).Draw(t, name)]
}

// rarely is true once in n.
func rarely(t *rapid.T, name string, n int) bool { return rapid.IntRange(0, n-1).Draw(t, name) == n-1 }

var (
	testZones    = []string{"", "Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Africa/Cairo", "Asia/Kathmandu", "Pacific/Chatham", "America/St_Johns", "Asia/Shanghai"}
	testDevices  = []string{"phone", "pad", "desk", "tv"}
	testBindable = []string{"apns", "fcm", "apns2", "voip", "off", "banned", "bad", "gone", "voip off"}
)

// drawInstant: often around the change of a clock, of which the year has some.
func drawInstant(t *rapid.T) time.Time {
	change := pick(t, "change", "2026-03-01T12:00:00Z",
		"2026-03-29T01:00:00Z", "2026-10-25T01:00:00Z", // Berlin
		"2026-03-08T07:00:00Z", "2026-11-01T06:00:00Z", // New York
		"2026-04-04T15:00:00Z", "2026-10-03T15:30:00Z", // Lord Howe: half an hour
		"2026-04-23T22:00:00Z", "2026-10-29T21:00:00Z") // Cairo: at midnight
	at, _ := time.Parse(time.RFC3339, change)
	return at.Add(time.Duration(rapid.IntRange(-1600, 1600).Draw(t, "minutes from it")) * time.Minute)
}

func drawMode(t *rapid.T, name string) rousev1.NotifyMode {
	return pick(t, name, unset, unset, unset, all, mentionOnly, none, meOnly, allOnly, managers)
}

func drawPolicy(t *rapid.T) *rousev1.DevicePolicy {
	p := &rousev1.DevicePolicy{Policy: rousev1.MultiDevicePolicy(rapid.IntRange(0, 4).Draw(t, "policy"))}
	if rarely(t, "away delay", 3) {
		p.AwayDelay = durationpb.New(5 * time.Second)
	}
	return p
}

func drawAppSettings(t *rapid.T) *rousev1.AppSettings {
	s := &rousev1.AppSettings{
		DevicePolicy: drawPolicy(t),
		GroupLimit:   pick(t, "group limit", uint32(0), 0, 0, 10),
		BadgeMode:    rousev1.BadgeMode(rapid.IntRange(0, 3).Draw(t, "badge mode")),
	}
	bits := rapid.Uint32Range(0, 1<<12-1).Draw(t, "switches")
	bit := func(n int) bool { return bits>>n&1 == 1 }
	s.IosBackgroundIsOffline, s.PushAllKinds, s.ResetCountOnFetchOnly, s.PushAllBindings = bit(0), bit(1), bit(2), bit(3)
	s.DirectIsMention, s.SkipSilentCount, s.RecallOverwrites, s.RefreshBadges = bit(4), bit(5), bit(6), bit(7)
	s.AdvancedOff = bit(8) && bit(9)
	if bit(10) {
		s.ForceScope = rousev1.ForceScope_FORCE_SCOPE_QUIET
	}
	if bit(11) {
		s.GroupDefaultMode = drawMode(t, "group default")
		s.TimeZone = pick(t, "app zone", append(testZones, "Mars/Olympus")...)
		s.DefaultTtl = pick(t, "default ttl", nil, durationpb.New(time.Hour), durationpb.New(48*time.Hour))
		s.StaleAfter = pick(t, "stale after", nil, durationpb.New(time.Hour))
	}
	return s
}

// pause lets time pass; after it nothing is at the same moment as what was before.
func (x *twins) pause() {
	longest := time.Minute
	if rarely(x.t, "long", 6) {
		longest = pick(x.t, "how long", time.Hour, 24*time.Hour, 30*24*time.Hour)
	}
	x.later(pick(x.t, "pause", time.Second, longest))
}

func (x *twins) step() {
	x.pause()
	switch n := rapid.IntRange(0, 36).Draw(x.t, "what"); {
	case n < 14:
		x.decide()
	case n < 19:
		x.presenceOrBind()
	case n < 21:
		x.set()
	case n < 23:
		x.wish()
	case n == 23:
		p := drawPolicy(x.t)
		x.u.SetPolicy(p)
		x.must(&rousev1.SetUserPolicyRequest{Policy: p})
	case n == 24:
		x.alive[pick(x.t, "node", "im1", "im2")]++
	case n == 25:
		id := pick(x.t, "device", testDevices...)
		x.u.Fetched(id)
		x.do(&rousev1.FetchedEvent{DeviceId: id})
	case n == 26:
		x.end(false)
	case n == 27:
		x.end(true)
	case n == 28:
		x.follow(x.do(Due{}))
	case n == 29:
		x.base()
	case n == 30:
		name := pick(x.t, "lane", "apns", "fcm", "apns2", "voip")
		x.full[name] = !x.full[name]
	case n == 35:
		banned := rarely(x.t, "ban", 3)
		x.u.Ban(banned)
		x.follow(x.must(&rousev1.BanUserRequest{UserId: "ann", Banned: banned}))
	case n == 31:
		if rarely(x.t, "erase", 4) {
			x.erase()
		}
	case len(x.ids) == 0:
	case n < 35:
		id := pick(x.t, "message", x.ids...)
		x.u.Read(id)
		x.follow(x.do(Read{ReadEvent: &rousev1.ReadEvent{MessageIds: []string{id}}, Found: x.found(id)}))
	default:
		x.recall()
	}
}

func (x *twins) must(cmd any) Decision {
	x.t.Helper()
	d := x.do(cmd)
	if d.Reply.Err != nil {
		x.t.Fatalf("%v: %v", cmd, d.Reply.Err)
	}
	return d
}

// reload reads what is kept as after a restart: nothing that decides is
// anywhere else.
func (x *twins) reload() {
	if !x.s.Known {
		return // there is no record
	}
	var s State
	if err := s.Decode(string(x.s.Encode(nil))); err != nil {
		x.t.Fatal(err)
	}
	s.Pending = x.s.Pending
	x.s = s
}

// found are the messages that the shell would read from the store.
func (x *twins) found(id string) []*Pending {
	p := x.all[id]
	if p == nil || x.s.pending(id) != nil {
		return nil
	}
	stored, _, err := DecodePending(id, string(p.EncodeOutcome(nil)))
	if err != nil {
		x.t.Fatal(err)
	}
	x.all[id] = stored
	return []*Pending{stored}
}

// follow tells the lanes' part: what is withdrawn is cancelled.
func (x *twins) follow(d Decision) {
	for _, c := range d.Cancel {
		v := c.Pending.Verdicts[c.Verdict]
		x.follow(x.do(Ended{Message: c.Pending.Message, Device: v.Device, Notifier: v.Notifier, Status: rousev1.OutcomeStatus_OUTCOME_STATUS_CANCELLED, Reason: c.Reason}))
	}
	for _, p := range d.Touched {
		for _, v := range p.Verdicts {
			if v.Status == rousev1.OutcomeStatus_OUTCOME_STATUS_CANCELLED || v.Status == rousev1.OutcomeStatus_OUTCOME_STATUS_EXPIRED {
				x.u.Ended(x.env.Now, p.Message, v.Device, v.Notifier, false)
			}
		}
	}
}

func (x *twins) presenceOrBind() {
	id := pick(x.t, "device", testDevices...)
	x.later(time.Second)
	info := &rousev1.DeviceInfo{}
	if rarely(x.t, "device tells", 2) {
		info.Platform = rousev1.Platform(rapid.IntRange(0, 5).Draw(x.t, "platform"))
		info.TimeZone = pick(x.t, "device zone", append(testZones, "Mars/Olympus")...)
	}
	switch n := rapid.IntRange(0, 9).Draw(x.t, "bind or presence"); {
	case n < 5:
		x.bindToken(id, info)
	case n == 5:
		notifier := pick(x.t, "unbind", append(testBindable, "")...)
		x.u.Unbind(id, notifier)
		x.follow(x.must(&rousev1.UnbindTokenRequest{DeviceId: id, Notifier: notifier}))
	default:
		x.presence(id, info)
	}
}

func (x *twins) bindToken(id string, info *rousev1.DeviceInfo) {
	notifier, token := pick(x.t, "notifier", testBindable...), pick(x.t, "token", id, id, "2", "3")
	var sum Sum
	copy(sum[:], notifier+"/"+token)
	x.u.Bind(x.env.Now, id, notifier, token, info)
	x.follow(x.must(Bind{BindTokenRequest: &rousev1.BindTokenRequest{UserId: "ann", DeviceId: id, Notifier: notifier, Token: token, Device: info}, Sealed: "sealed:" + token, Sum: sum}))
}

func (x *twins) presence(id string, info *rousev1.DeviceInfo) {
	e := &rousev1.PresenceEvent{
		DeviceId: id, State: rousev1.SessionState(rapid.IntRange(1, 5).Draw(x.t, "state")), Device: info,
		Session: max(1, x.session[id]), Step: x.steps, Unbind: rarely(x.t, "unbind", 3),
	}
	x.steps++
	switch rapid.IntRange(0, 5).Draw(x.t, "order") {
	case 0:
		e.Session++
		x.session[id] = e.Session
	case 1:
		e.Step = x.steps / 2
	}
	if rarely(x.t, "base", 3) {
		e.BadgeBase = new(pick(x.t, "badge base", uint32(5), 9998))
	}
	var node actors.Node
	if name := pick(x.t, "node", "im1", "im2", ""); name != "" {
		node = actors.Node{Name: name, Incarnation: x.alive[name]}
	}
	want := x.u.Presence(x.env.Now, e, node.Name, node.Incarnation)
	d := x.must(Presence{PresenceEvent: e, Node: node})
	if d.Reply.Status != want {
		x.t.Fatalf("%v: %v, want %v", e, d.Reply.Status, want)
	}
	x.follow(d)
}

// drawWindows lie around the present minute of some zone.
func (x *twins) drawWindows() (ws []*rousev1.QuietWindow) {
	for range rapid.IntRange(0, 2).Draw(x.t, "windows") {
		z, _ := time.LoadLocation(pick(x.t, "window's zone", testZones...))
		local := x.env.Now.In(z)
		edge := func(name string) uint32 {
			off := pick(x.t, name, -60, -1, 0, 1, 2, 61, 480, 720)
			return uint32((local.Hour()*60 + local.Minute() + off + 1440) % 1440)
		}
		w := &rousev1.QuietWindow{StartMinute: edge("start"), EndMinute: edge("end"), MentionsPass: rarely(x.t, "mentions pass", 3)}
		w.WholeDay = w.GetStartMinute() == w.GetEndMinute()
		if w.GetEndMinute() == 0 && w.GetStartMinute() > 0 && rarely(x.t, "24:00", 2) {
			w.EndMinute = 1440
		}
		if rarely(x.t, "weekdays", 3) {
			today := uint32(local.Weekday()+6)%7 + 1
			w.Weekdays = pick(x.t, "which", []uint32{today}, []uint32{today%7 + 1}, []uint32{(today+5)%7 + 1}, []uint32{1, 2, 3, 4, 5})
		}
		ws = append(ws, w)
	}
	return ws
}

func (x *twins) set() {
	s := &rousev1.UserSettings{
		Mode: drawMode(x.t, "mode"), DirectMode: drawMode(x.t, "direct mode"), GroupMode: drawMode(x.t, "group mode"),
		Windows: x.drawWindows(), TimeZone: pick(x.t, "own zone", append(testZones, "", "")...),
	}
	r := &rousev1.SetUserSettingsRequest{UserId: "ann", Settings: s}
	until := x.u.Settings.GetQuietUntil()
	if d := x.drawQuietFor(); d != nil {
		r.QuietFor, until = d, x.until(d)
	}
	x.must(r)
	s = proto.CloneOf(s)
	s.QuietUntil = until
	x.u.Set(s)
}

func (x *twins) drawQuietFor() *durationpb.Duration {
	return pick(x.t, "quiet for", nil, nil, durationpb.New(0), durationpb.New(time.Second), durationpb.New(time.Hour), durationpb.New(7*24*time.Hour))
}

func (x *twins) until(d *durationpb.Duration) *timestamppb.Timestamp {
	if d.AsDuration() == 0 {
		return nil
	}
	return timestamppb.New(x.env.Now.Add(d.AsDuration()))
}

var testPeers = []string{"bob", "cid", "ann"}

func (x *twins) wish() {
	c := oracle.Conversation{Type: pick(x.t, "type", direct, group)}
	c.ID = pick(x.t, "id", append(testPeers, "team")...)
	r := &rousev1.SetConversationSettingsRequest{UserId: "ann", Conversation: &rousev1.ConversationRef{Type: c.Type, Id: c.ID}}
	w := x.u.Conversations[c]
	if rarely(x.t, "mode", 2) {
		w.Mode = drawMode(x.t, "conversation mode")
		r.Mode = w.Mode.Enum()
	}
	if d := x.drawQuietFor(); d != nil {
		r.QuietFor, w.QuietUntil = d, time.Time{}
		if u := x.until(d); u != nil {
			w.QuietUntil = u.AsTime()
		}
	}
	x.must(r)
	x.u.SetWish(c, w)
}

func (x *twins) drawMessage() *rousev1.MessageEvent {
	t := x.t
	m := &rousev1.MessageEvent{
		MessageId: fmt.Sprint("m", len(x.ids)), Sender: pick(t, "sender", "bob", "bob", "bob", "bob", "bob", "bob", "bob", "bob", "bob", "cid", "cid", "ann"),
		ConversationType: pick(t, "type", direct, direct, direct, direct, direct, group, group, group, group, group, 0, rousev1.ConversationType_CONVERSATION_TYPE_ROOM),
		Class:            rousev1.MessageClass(pick(t, "class", 0, 0, 1, 2, 2, 3, 4, 4)),
		Content:          &rousev1.Content{Body: "hi"},
	}
	if m.GetConversationType() == group {
		m.ConversationId = pick(t, "group", "team", "bob")
		m.GroupSize = pick(t, "size", uint32(0), 0, 0, 0, 0, 10, 10, 10, 11, 3000, 3001)
		m.GroupMode = drawMode(t, "its mode")
	} else {
		m.ConversationId = pick(t, "peer", append(testPeers, "")...)
	}
	bits := rapid.Uint32Range(0, 1<<10-1).Draw(t, "flags")
	bit := func(n int) bool { return bits>>n&1 == 1 }
	m.MentionAll, m.SenderIsManager, m.ForcePush = bit(0) && bit(1), bit(2), bit(3) && bit(4)
	if bit(5) {
		m.Mentions = pick(t, "mentions", []string{"ann"}, []string{"bob"}, []string{"bob", "ann"})
	}
	if bit(6) && bit(7) {
		m.OnlineOnly, m.IgnorePush, m.NoCount = rarely(t, "online only", 4), rarely(t, "ignore", 3), rarely(t, "no count", 2)
		m.Kind = rousev1.MessageKind(rapid.IntRange(0, 4).Draw(t, "kind"))
	}
	if bit(8) && bit(9) {
		m.Filter = x.drawFilter()
		if rarely(t, "badge", 2) {
			m.Badge = new(pick(t, "message badge", uint32(0), 7, 9999))
		}
		x.drawAge(m)
	}
	return m
}

func (x *twins) drawFilter() *rousev1.DeviceFilter {
	of := func(name string, names []string) []string {
		if !rarely(x.t, name, 3) {
			return nil
		}
		return rapid.SliceOfNDistinct(rapid.SampledFrom(names), 1, 3, rapid.ID[string]).Draw(x.t, name)
	}
	return &rousev1.DeviceFilter{
		AcceptDeviceIds: of("accept", testDevices), IgnoreDeviceIds: of("ignored", testDevices),
		AcceptNotifiers: of("accept notifiers", testBindable), IgnoreNotifiers: of("ignored notifiers", testBindable),
	}
}

func (x *twins) drawAge(m *rousev1.MessageEvent) {
	if age := pick(x.t, "age", -1, 0, 1, 59, 60, 3599, 3600, 86399, 86400, 86401, -599); age != -1 {
		m.SentAt = timestamppb.New(x.env.Now.Add(-time.Duration(age) * time.Second))
	}
	m.Ttl = pick(x.t, "ttl", nil, nil, durationpb.New(time.Minute), durationpb.New(48*time.Hour))
}

// decide a message, or once more one that was decided, and compare.
func (x *twins) decide() {
	m := x.drawMessage()
	if len(x.ids) > 0 && rarely(x.t, "repeat", 12) {
		m.MessageId = pick(x.t, "which", x.ids...)
	} else {
		x.ids = append(x.ids, m.GetMessageId())
	}
	stopped := rarely(x.t, "hook", 20)
	cmd := Message{MessageEvent: m, Stopped: stopped}
	cmd.Seen = x.found(m.GetMessageId()) != nil && x.u.Decided[m.GetMessageId()] != nil
	var explained []*rousev1.DeviceTrace
	if len(x.ids)%4 == 1 { // it is dear
		explained = x.explain(cmd).GetDevices()
	}
	d := x.do(cmd)
	if d.Reply.Err.GetCode() == rousev1.ErrorCode_ERROR_CODE_OVERLOADED && x.anyFull() {
		return // nothing happened; the sender will repeat it
	}
	want, repeat := x.u.Message(x.env.Now, m, stopped)
	if got := d.Reply.Status == rousev1.ItemStatus_ITEM_STATUS_DUPLICATE; got != repeat {
		x.t.Fatalf("%v: repeat %v, want %v", m, got, repeat)
	}
	if repeat {
		return
	}
	p := d.Touched[0]
	x.all[p.Message] = p
	var got []oracle.Verdict
	for i := range p.Verdicts {
		got = append(got, inWords(p, &p.Verdicts[i]))
	}
	if !slices.Equal(got, want) {
		x.t.Fatalf("%v\n got %v\nwant %v", m, got, want)
	}
	for i, v := range want {
		x.seen[v.Reason]++
		if explained == nil {
			continue
		}
		if o := explained[i].GetOutcome(); o.GetDeviceId() != v.Device || o.GetNotifier() != v.Notifier || o.GetReason() != v.Reason {
			x.t.Fatalf("%v\nexplained %v\nwant %v", m, o, v)
		}
	}
	x.follow(d)
}

// inWords says what the oracle says of a verdict.
func inWords(p *Pending, v *Verdict) oracle.Verdict {
	o := oracle.Verdict{Device: v.Device, Notifier: v.Notifier, Reason: v.Reason, Badge: int(v.Badge)}
	if v.Stage != StageEnded {
		o.Expires = time.UnixMilli(p.Expires).UTC()
	}
	if v.Stage == StageDelayed {
		o.Due = time.UnixMilli(p.Due).UTC()
	}
	return o
}

func (x *twins) anyFull() bool {
	for _, full := range x.full {
		if full {
			return true
		}
	}
	return false
}

// end a push: the vendor took it, or its token is dead.
func (x *twins) end(dead bool) {
	for _, p := range x.s.Pending {
		i := slices.IndexFunc(p.Verdicts, func(v Verdict) bool { return v.Stage == StageLane })
		if x.all[p.Message] != p || i < 0 {
			continue
		}
		v := p.Verdicts[i]
		c := Ended{Message: p.Message, Device: v.Device, Notifier: v.Notifier, Status: rousev1.OutcomeStatus_OUTCOME_STATUS_ACCEPTED, Reason: rousev1.Reason_REASON_DELIVERED_TO_VENDOR}
		if b := x.s.device(v.Device).binding(v.Notifier); dead && b != nil {
			c.Status, c.Reason, c.TokenInvalid, c.Sum = rousev1.OutcomeStatus_OUTCOME_STATUS_FAILED, rousev1.Reason_REASON_TOKEN_INVALID, true, b.Sum
			x.u.Unbind(v.Device, v.Notifier)
		}
		x.u.Ended(x.env.Now, p.Message, v.Device, v.Notifier, true)
		x.follow(x.do(c))
		return
	}
}

func (x *twins) base() {
	id := pick(x.t, "device", testDevices...)
	if d := x.u.Device(id); d != nil {
		d.Base = pick(x.t, "base", 0, 3, 9999)
		x.must(&rousev1.SetBadgeRequest{DeviceId: id, Base: new(uint32(d.Base))})
	}
}

func (x *twins) erase() {
	x.must(&rousev1.EraseUserRequest{})
	x.u = oracle.NewUser("ann", x.u.App)
	clear(x.kept)
	clear(x.all)
}

func (x *twins) recall() {
	if rarely(x.t, "it has not come", 6) {
		x.ids = append(x.ids, fmt.Sprint("m", len(x.ids)))
	}
	r := &rousev1.RecallEvent{MessageId: pick(x.t, "message", x.ids...), Version: uint32(rapid.IntRange(0, 2).Draw(x.t, "version"))}
	if rarely(x.t, "edit", 2) {
		r.Edited = &rousev1.Content{Body: "edited"}
	}
	x.u.Recall(r.GetMessageId(), r.GetVersion(), r.GetEdited() != nil)
	d := x.do(Recall{RecallEvent: r, Found: x.found(r.GetMessageId())})
	if id := r.GetMessageId(); x.all[id] == nil && x.u.Decided[id] != nil {
		x.all[id] = d.Touched[0] // decided by this
	}
	x.follow(d)
}

func (x *twins) compareCounts() {
	if len(x.s.Devices) != len(x.u.Devices) {
		x.t.Fatalf("%d devices, want %d", len(x.s.Devices), len(x.u.Devices))
	}
	for i, want := range x.u.Devices {
		got := &x.s.Devices[i]
		if got.ID != want.ID || int(got.Count) != want.Count() || len(got.Bindings) != len(want.Bindings) {
			x.t.Fatalf("%s counts %d with %d bindings, want %s %d with %d", got.ID, got.Count, len(got.Bindings), want.ID, want.Count(), len(want.Bindings))
		}
	}
}
