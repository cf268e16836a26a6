package user

import (
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/rouse-im/rouse/actors"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/plant"
)

// Event is a change that was decided. Applying the events of a decision, in
// order, is the only way in which a State changes.
type Event interface{ apply(*State) }

// Apply the events of a decision.
func (s *State) Apply(events []Event) {
	for _, e := range events {
		e.apply(s)
	}
}

type (
	sessionChanged struct {
		device        string
		state         rousev1.SessionState
		node          actors.Node
		session, step uint64
		at            int64 // unix ms
		info          Info
		resetCount    bool
		base          *uint32 // badge base; nil = not said
	}
	countReset struct {
		device string
		at     int64 // unix ms
	}
	badgeSet struct {
		device      string
		count, base uint32
	}
	countFell struct {
		device string
		p      *Pending
		i      int
	}
	recalled struct {
		p       *Pending
		version uint32
		gone    bool // withdrawn, not edited
	}
	contentEdited struct {
		p       *Pending
		content *rousev1.Content
	}
	messageDecided struct {
		p     *Pending
		raise []int  // devices whose count rises
		day   uint16 // unix day to remember; 0 = known already
	}
	verdictMoved struct {
		p     *Pending
		i     int
		stage Stage
	}
	verdictEnded struct {
		p        *Pending
		i        int
		status   rousev1.OutcomeStatus
		reason   rousev1.Reason
		code, id string
		at       int64 // unix ms
	}
	tokenBound struct {
		device, notifier string
		sealed           string
		sum              Sum
		at               int64 // unix ms
		info             Info
	}
	tokenDropped struct{ device, notifier string }
	resultKept   struct {
		device, notifier string
		reason           rousev1.Reason
		at               int64 // unix ms
	}
	deviceDropped struct{ device string }
	policySet     struct{ policy Policy }
	banSet        struct{ banned bool }
	userErased    struct{}
	settingsSet   struct{ settings Settings }
	// conversationsCounted says how many have settings of their own.
	conversationsCounted struct{ n uint32 }
)

// ensure returns the device, made when there is none.
func (s *State) ensure(id string) *Device {
	s.Known = true
	if d := s.device(id); d != nil {
		return d
	}
	s.Devices = append(s.Devices, Device{ID: id})
	return &s.Devices[len(s.Devices)-1]
}

func (e sessionChanged) apply(s *State) {
	d := s.ensure(e.device)
	d.State, d.Session, d.Step, d.LastSeen = e.state, e.session, e.step, e.at/1000
	d.Node, d.Inc = "", 0
	if e.state == rousev1.SessionState_SESSION_STATE_CONNECTED || e.state == rousev1.SessionState_SESSION_STATE_BACKGROUND {
		d.Node, d.Inc = e.node.Name, e.node.Incarnation
	}
	d.Info.merge(e.info)
	if e.resetCount {
		d.reset(e.at)
	}
	if e.base != nil {
		d.Base = *e.base
	}
}

// reset says that all messages of before were fetched. A count of 0 needs no
// time: none of them is counted any more.
func (d *Device) reset(at int64) {
	if d.Count > 0 {
		d.Count, d.ResetAt = 0, at
		d.Round++
	}
}

func (e countReset) apply(s *State) {
	if d := s.device(e.device); d != nil {
		d.reset(e.at)
	}
}

func (e badgeSet) apply(s *State) {
	if d := s.device(e.device); d != nil {
		d.Count, d.Base = e.count, e.base
	}
}

func (e countFell) apply(s *State) {
	if d := s.device(e.device); d != nil && d.Count > 0 {
		d.Count--
	}
	e.p.Verdicts[e.i].Counted = 0
}

func (e recalled) apply(*State) { e.p.Version, e.p.Gone = e.version, e.gone }

func (e contentEdited) apply(*State) {
	m := proto.CloneOf(e.p.Payload)
	if m.GetContent() == nil {
		m.Content = &rousev1.Content{}
	}
	m.Content.Title, m.Content.Body = e.content.GetTitle(), e.content.GetBody()
	// What else said it before says it no more.
	m.Text, m.Translations, m.Template, m.DirectedTemplate = e.content.GetBody(), nil, nil, nil
	e.p.Payload = m
}

func (e messageDecided) apply(s *State) {
	for _, i := range e.raise {
		s.Devices[i].Count++
		if plant.On(plant.DoubleCount) {
			s.Devices[i].Count++
		}
	}
	if e.day != 0 {
		s.Days = [2]uint16{e.day, s.Days[0]}
	}
	if !e.p.done() {
		s.Pending = append(s.Pending, e.p)
	}
}

func (e verdictMoved) apply(*State) { e.p.Verdicts[e.i].Stage = e.stage }

func (e verdictEnded) apply(s *State) {
	v := &e.p.Verdicts[e.i]
	v.Stage, v.Status, v.Reason, v.EndedAt = StageEnded, e.status, e.reason, e.at
	v.VendorCode, v.VendorID, v.Withdrawn = e.code, e.id, 0
	if e.p.done() {
		e.p.Payload = nil
		s.Pending = slices.DeleteFunc(s.Pending, func(p *Pending) bool { return p == e.p })
	}
}

func (e tokenBound) apply(s *State) {
	d := s.ensure(e.device)
	d.LastSeen = max(d.LastSeen, e.at/1000)
	d.Info.merge(e.info)
	b := d.binding(e.notifier)
	if b == nil {
		d.Bindings = append(d.Bindings, Binding{Notifier: e.notifier})
		b = &d.Bindings[len(d.Bindings)-1]
	}
	if b.Sum != e.sum {
		b.LastReason, b.LastAt = 0, 0 // they are of another token
	}
	b.Sealed, b.Sum, b.BoundAt = e.sealed, e.sum, e.at
}

func (e tokenDropped) apply(s *State) {
	if d := s.device(e.device); d != nil {
		d.Bindings = slices.DeleteFunc(d.Bindings, func(b Binding) bool { return b.Notifier == e.notifier })
	}
}

func (e resultKept) apply(s *State) {
	if d := s.device(e.device); d != nil {
		if b := d.binding(e.notifier); b != nil {
			b.LastReason, b.LastAt = e.reason, e.at
		}
	}
}

func (e deviceDropped) apply(s *State) {
	s.Devices = slices.DeleteFunc(s.Devices, func(d Device) bool { return d.ID == e.device })
}

func (e banSet) apply(s *State) { s.Known, s.Banned = true, e.banned }

func (e policySet) apply(s *State) { s.Known, s.Policy = true, e.policy }

func (e settingsSet) apply(s *State) { s.Known, s.Settings = true, e.settings }

func (e conversationsCounted) apply(s *State) { s.Known, s.Conversations = true, e.n }

func (userErased) apply(s *State) { *s = State{} }

// pushWithdrawn: the lane was asked to cancel a push.
type pushWithdrawn struct {
	p      *Pending
	i      int
	reason rousev1.Reason
}

func (e pushWithdrawn) apply(*State) { e.p.Verdicts[e.i].Withdrawn = e.reason }
