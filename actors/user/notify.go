package user

import (
	"encoding/hex"
	"maps"
	"strings"
	"sync"
	"time"

	"github.com/cespare/xxhash/v2"

	"github.com/rouse-im/rouse/actors/lane"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/storage/seal"
	"github.com/rouse-im/rouse/vendors"
)

// Keys that the engine adds to the data of a push: receiver (unless the
// credential coalesces), sender, message and, for groups, group. They win over
// keys of the sender's.
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
	coalesce := app != nil && app.Notifiers[v.Notifier].Coalesce
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
		Shared: coalesce && forMany(p.Pending.Payload), N: a.notification(p.Pending, v, d, id, token, coalesce),
	}}
}

func (a *Actor) unsent(ref lane.Ref, id string, st rousev1.OutcomeStatus, r rousev1.Reason, code string) *lane.Ended {
	return &lane.Ended{Ref: ref, PushID: id, Status: st, Reason: r, VendorCode: code, At: time.Now()}
}

// forMany tells whether other users are likely to get the same at the same time.
func forMany(m *rousev1.MessageEvent) bool {
	return m.GetConversationType() == rousev1.ConversationType_CONVERSATION_TYPE_GROUP ||
		m.GetClass() == rousev1.MessageClass_MESSAGE_CLASS_SYSTEM || m.GetClass() == rousev1.MessageClass_MESSAGE_CLASS_MARKETING
}

func (a *Actor) notification(p *Pending, v *Verdict, d *Device, id, token string, coalesce bool) *vendors.Notification {
	m := p.Payload
	c := m.GetContent()
	n := &vendors.Notification{
		PushID: id, Token: token, Channel: vendors.ChannelAlert, Class: ClassOf(m.GetClass()),
		Title: c.GetTitle(), Subtitle: c.GetSubtitle(), Body: c.GetBody(), Sound: c.GetSound(), ImageURL: c.GetImageUrl(),
		Category: c.GetCategory(), ThreadID: m.GetConversationId(), CollapseID: m.GetCollapseId(),
		Badge: int(v.Badge), Expires: time.UnixMilli(p.Expires),
		Data: make(map[string]string, len(c.GetData())+4),
	}
	if v.VoIP {
		n.Channel = vendors.ChannelVoIP
	}
	switch {
	case isRefresh(p.Message):
		n.Channel, n.Data = vendors.ChannelBadge, nil
		return n
	case isRecall(p.Message):
		n.Body = recallText(d.Info.Lang)
	case n.Title == "" && n.Body == "":
		n.Body = placeholder(d.Info.Lang)
	}
	maps.Copy(n.Data, c.GetData())
	if !coalesce {
		n.Data[keyTo] = a.user
	}
	n.Data[keyMessage] = origin(p.Message)
	if m.GetSender() != "" {
		n.Data[keyFrom] = m.GetSender()
	}
	if m.GetConversationType() == rousev1.ConversationType_CONVERSATION_TYPE_GROUP {
		n.Data[keyGroup] = m.GetConversationId()
	}
	return n
}

// placeholder stands for a message that brought no text.
func placeholder(locale string) string {
	if strings.HasPrefix(strings.ToLower(locale), "zh") {
		return "您有一条新消息"
	}
	return "You have a new message"
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
