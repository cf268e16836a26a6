package user

import (
	"cmp"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/content"
)

// viewer is how the user reads on a device, without his remarks.
func (s *State) viewer(d *Device, app *App, me string) content.Viewer {
	v := content.Viewer{User: me, Language: d.Info.Lang, Style: app.Style}
	if !app.AdvancedOff {
		u := &s.Settings
		v.Language, v.Style = cmp.Or(u.Lang, v.Language), cmp.Or(u.Style, v.Style)
		v.Template, v.Hide = u.Template, u.HideContent
	}
	return v
}

// noteContent says where the text of a push comes from.
func (s *State) noteContent(d *Device, m *rousev1.MessageEvent, e *Env) {
	if e.Trail == nil {
		return
	}
	v := s.viewer(d, e.App, e.Me)
	rule := e.App.Templates.Render(m, &v).Rule
	e.Trail.lookAt(d.ID, stepContent, 0, rule.String(), text(wordLanguage, cmp.Or(v.Language, "none")),
		enum(wordStyle, ofStyle, v.Style), yes(wordHideContent, v.Hide))
}

// payload keeps what the pushes of a message are made of: what says nothing to
// the user, or to the vendors of his pushes, is left out.
func (s *State) payload(p *Pending, m *rousev1.MessageEvent, e *Env) *rousev1.MessageEvent {
	kept := &rousev1.MessageEvent{
		MessageId: m.GetMessageId(), Sender: m.GetSender(), ConversationType: m.GetConversationType(),
		ConversationId: m.GetConversationId(), Class: m.GetClass(), CollapseId: m.GetCollapseId(),
		Content: m.GetContent(), Text: m.GetText(), ContentType: m.GetContentType(),
		Template: m.GetTemplate(), MentionAll: m.GetMentionAll(), NoMentionText: m.GetNoMentionText(),
		SenderNickname: m.GetSenderNickname(), SenderGroupNickname: m.GetSenderGroupNickname(), ShowContent: m.GetShowContent(),
		Ttl: m.GetTtl(),
	}
	var languages []string
	if len(m.GetTranslations()) > 0 {
		languages = append(languages, s.Settings.Lang)
		for i := range s.Devices {
			languages = append(languages, s.Devices[i].Info.Lang)
		}
	}
	content.Trim(m, kept, e.Me, languages...)
	if len(m.GetOverrides()) > 0 {
		for i := range p.Verdicts {
			vendor := e.App.Notifiers[p.Verdicts[i].Notifier].Vendor
			if o := m.GetOverrides()[vendor]; o != nil && p.Verdicts[i].Stage != StageEnded {
				if kept.Overrides == nil {
					kept.Overrides = make(map[string]*rousev1.VendorOverride, 1)
				}
				kept.Overrides[vendor] = o
			}
		}
	}
	return kept
}
