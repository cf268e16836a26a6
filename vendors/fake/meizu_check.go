package fake

import (
	"encoding/json"
	"io"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Limits of the README. Texts count in UTF-16 units, as the strict reading of
// "characters" has it.
const (
	meizuTargets = 100
	meizuTitle   = 32
	meizuContent = 100
	meizuHours   = 72
)

var meizuKey = regexp.MustCompile(`^[0-9A-Za-z_-]{1,8}$`)

// MeizuPush is one push that the fake took.
type MeizuPush struct {
	Token string
	// ID is Meizu's msgId; PushID the parameter "rouse_push_id"; MessageID the
	// parameter "m".
	ID, PushID, MessageID string
	At                    time.Time
	// Expires is At plus validTime, or At for a push that is not kept.
	Expires        time.Time
	Private        bool
	Title, Content string
	Activity       string
	// Parameters of the tap, and their size in JSON.
	Parameters      map[string]string
	ParametersBytes int
	NotifyKey       string
	Sound           bool
	// Message is messageJson; Raw the request body, for all targets.
	Message string
	Raw     []byte
}

// meizuMessage is a request that was checked.
type meizuMessage struct {
	targets []string
	keep    time.Duration
	push    MeizuPush
	// callback, param and types are of extra.
	callback, param, types string
}

// meizuJSON is messageJson as the README names it.
type meizuJSON struct {
	Bar struct {
		MsgType int    `json:"noticeMsgType"`
		Type    int    `json:"noticeBarType"`
		Title   string `json:"title"`
		Content string `json:"content"`
	} `json:"noticeBarInfo"`
	Expand struct {
		Type    int    `json:"noticeExpandType"`
		Content string `json:"noticeExpandContent"`
		Image   string `json:"noticeExpandImgUrl"`
	} `json:"noticeExpandInfo"`
	Click struct {
		Type       int             `json:"clickType"`
		URL        string          `json:"url"`
		Activity   string          `json:"activity"`
		Parameters json.RawMessage `json:"parameters"`
		Custom     string          `json:"customAttribute"`
	} `json:"clickTypeInfo"`
	Keep struct {
		Offline *int `json:"offLine"`
		Hours   *int `json:"validTime"`
	} `json:"pushTimeInfo"`
	Advance struct {
		Suspend *int `json:"suspend"`
		Clear   *int `json:"clearNoticeBar"`
		Fix     *int `json:"fixDisplay"`
		Type    struct {
			Vibrate *int `json:"vibrate"`
			Lights  *int `json:"lights"`
			Sound   *int `json:"sound"`
		} `json:"notificationType"`
		Key *string `json:"notifyKey"`
	} `json:"advanceInfo"`
	Extra struct {
		Address string       `json:"callback"`
		Param   string       `json:"callback.param"`
		Types   *json.Number `json:"callback.type"` // 3 when missing
	} `json:"extra"`
}

// parseMeizu checks a form; the refusal is nil when all is well.
func parseMeizu(form url.Values) (*meizuMessage, *meizuAnswer) {
	m := &meizuMessage{targets: strings.Split(form.Get("pushIds"), ",")}
	var j meizuJSON
	text := form.Get("messageJson")
	decoder := json.NewDecoder(strings.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&j); err != nil {
		return nil, meizuError("1005", "messageJson: "+err.Error())
	}
	if _, err := decoder.Token(); err != io.EOF {
		return nil, meizuError("1005", "messageJson: more than one value")
	}
	switch {
	case len(form) != 4:
		return nil, meizuError("1005", "unknown parameter")
	case len(m.targets) > meizuTargets || slices.Contains(m.targets, ""):
		return nil, meizuError("1005", "pushIds: want 1 to 100")
	}
	if field := j.fault(); field != "" {
		return nil, meizuError("1005", "parameter error: "+field)
	}
	m.read(&j, text)
	return m, nil
}

// fault names the first field that the README does not allow, empty for none.
func (j *meizuJSON) fault() string {
	within := func(text string, most int) bool {
		return strings.TrimSpace(text) != "" && utf16Length(text) <= most
	}
	flag := func(n *int) bool { return n == nil || *n == 0 || *n == 1 }
	hours := 24
	if j.Keep.Hours != nil {
		hours = *j.Keep.Hours
	}
	parameters := map[string]json.RawMessage{}
	for _, check := range []struct {
		field string
		ok    bool
	}{
		{"noticeMsgType", j.Bar.MsgType == 0 || j.Bar.MsgType == 1},
		{"noticeBarType", j.Bar.Type == 0 || j.Bar.Type == 2},
		{"title", within(j.Bar.Title, meizuTitle)},
		{"content", within(j.Bar.Content, meizuContent)},
		{"noticeExpandType", j.Expand.Type == 0 || j.Expand.Type == 1 && j.Expand.Content != ""},
		{"clickType", j.Click.Type == 0 || j.Click.Type == 1 && j.Click.Activity != "" || j.Click.Type == 2 && j.Click.URL != ""},
		{"parameters", j.Click.Parameters == nil || json.Unmarshal(j.Click.Parameters, &parameters) == nil},
		{"offLine", flag(j.Keep.Offline)},
		{"validTime", hours >= 1 && hours <= meizuHours},
		{"suspend", flag(j.Advance.Suspend)},
		{"clearNoticeBar", flag(j.Advance.Clear)},
		{"fixDisplay", j.Advance.Fix == nil || *j.Advance.Fix == 0},
		{"vibrate", flag(j.Advance.Type.Vibrate)},
		{"lights", flag(j.Advance.Type.Lights)},
		{"sound", flag(j.Advance.Type.Sound)},
		{"callback", len(j.Extra.Address) <= 128},
		{"callback.param", len(j.Extra.Param) <= 64},
		{"callback.type", j.Extra.Types == nil || slices.Contains([]json.Number{"1", "2", "3"}, *j.Extra.Types)},
		{"notifyKey", j.Advance.Key == nil || meizuKey.MatchString(*j.Advance.Key)},
	} {
		if !check.ok {
			return check.field
		}
	}
	return ""
}

func (m *meizuMessage) read(j *meizuJSON, text string) {
	orElse := func(n *int, zero int) int {
		if n == nil {
			return zero
		}
		return *n
	}
	m.push = MeizuPush{
		Private: j.Bar.MsgType == 1, Title: j.Bar.Title, Content: j.Bar.Content, Activity: j.Click.Activity,
		ParametersBytes: len(j.Click.Parameters), Sound: orElse(j.Advance.Type.Sound, 1) == 1, Message: text,
	}
	m.callback, m.param, m.types = j.Extra.Address, j.Extra.Param, "3"
	if j.Extra.Types != nil {
		m.types = string(*j.Extra.Types)
	}
	if j.Advance.Key != nil {
		m.push.NotifyKey = *j.Advance.Key
	}
	if json.Unmarshal(j.Click.Parameters, &m.push.Parameters) == nil {
		m.push.PushID, m.push.MessageID = m.push.Parameters["rouse_push_id"], m.push.Parameters["m"]
	}
	if orElse(j.Keep.Offline, 1) == 1 {
		m.keep = time.Duration(orElse(j.Keep.Hours, 24)) * time.Hour
	}
}

// receipts is how the message asks for them; known has the access tokens of
// the addresses that are registered.
func (m *meizuMessage) receipts(token, id string, expires time.Time, known map[string]string) sent {
	s := sent{url: m.callback, token: token, message: id, param: m.param, expires: expires}
	access, registered := known[m.callback]
	if !registered {
		s.url = ""
	}
	s.proof.Secret = access
	s.wants, _ = typesOf(m.types, 3)
	return s
}
