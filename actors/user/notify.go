package user

import (
	"cmp"
	"encoding/hex"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/rouse-im/rouse/actors/lane"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/content"
	"github.com/rouse-im/rouse/storage/seal"
	"github.com/rouse-im/rouse/vendors"
)

// Keys that the engine adds to the data of a push: receiver (unless the
// credential coalesces), sender, message and, for groups, group. They win over
// keys of the sender's; "e" is for what the sender adds for the app.
const (
	keyTo      = "t"
	keyFrom    = "f"
	keyMessage = "m"
	keyGroup   = "g"
)

// dispatch makes what a lane is told. A token that cannot be opened (its key
// is gone) ends the push in place of the lane.
func (a *Actor) dispatch(s *State, app *App, p Push, l *lane.Lane) LaneMessage {
	v := &p.Pending.Verdicts[p.Verdict]
	if app == nil {
		app = &noApp
	}
	coalesce := app.Notifiers[v.Notifier].Coalesce
	ref := lane.Ref{App: a.app, User: a.user, Message: p.Pending.Message, Device: v.Device, Notifier: v.Notifier}
	id := PushID(a.app, a.user, v.Device, p.Pending.Message)
	d := s.device(v.Device)
	var b *Binding
	if d != nil {
		b = d.binding(v.Notifier)
	}
	if b == nil {
		l.Release()
		return LaneMessage{Ended: a.unsent(ref, id, rousev1.OutcomeStatus_OUTCOME_STATUS_CANCELLED, rousev1.Reason_REASON_UNBOUND, "")}
	}
	token, err := a.open(v.Device, b)
	if err != nil {
		l.Release()
		a.home.Deps.Logger.Error("token cannot be opened", "app", a.app, "notifier", v.Notifier, "error", err)
		return LaneMessage{Ended: a.unsent(ref, id, rousev1.OutcomeStatus_OUTCOME_STATUS_FAILED, rousev1.Reason_REASON_TOKEN_INVALID, "sealed")}
	}
	return LaneMessage{Lane: l, Dispatch: &lane.Dispatch{
		Ref: ref, PushID: id, Order: order(a.app, a.user, v.Device, v.Notifier), To: a.home.To, TokenSum: [16]byte(b.Sum),
		Shared: coalesce && forMany(p.Pending.Payload), Life: p.Pending.life(app),
		N: a.notification(s, app, p, d, id, token),
	}}
}

func (a *Actor) unsent(ref lane.Ref, id string, st rousev1.OutcomeStatus, r rousev1.Reason, code string) *lane.Ended {
	return &lane.Ended{Ref: ref, PushID: id, Status: st, Reason: r, VendorCode: code, At: a.home.Deps.Now()}
}

// forMany tells whether other users are likely to get the same at the same time.
func forMany(m *rousev1.MessageEvent) bool {
	return m.GetConversationType() == rousev1.ConversationType_CONVERSATION_TYPE_GROUP ||
		m.GetClass() == rousev1.MessageClass_MESSAGE_CLASS_SYSTEM || m.GetClass() == rousev1.MessageClass_MESSAGE_CLASS_MARKETING
}

// noApp stands for an app that is gone: its pushes end in its lanes.
var noApp App

func (a *Actor) notification(s *State, app *App, push Push, d *Device, id, token string) *vendors.Notification {
	p := push.Pending
	v, m := &p.Verdicts[push.Verdict], p.Payload
	c := m.GetContent()
	n := &vendors.Notification{
		PushID: id, Token: token, Channel: vendors.ChannelAlert, Class: ClassOf(m.GetClass()),
		Sound: c.GetSound(), Category: c.GetCategory(), ThreadID: m.GetConversationId(), CollapseID: m.GetCollapseId(),
		Badge: int(v.Badge), Expires: time.UnixMilli(p.Expires),
	}
	if v.VoIP {
		n.Channel = vendors.ChannelVoIP
	}
	if isRefresh(p.Message) {
		n.Channel = vendors.ChannelBadge
		return n
	}
	a.write(n, s, app, p, d)
	notifier := app.Notifiers[v.Notifier]
	override(n, m.GetOverrides()[notifier.Vendor])
	n.Data = make(map[string]string, len(c.GetData())+4)
	maps.Copy(n.Data, c.GetData())
	if !notifier.Coalesce {
		n.Data[keyTo] = a.user
	}
	n.Data[keyMessage] = origin(p.Message)
	if m.GetSender() != "" {
		n.Data[keyFrom] = m.GetSender()
	}
	if inGroup(m) {
		n.Data[keyGroup] = m.GetConversationId()
	}
	return n
}

// write puts in what the user is shown.
func (a *Actor) write(n *vendors.Notification, s *State, app *App, p *Pending, d *Device) {
	viewer := s.viewer(d, app, a.user)
	if isRecall(p.Message) {
		n.Body = content.Recalled(viewer.Language)
		return
	}
	if isOverwrite(p.Message) {
		viewer.Template = "" // an edited text is given as it is to be shown
	}
	m := p.Payload
	if s.Conversations > 0 && !app.AdvancedOff {
		viewer.Remark = func() string { return a.remark(m.GetSender()) }
	}
	text := app.Templates.Render(m, &viewer)
	n.Title, n.Body = text.Title, text.Body
	if text.Rule != content.RuleHidden {
		n.Subtitle, n.ImageURL = m.GetContent().GetSubtitle(), m.GetContent().GetImageUrl()
	}
}

// remark is what the user calls the sender; empty = nothing, or it cannot be read.
func (a *Actor) remark(sender string) string {
	if sender == "" {
		return ""
	}
	c, _, err := a.conversation(ConversationID{rousev1.ConversationType_CONVERSATION_TYPE_DIRECT, sender})
	if err != nil {
		a.home.Deps.Logger.Error("remark cannot be read; the push goes without", "app", a.app, "shard", a.home.Shard, "error", err)
	}
	return c.Remark
}

func override(n *vendors.Notification, o *rousev1.VendorOverride) {
	if o == nil {
		return
	}
	n.ThreadID = cmp.Or(o.GetThreadId(), n.ThreadID)
	n.Override = vendors.Override{
		Category: o.GetCategory(), ChannelID: o.GetChannelId(), ClickAction: o.GetClickAction(), Importance: o.GetImportance(),
		NotifyLevel: int(o.GetNotifyLevel()), ReceiptID: o.GetReceiptId(), NotifyID: o.GetNotifyId(), Test: o.GetTest(), Public: o.GetPublic(),
		MutableContent: o.GetMutableContent(), ContentAvailable: o.GetContentAvailable(), AnalyticsLabel: o.GetAnalyticsLabel(),
	}
}

// ClassOf is what vendors call a class of the contract.
func ClassOf(c rousev1.MessageClass) vendors.Class {
	switch c {
	case rousev1.MessageClass_MESSAGE_CLASS_CALL:
		return vendors.ClassCall
	case rousev1.MessageClass_MESSAGE_CLASS_SYSTEM:
		return vendors.ClassSystem
	case rousev1.MessageClass_MESSAGE_CLASS_MARKETING:
		return vendors.ClassMarketing
	case rousev1.MessageClass_MESSAGE_CLASS_UNSPECIFIED, rousev1.MessageClass_MESSAGE_CLASS_IM:
	}
	return vendors.ClassIM
}

// order is equal for pushes that must leave one after the other.
func order(names ...string) uint64 {
	var h xxhash.Digest
	h.Reset()
	for _, n := range names {
		_, _ = h.WriteString(n)
		_, _ = h.Write([]byte{0})
	}
	return h.Sum64()
}

// vial is the scratch memory of sealing, opening and looking up.
type vial struct{ aad, plain, sealed, key []byte }

var vials = sync.Pool{New: func() any { return new(vial) }}

// appendAAD binds a sealed value to where it belongs.
func (a *Actor) appendAAD(b []byte, parts ...string) []byte {
	b = append(append(append(b, a.app...), 0), a.user...)
	for _, p := range parts {
		b = append(append(b, 0), p...)
	}
	return b
}

func (a *Actor) sealed(m *rousev1.BindTokenRequest) Bind {
	if m.GetToken() == "" || m.GetNotifier() == "" {
		return Bind{BindTokenRequest: m}
	}
	s, sum := a.seal(m.GetDeviceId(), m.GetNotifier(), m.GetToken())
	return Bind{BindTokenRequest: m, Sealed: s, Sum: sum}
}

func (a *Actor) seal(device, notifier, token string) (string, Sum) {
	ring := a.home.Deps.Ring
	return string(ring.Seal(nil, a.appendAAD(nil, device, notifier), pack(token))), SumOf(ring, a.app, notifier, token)
}

// SumOf identifies a token of an app's notifier.
func SumOf(ring *seal.Ring, app, notifier, token string) Sum {
	sum := ring.Sum("token", []byte(app), []byte(notifier), []byte(token))
	return Sum(sum[:len(Sum{})])
}

func (a *Actor) open(device string, b *Binding) (string, error) {
	v := vials.Get().(*vial)
	defer vials.Put(v)
	v.aad = a.appendAAD(v.aad[:0], device, b.Notifier)
	v.sealed = append(v.sealed[:0], b.Sealed...)
	plain, err := a.home.Deps.Ring.Open(v.plain[:0], v.aad, v.sealed)
	if err != nil {
		return "", err
	}
	v.plain = plain
	return unpack(plain)
}

// Stored tokens begin with a byte that tells their form: lower-case hex, which
// APNs tokens are, is kept in half the bytes.
const (
	tokenText = 0
	tokenHex  = 1
)

func pack(token string) []byte {
	if b, err := hex.DecodeString(token); err == nil && token == strings.ToLower(token) {
		return append([]byte{tokenHex}, b...)
	}
	return append([]byte{tokenText}, token...)
}

func unpack(b []byte) (string, error) {
	switch {
	case len(b) > 0 && b[0] == tokenText:
		return string(b[1:]), nil
	case len(b) > 0 && b[0] == tokenHex:
		return hex.EncodeToString(b[1:]), nil
	}
	return "", errCorrupt
}

// tail shows the last 6 characters of a token of at least 12.
func (a *Actor) tail(device string, b *Binding) string {
	token, err := a.open(device, b)
	if err != nil || len(token) < 12 {
		return ""
	}
	return token[len(token)-6:]
}
