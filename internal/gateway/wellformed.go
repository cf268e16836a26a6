package gateway

import rousev1 "github.com/rouse-im/rouse/api/rouse/v1"

// Rules of intake.proto that wellFormed repeats.
const (
	maxID         = 128
	maxRecipients = 1024
	maxFilter     = 32
	maxBadge      = 9999
	maxMentions   = 256
)

// wellFormed tells that an event surely keeps the rules of the API. It repeats
// the rules of common events by hand, because the compiled ones cost more than
// all else that intake does with an event; false sends the event to them, and
// they have the last word. A fuzz test holds the two against each other.
func wellFormed(e *rousev1.Event) bool {
	switch kind := e.GetKind().(type) {
	case *rousev1.Event_Presence:
		return wellFormedPresence(kind.Presence)
	case *rousev1.Event_Message:
		return wellFormedMessage(kind.Message)
	case *rousev1.Event_Fetched:
		return sized(kind.Fetched.GetUserId()) && sized(kind.Fetched.GetDeviceId())
	default:
		return false
	}
}

func wellFormedPresence(p *rousev1.PresenceEvent) bool {
	return name(p.GetUserId()) && name(p.GetDeviceId()) &&
		p.GetState() >= rousev1.SessionState_SESSION_STATE_CONNECTED && p.GetState() <= rousev1.SessionState_SESSION_STATE_LOGGED_OUT &&
		p.GetSession() >= 1 && p.GetDevice() == nil && p.GetBadgeBase() <= maxBadge
}

func wellFormedMessage(m *rousev1.MessageEvent) bool {
	if n := len(m.GetRecipients()); n < 1 || n > maxRecipients || !name(m.GetMessageId()) {
		return false
	}
	for _, user := range m.GetRecipients() {
		if !name(user) {
			return false
		}
	}
	return len(m.GetSender()) <= maxID && len(m.GetConversationId()) <= maxID && len(m.GetCollapseId()) <= 64 &&
		within(m.GetConversationType(), rousev1.ConversationType_CONVERSATION_TYPE_ROOM) &&
		within(m.GetKind(), rousev1.MessageKind_MESSAGE_KIND_RECEIPT) &&
		within(m.GetClass(), rousev1.MessageClass_MESSAGE_CLASS_MARKETING) &&
		m.GetTtl() == nil && m.GetBadge() <= maxBadge &&
		wellFormedContent(m.GetContent()) && wellFormedFilter(m.GetFilter()) && wellFormedText(m)
}

// wellFormedText leaves what is rarely there to the compiled rules.
func wellFormedText(m *rousev1.MessageEvent) bool {
	if len(m.GetMentions()) > maxMentions {
		return false
	}
	for _, user := range m.GetMentions() {
		if len(user) > maxID {
			return false
		}
	}
	return len(m.GetText()) <= 4096 && len(m.GetExtension()) <= 16<<10 &&
		len(m.GetSenderNickname()) <= 100 && len(m.GetSenderGroupNickname()) <= 100 &&
		within(m.GetContentType(), rousev1.ContentType_CONTENT_TYPE_CUSTOM) &&
		within(m.GetGroupMode(), rousev1.NotifyMode_NOTIFY_MODE_MANAGERS_ONLY) &&
		len(m.GetTranslations()) == 0 && len(m.GetOverrides()) == 0 && m.GetTemplate() == nil && m.GetDirectedTemplate() == nil
}

func wellFormedContent(c *rousev1.Content) bool {
	return len(c.GetTitle()) <= 1024 && len(c.GetSubtitle()) <= 1024 && len(c.GetBody()) <= 4096 && len(c.GetSound()) <= 64 &&
		len(c.GetImageUrl()) <= 1024 && len(c.GetCategory()) <= 64 && len(c.GetData()) == 0
}

func wellFormedFilter(f *rousev1.DeviceFilter) bool {
	return max(len(f.GetAcceptDeviceIds()), len(f.GetIgnoreDeviceIds()), len(f.GetAcceptNotifiers()), len(f.GetIgnoreNotifiers())) <= maxFilter
}

// within tells that an enum is one of 0 to last; those of events have no gaps.
func within[E ~int32](value, last E) bool { return value >= 0 && value <= last }

func sized(id string) bool { return len(id) >= 1 && len(id) <= maxID }

// name is an id without control characters.
func name(id string) bool {
	if !sized(id) {
		return false
	}
	for i := range len(id) {
		if c := id[i]; c < 0x20 || c == 0x7f {
			return false
		}
	}
	return true
}
