package user

import (
	"fmt"
	"strings"
	"time"

	"golang.org/x/text/language"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/rouse-im/rouse/actors"
	"github.com/rouse-im/rouse/actors/user/quiet"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// settingPaths are the fields that a mask may name.
var settingPaths = []string{
	"mode", "direct_mode", "group_mode", "windows", "time_zone", "style", "nickname", "language", "template", "hide_content",
}

// decideSettings changes the named fields, or all that the request could name.
func (s *State) decideSettings(c *rousev1.SetUserSettingsRequest, e *Env) Decision {
	paths := c.GetUpdateMask().GetPaths()
	if len(paths) == 0 && c.GetSettings() != nil {
		paths = settingPaths
	}
	n := s.Settings
	for _, path := range paths {
		if fault := n.set(path, c.GetSettings(), e); fault != "" {
			return refuse(rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, false, fault)
		}
	}
	n.QuietUntil = quietUntil(n.QuietUntil, c.GetQuietFor(), e.Now)
	dec := Decision{Reply: actors.Reply{Status: accepted, Response: &rousev1.SetUserSettingsResponse{Settings: n.proto(e.Now)}}}
	if string(n.encode(nil)) != string(s.Settings.encode(nil)) {
		dec.Events = []Event{settingsSet{n}}
		dec.Changed = true
	}
	return dec
}

// set takes one field over; it tells what is wrong with it.
func (s *Settings) set(path string, from *rousev1.UserSettings, e *Env) (fault string) {
	switch path {
	case "mode":
		s.Mode = from.GetMode()
	case "direct_mode":
		s.Direct = from.GetDirectMode()
	case "group_mode":
		s.Group = from.GetGroupMode()
	case "windows":
		s.Windows, fault = windowsOf(from.GetWindows())
	case "time_zone":
		s.Zone = from.GetTimeZone()
		if s.Zone != "" && e.Zone(s.Zone) == nil {
			return fmt.Sprintf("settings.time_zone: %q is no IANA zone; write one like Asia/Shanghai or Europe/Berlin", s.Zone)
		}
	case "style":
		s.Style = from.GetStyle()
	case "nickname":
		s.Nickname = from.GetNickname()
	case "language":
		s.Lang, fault = languageOf(from.GetLanguage())
	case "template":
		s.Template = from.GetTemplate()
	case "hide_content":
		s.HideContent = from.GetHideContent()
	case "quiet_until":
		return "update_mask: quiet_until is set by quiet_for, which also ends it (0s)"
	default:
		return fmt.Sprintf("update_mask: %q is no field of settings; write some of %s", path, strings.Join(settingPaths, ", "))
	}
	return fault
}

func windowsOf(from []*rousev1.QuietWindow) (list []quiet.Window, fault string) {
	if len(from) > MaxWindows {
		return nil, fmt.Sprintf("settings.windows: at most %d", MaxWindows)
	}
	for i, p := range from {
		w := quiet.Window{
			Start: uint16(min(p.GetStartMinute(), 1<<16-1)), End: uint16(min(p.GetEndMinute(), 1<<16-1)),
			WholeDay: p.GetWholeDay(), MentionsPass: p.GetMentionsPass(),
		}
		for _, d := range p.GetWeekdays() {
			w.Days |= 1 << min(d-1, 7) // a day that there is not makes Days too large
		}
		if fault := w.Fault(); fault != "" {
			return nil, fmt.Sprintf("settings.windows[%d]: %s", i, fault)
		}
		list = append(list, w)
	}
	return list, ""
}

// languageOf writes a language tag the usual way.
func languageOf(tag string) (canonical, fault string) {
	if tag == "" {
		return "", ""
	}
	t, err := language.Parse(tag)
	if err != nil {
		return "", fmt.Sprintf("settings.language: %q is no language tag (BCP 47); write one like zh-Hans or en-GB", tag)
	}
	return t.String(), ""
}

// quietUntil is the end of quiet: the old one, or that of a duration from now
// on; 0 = none, or over.
func quietUntil(old int64, d *durationpb.Duration, now time.Time) int64 {
	if d != nil {
		old = now.Add(d.AsDuration()).UnixMilli()
	}
	if old <= now.UnixMilli() {
		return 0
	}
	return old
}

// decideConversation changes the settings of one conversation. The record
// counts those that are kept; it is committed with them.
func (s *State) decideConversation(c SetConversation, e *Env) Decision {
	id := ConversationID{c.GetConversation().GetType(), c.GetConversation().GetId()}
	if id.Type != rousev1.ConversationType_CONVERSATION_TYPE_DIRECT && c.GetRemark() != "" {
		return refuse(rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, false, "remark: only the peer of a direct conversation has one")
	}
	n := c.Current
	if c.Mode != nil {
		n.Mode = c.GetMode()
	}
	if c.Remark != nil {
		n.Remark = c.GetRemark()
	}
	n.QuietUntil = quietUntil(n.QuietUntil, c.GetQuietFor(), e.Now)
	dec := Decision{Reply: actors.Reply{Status: accepted, Response: &rousev1.SetConversationSettingsResponse{Settings: n.proto(id, e.Now)}}}
	kept := int(s.Conversations)
	switch {
	case n.void(e.Now) && c.Kept:
		dec.Conversations = append(dec.Conversations, ConversationChange{ID: id, Remove: true})
		kept--
	case n.void(e.Now) || n == c.Current && c.Kept:
		return dec
	case !c.Kept:
		for _, other := range c.Void {
			dec.Conversations = append(dec.Conversations, ConversationChange{ID: other, Remove: true})
		}
		if kept += 1 - len(c.Void); kept > MaxConversations {
			return refuse(rousev1.ErrorCode_ERROR_CODE_LIMIT_EXCEEDED, false,
				fmt.Sprintf("the user has settings for %d conversations; take back those of one first: mode unspecified, quiet_for 0s and an empty remark", MaxConversations))
		}
		fallthrough
	default:
		dec.Conversations = append(dec.Conversations, ConversationChange{ID: id, Conversation: n})
	}
	if kept != int(s.Conversations) {
		dec.Events = append(dec.Events, conversationsCounted{uint32(max(kept, 0))})
		dec.Changed = true
	}
	return dec
}

// forget removes the settings of a message's conversation that say nothing any
// more, with the commit of the message.
func (s *State) forget(dec *Decision, c Message, e *Env) {
	if !c.Kept || !c.Conversation.void(e.Now) || s.Conversations == 0 {
		return
	}
	id, _ := conversationOf(c.MessageEvent, e.Me)
	dec.Conversations = append(dec.Conversations, ConversationChange{ID: id, Remove: true})
	dec.Events = append(dec.Events, conversationsCounted{s.Conversations - 1})
	dec.Changed = true
}
