package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/fieldmaskpb"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/rpc"
)

type settingsVerb struct {
	Get          settingsGetVerb          `cmd:"" help:"Show what a user wishes for all conversations."`
	Set          settingsSetVerb          `cmd:"" help:"Change it."`
	Conversation settingsConversationVerb `cmd:"" help:"Show or change what a user wishes for one conversation."`
}

type settingsGetVerb struct {
	remote
	User string `arg:""`
}

// Help teaches by example.
func (*settingsGetVerb) Help() string {
	return `Examples:

    rouse settings get --app chat ann`
}

// Run shows the settings.
func (v *settingsGetVerb) Run(c *call) error {
	return ask(c, &v.remote, func(s *rpc.Services) (*rousev1.GetUserSettingsResponse, error) {
		return s.Settings.GetUserSettings(c.ctx, &rousev1.GetUserSettingsRequest{UserId: v.User})
	}, func(r *rousev1.GetUserSettingsResponse) error {
		return errors.Join(c.settings(r.GetSettings()), c.say("conversations with settings of their own: %d", r.GetConversations()))
	})
}

const modes = "all, mention-only, none, mention-me-only, mention-all-only or managers-only; empty takes it back"

type settingsSetVerb struct {
	remote
	User       string         `arg:""`
	Mode       *string        `help:"Which messages may wake the user: ${modes}." placeholder:"MODE"`
	DirectMode *string        `help:"The same for direct conversations." placeholder:"MODE"`
	GroupMode  *string        `help:"The same for groups." placeholder:"MODE"`
	Window     []string       `help:"Quiet time of day: HH:MM-HH:MM or whole-day, then maybe days and the word mentions; may be given up to 8 times; none takes all back." placeholder:"WINDOW" sep:"none"`
	Quiet      *time.Duration `help:"Be quiet from now on for so long, at most 168h; 0s ends it." placeholder:"2h"`
	Zone       *string        `help:"IANA time zone of the windows; empty: that of the device last seen." placeholder:"ZONE"`
	Style      *string        `help:"How much notifications show: simple or summary." placeholder:"STYLE"`
	Nickname   *string        `help:"Name in notifications of others." placeholder:"NAME"`
	Language   *string        `help:"Language of texts." placeholder:"TAG"`
	Template   *string        `help:"Template of this user's notifications." placeholder:"NAME"`
	Hide       *bool          `help:"Show neither sender nor text." negatable:""`
}

// Help teaches by example.
func (*settingsSetVerb) Help() string {
	return `Only what is given changes.

Examples:

    rouse settings set --app chat ann --mode mention-only --zone Europe/Berlin
    rouse settings set --app chat ann --window "22:00-07:00" --window "13:00-14:00 mon,tue mentions"
    rouse settings set --app chat ann --quiet 2h
    rouse settings set --app chat ann --window none --quiet 0s`
}

// Run changes the settings.
func (v *settingsSetVerb) Run(c *call) error {
	r, err := v.request()
	if err != nil {
		return err
	}
	return ask(c, &v.remote, func(s *rpc.Services) (*rousev1.SetUserSettingsResponse, error) {
		return s.Settings.SetUserSettings(c.ctx, r)
	}, func(r *rousev1.SetUserSettingsResponse) error { return c.settings(r.GetSettings()) })
}

func (v *settingsSetVerb) request() (*rousev1.SetUserSettingsRequest, error) {
	u := &rousev1.UserSettings{}
	r := &rousev1.SetUserSettingsRequest{UserId: v.User, Settings: u, UpdateMask: &fieldmaskpb.FieldMask{}}
	changes := func(path string) { r.UpdateMask.Paths = append(r.UpdateMask.Paths, path) }
	for _, m := range []struct {
		flag string
		from *string
		to   *rousev1.NotifyMode
	}{{"mode", v.Mode, &u.Mode}, {"direct-mode", v.DirectMode, &u.DirectMode}, {"group-mode", v.GroupMode, &u.GroupMode}} {
		if m.from == nil {
			continue
		}
		var err error
		if *m.to, err = rpc.Value[rousev1.NotifyMode](*m.from); err != nil {
			return nil, fmt.Errorf("--%s: %w", m.flag, err)
		}
		changes(strings.ReplaceAll(m.flag, "-", "_"))
	}
	if v.Style != nil {
		var err error
		if u.Style, err = rpc.Value[rousev1.DisplayStyle](*v.Style); err != nil {
			return nil, fmt.Errorf("--style: %w", err)
		}
		changes("style")
	}
	for _, t := range []struct {
		path string
		from *string
		to   *string
	}{{"time_zone", v.Zone, &u.TimeZone}, {"nickname", v.Nickname, &u.Nickname}, {"language", v.Language, &u.Language}, {"template", v.Template, &u.Template}} {
		if t.from != nil {
			*t.to = *t.from
			changes(t.path)
		}
	}
	if v.Hide != nil {
		u.HideContent = *v.Hide
		changes("hide_content")
	}
	if len(v.Window) > 0 {
		var err error
		if u.Windows, err = parseWindows(v.Window); err != nil {
			return nil, err
		}
		changes("windows")
	}
	if v.Quiet != nil {
		r.QuietFor = durationpb.New(*v.Quiet)
	}
	if len(r.GetUpdateMask().GetPaths()) == 0 && r.GetQuietFor() == nil {
		return nil, errors.New("nothing to change: give at least one flag; -h shows them")
	}
	if len(r.GetUpdateMask().GetPaths()) == 0 {
		r.Settings, r.UpdateMask = nil, nil
	}
	return r, nil
}

var dayNames = []string{"mon", "tue", "wed", "thu", "fri", "sat", "sun"}

func parseWindows(texts []string) ([]*rousev1.QuietWindow, error) {
	if len(texts) == 1 && texts[0] == "none" {
		return nil, nil
	}
	list := make([]*rousev1.QuietWindow, 0, len(texts))
	for _, text := range texts {
		w, err := parseWindow(text)
		if err != nil {
			return nil, fmt.Errorf("--window %q: %w", text, err)
		}
		list = append(list, w)
	}
	return list, nil
}

func parseWindow(text string) (*rousev1.QuietWindow, error) {
	w := &rousev1.QuietWindow{}
	words := strings.Fields(text)
	if len(words) == 0 {
		return nil, errors.New("write one like 22:00-07:00")
	}
	if words[0] == "whole-day" {
		w.WholeDay = true
	} else {
		from, to, ok := strings.Cut(words[0], "-")
		var err1, err2 error
		w.StartMinute, err1 = parseClock(from)
		w.EndMinute, err2 = parseClock(to)
		if !ok || err1 != nil || err2 != nil {
			return nil, errors.New("write the times like 22:00-07:00, or whole-day")
		}
	}
	for _, word := range words[1:] {
		if word == "mentions" {
			w.MentionsPass = true
			continue
		}
		for name := range strings.SplitSeq(word, ",") {
			day := slices.Index(dayNames, strings.ToLower(name))
			if day < 0 {
				return nil, fmt.Errorf("%q is neither mentions nor one of %s", name, strings.Join(dayNames, ", "))
			}
			w.Weekdays = append(w.Weekdays, uint32(day)+1)
		}
	}
	return w, nil
}

// parseClock takes 00:00 to 24:00 as minutes after midnight.
func parseClock(text string) (uint32, error) {
	if text == "24:00" {
		return 24 * 60, nil
	}
	t, err := time.Parse("15:04", text)
	return uint32(t.Hour()*60 + t.Minute()), err
}

func windowText(w *rousev1.QuietWindow) string {
	text := fmt.Sprintf("%02d:%02d-%02d:%02d", w.GetStartMinute()/60, w.GetStartMinute()%60, w.GetEndMinute()/60, w.GetEndMinute()%60)
	if w.GetWholeDay() && w.GetStartMinute() == 0 {
		text = "whole-day"
	}
	var days []string
	for _, d := range w.GetWeekdays() {
		if d >= 1 && int(d) <= len(dayNames) {
			days = append(days, dayNames[d-1])
		}
	}
	if len(days) > 0 {
		text += " " + strings.Join(days, ",")
	}
	if w.GetMentionsPass() {
		text += " mentions"
	}
	return text
}

// settings shows a user's settings, one a line.
func (c *call) settings(u *rousev1.UserSettings) error {
	rows := [][]string{
		{"mode", rpc.Word(u.GetMode())},
		{"direct mode", rpc.Word(u.GetDirectMode())},
		{"group mode", rpc.Word(u.GetGroupMode())},
		{"quiet until", at(u.GetQuietUntil())},
	}
	for _, w := range u.GetWindows() {
		rows = append(rows, []string{"window", windowText(w)})
	}
	hide := "no"
	if u.GetHideContent() {
		hide = "yes"
	}
	rows = append(rows, [][]string{
		{"zone", dash(u.GetTimeZone())},
		{"style", rpc.Word(u.GetStyle())},
		{"nickname", dash(u.GetNickname())},
		{"language", dash(u.GetLanguage())},
		{"template", dash(u.GetTemplate())},
		{"hide", hide},
	}...)
	return c.columns(rows)
}

type settingsConversationVerb struct {
	remote
	User   string         `arg:""`
	Group  string         `help:"The group that is meant." placeholder:"ID" xor:"conversation"`
	Direct string         `help:"The peer of the direct conversation that is meant." placeholder:"USER" xor:"conversation"`
	Mode   *string        `help:"Which messages may wake the user: ${modes}." placeholder:"MODE"`
	Quiet  *time.Duration `help:"Be quiet from now on for so long, at most 168h; 0s ends it." placeholder:"2h"`
	Remark *string        `help:"What the user calls the peer." placeholder:"NAME"`
	Page   string         `help:"The next page, as the one before named it." placeholder:"TOKEN"`
}

// Help teaches by example.
func (*settingsConversationVerb) Help() string {
	return `Without --group and --direct all conversations with settings are shown; without a change, the one that is named.

Examples:

    rouse settings conversation --app chat ann --group team --mode none
    rouse settings conversation --app chat ann --direct bob --remark Bobby --quiet 2h
    rouse settings conversation --app chat ann`
}

// Run shows or changes settings of conversations.
func (v *settingsConversationVerb) Run(c *call) error {
	ref := &rousev1.ConversationRef{Type: rousev1.ConversationType_CONVERSATION_TYPE_GROUP, Id: v.Group}
	if v.Direct != "" {
		ref = &rousev1.ConversationRef{Type: rousev1.ConversationType_CONVERSATION_TYPE_DIRECT, Id: v.Direct}
	}
	changes := v.Mode != nil || v.Quiet != nil || v.Remark != nil
	switch {
	case ref.GetId() == "" && changes:
		return errors.New("which conversation? name it with --group or --direct")
	case ref.GetId() == "":
		return v.list(c)
	case changes:
		return v.set(c, ref)
	}
	return ask(c, &v.remote, func(s *rpc.Services) (*rousev1.GetConversationSettingsResponse, error) {
		return s.Settings.GetConversationSettings(c.ctx, &rousev1.GetConversationSettingsRequest{UserId: v.User, Conversations: []*rousev1.ConversationRef{ref}})
	}, func(r *rousev1.GetConversationSettingsResponse) error { return c.conversations(r.GetSettings()) })
}

func (v *settingsConversationVerb) set(c *call, ref *rousev1.ConversationRef) error {
	r := &rousev1.SetConversationSettingsRequest{UserId: v.User, Conversation: ref, Remark: v.Remark}
	if v.Mode != nil {
		mode, err := rpc.Value[rousev1.NotifyMode](*v.Mode)
		if err != nil {
			return fmt.Errorf("--mode: %w", err)
		}
		r.Mode = &mode
	}
	if v.Quiet != nil {
		r.QuietFor = durationpb.New(*v.Quiet)
	}
	return ask(c, &v.remote, func(s *rpc.Services) (*rousev1.SetConversationSettingsResponse, error) {
		return s.Settings.SetConversationSettings(c.ctx, r)
	}, func(r *rousev1.SetConversationSettingsResponse) error {
		return c.conversations([]*rousev1.ConversationSettings{r.GetSettings()})
	})
}

func (v *settingsConversationVerb) list(c *call) error {
	return ask(c, &v.remote, func(s *rpc.Services) (*rousev1.ListConversationSettingsResponse, error) {
		return s.Settings.ListConversationSettings(c.ctx, &rousev1.ListConversationSettingsRequest{UserId: v.User, PageToken: v.Page})
	}, func(r *rousev1.ListConversationSettingsResponse) error {
		err := c.conversations(r.GetSettings())
		if r.GetNextPageToken() != "" {
			err = errors.Join(err, c.say("more with --page %s", r.GetNextPageToken()))
		}
		return err
	})
}

func (c *call) conversations(list []*rousev1.ConversationSettings) error {
	var rows [][]string
	for _, s := range list {
		rows = append(rows, []string{
			rpc.Word(s.GetConversation().GetType()), s.GetConversation().GetId(), rpc.Word(s.GetMode()), at(s.GetQuietUntil()), dash(s.GetRemark()),
		})
	}
	return c.table([]string{"TYPE", "CONVERSATION", "MODE", "QUIET UNTIL", "REMARK"}, rows)
}
