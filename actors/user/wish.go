package user

import (
	"cmp"
	"slices"
	"time"

	"github.com/rouse-im/rouse/actors/user/quiet"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/plant"
)

// wish is what the settings say of one message: whether its recipient wants to
// be woken by it at this time. Quiet times beat modes.
type wish struct {
	forced, heedMode bool
	named, everybody bool // mentioned by name, with all others

	quiet  rousev1.Reason // 0 = it is not quiet, or that does not matter
	window int            // of REASON_QUIET_WINDOW
	zone   *time.Location // of the window
	until  int64          // unix ms, of the other two

	mode    rousev1.NotifyMode
	level   string         // whose mode it is
	blocked rousev1.Reason // by the mode; 0 = it passes
}

// reason why the user does not want to be woken; 0 = he may be.
func (w *wish) reason() rousev1.Reason { return cmp.Or(w.quiet, w.blocked) }

// wish looks at quiet times, unless the sender forces the push, and at modes,
// unless his force goes as far.
func (s *State) wish(c Message, e *Env) wish {
	w := wish{
		forced: c.GetForcePush(),
		named:  slices.Contains(c.GetMentions(), e.Me), everybody: c.GetMentionAll(),
	}
	w.heedMode = !w.forced || e.App.ForceScope == rousev1.ForceScope_FORCE_SCOPE_QUIET
	if !w.forced && !e.App.AdvancedOff {
		s.lookQuiet(&w, c, e)
	}
	if w.heedMode {
		w.mode, w.level = s.mode(c, e)
		w.blocked = w.blocks(c.MessageEvent, e)
	}
	return w
}

// lookQuiet takes the union of all windows and both durations; the first that
// holds is told.
func (s *State) lookQuiet(w *wish, c Message, e *Env) {
	if len(s.Settings.Windows) > 0 {
		w.zone = s.zone(e)
		if plant.On(plant.QuietInUTC) {
			w.zone = time.UTC
		}
		now := e.Now.In(w.zone)
		w.window = slices.IndexFunc(s.Settings.Windows, func(x quiet.Window) bool {
			return x.Contains(now) && !(x.MentionsPass && (w.named || w.everybody))
		})
		if w.window >= 0 {
			w.quiet = rousev1.Reason_REASON_QUIET_WINDOW
			return
		}
	}
	now := e.Now.UnixMilli()
	switch {
	case now < s.Settings.QuietUntil:
		w.quiet, w.until = rousev1.Reason_REASON_QUIET_DURATION, s.Settings.QuietUntil
	case now < c.Conversation.QuietUntil:
		w.quiet, w.until = rousev1.Reason_REASON_QUIET_CONVERSATION, c.Conversation.QuietUntil
	}
}

// zone is where the clock of the user's windows is: as he set it, else as the
// device last seen says, else as the app says, else UTC. Names that no zone
// has fall through.
func (s *State) zone(e *Env) *time.Location {
	if z := e.Zone(s.Settings.Zone); z != nil {
		return z
	}
	var z *time.Location
	var seen int64
	for i := range s.Devices {
		d := &s.Devices[i]
		if z != nil && d.LastSeen <= seen {
			continue
		}
		if of := e.Zone(d.Info.Zone); of != nil {
			z, seen = of, d.LastSeen
		}
	}
	if z == nil {
		z = e.Zone(e.App.Zone)
	}
	if z == nil {
		z = time.UTC
	}
	return z
}

// mode is the first that is set, from the narrowest level to the widest; at
// the end ALL. A group's default comes from the message, and else from the app.
func (s *State) mode(c Message, e *Env) (mode rousev1.NotifyMode, level string) {
	conversation, user := c.Conversation.Mode, &s.Settings
	if plant.On(plant.MutedGroupPushed) {
		conversation = 0
	}
	if e.App.AdvancedOff {
		conversation, user = 0, &Settings{}
	}
	if conversation != 0 {
		return conversation, "conversation mode"
	}
	switch c.GetConversationType() {
	case rousev1.ConversationType_CONVERSATION_TYPE_DIRECT:
		if user.Direct != 0 {
			return user.Direct, "direct_mode"
		}
	case rousev1.ConversationType_CONVERSATION_TYPE_GROUP:
		switch {
		case user.Group != 0:
			return user.Group, "group_mode"
		case c.GetGroupMode() != 0:
			return c.GetGroupMode(), "group_mode of the message"
		case e.App.GroupMode != 0:
			return e.App.GroupMode, "group_default_mode of the app"
		}
	}
	if user.Mode != 0 {
		return user.Mode, "mode"
	}
	return rousev1.NotifyMode_NOTIFY_MODE_ALL, "default"
}

func (w *wish) blocks(m *rousev1.MessageEvent, e *Env) rousev1.Reason {
	pass, otherwise := true, rousev1.Reason_REASON_MODE_MENTION
	switch w.mode {
	case rousev1.NotifyMode_NOTIFY_MODE_UNSPECIFIED, rousev1.NotifyMode_NOTIFY_MODE_ALL:
	case rousev1.NotifyMode_NOTIFY_MODE_NONE:
		pass, otherwise = false, rousev1.Reason_REASON_MODE_NONE
	case rousev1.NotifyMode_NOTIFY_MODE_MENTION_ONLY:
		direct := m.GetConversationType() == rousev1.ConversationType_CONVERSATION_TYPE_DIRECT
		pass = w.named || w.everybody || direct && e.App.DirectIsMention
	case rousev1.NotifyMode_NOTIFY_MODE_MENTION_ME_ONLY:
		pass = w.named
	case rousev1.NotifyMode_NOTIFY_MODE_MENTION_ALL_ONLY:
		pass = w.everybody
	case rousev1.NotifyMode_NOTIFY_MODE_MANAGERS_ONLY:
		pass, otherwise = inGroup(m) && m.GetSenderIsManager(), rousev1.Reason_REASON_MODE_MANAGERS
	}
	if pass {
		return 0
	}
	return otherwise
}

// note puts what was looked at into the trail.
func (w *wish) note(s *State, m *rousev1.MessageEvent, e *Env) {
	t := e.Trail
	if t == nil {
		return
	}
	t.look(stepForce, 0, "", yes(wordForcePush, w.forced), enum(wordForceScope, ofForce, e.App.ForceScope))
	switch {
	case w.forced:
		t.skip(stepQuiet, "force_push")
	case e.App.AdvancedOff:
		t.skip(stepQuiet, "advanced_off of the app")
	case w.quiet == rousev1.Reason_REASON_QUIET_WINDOW:
		t.look(stepQuiet, w.quiet, "window "+s.Settings.Windows[w.window].String()+" "+w.zone.String())
		return
	case w.quiet != 0:
		t.look(stepQuiet, w.quiet, "quiet_until", num(wordLeft, (w.until-e.Now.UnixMilli())/1000))
		return
	default:
		t.look(stepQuiet, 0, "", num(wordWindows, len(s.Settings.Windows)))
	}
	if !w.heedMode {
		t.skip(stepMode, "force_push")
		return
	}
	t.look(stepMode, w.blocked, w.level, enum(wordMode, ofMode, w.mode),
		text(wordMentions, mentioned(w)), yes(wordSenderIsManager, m.GetSenderIsManager()))
}

func mentioned(w *wish) string {
	switch {
	case w.named && w.everybody:
		return "by name and all"
	case w.named:
		return "by name"
	case w.everybody:
		return "all"
	}
	return "none"
}
