package fake

import (
	"encoding/json"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Limits of the documents. Texts count in UTF-16 units, as the strict reading
// of "characters" has it.
const (
	xiaomiTargets     = 1000
	xiaomiTitle       = 49
	xiaomiDescription = 127
	xiaomiExtra       = 2047
	xiaomiParam       = 128
	xiaomiParams      = 9
	// xiaomiCallbackParam is in bytes.
	xiaomiCallbackParam = 256
	// xiaomiReceiptTypes are the known ones of callback.type, and 3 its default.
	xiaomiReceiptTypes = 1 + 2 + 16 + 32 + 64 + 128 + 1024
	xiaomiTTL          = 14 * 24 * time.Hour
)

var (
	xiaomiJob      = regexp.MustCompile(`^[0-9A-Za-z-][0-9A-Za-z_-]{0,19}$`)
	xiaomiPlainKey = []string{
		"registration_id", "restricted_package_name", "pass_through", "title", "description",
		"payload", "notify_type", "time_to_live", "time_to_send", "notify_id",
	}
)

// XiaomiPush is one push that the fake took.
type XiaomiPush struct {
	Token string
	// ID is Xiaomi's message id; PushID the payload's key "rouse_push_id";
	// MessageID the payload's key "m".
	ID, PushID, MessageID string
	At                    time.Time
	// Expires is At plus time_to_live.
	Expires            time.Time
	Title, Description string
	// Payload is what the app gets; Data is its JSON, nil when it is not an
	// object of strings.
	Payload    string
	Data       map[string]string
	NotifyID   int
	NotifyType int
	// Extra has the keys without "extra.".
	Extra map[string]string
	// Raw is the request body, for all targets.
	Raw []byte
}

// xiaomiMessage is a request that was checked.
type xiaomiMessage struct {
	targets []string
	channel string
	ttl     time.Duration
	push    XiaomiPush
}

// parse checks a form against the documents; the refusal is nil when all is well.
func (o *XiaomiOptions) parse(form url.Values) (*xiaomiMessage, *xiaomiAnswer) {
	m := &xiaomiMessage{targets: strings.Split(form.Get("registration_id"), ",")}
	m.push = XiaomiPush{
		Title: form.Get("title"), Description: form.Get("description"), Payload: form.Get("payload"),
		Extra: map[string]string{},
	}
	for key, values := range form {
		name, extra := strings.CutPrefix(key, "extra.")
		switch {
		case len(values) != 1 || !extra && !slices.Contains(xiaomiPlainKey, key):
			return nil, xiaomiError(10017, "illegal parameter: "+key)
		case extra:
			m.push.Extra[name] = values[0]
		}
	}
	m.channel = m.push.Extra["channel_id"]
	for _, check := range []func(*xiaomiMessage, url.Values) *xiaomiAnswer{
		o.checkTarget, checkXiaomiText, checkXiaomiNumbers, checkXiaomiExtra, o.checkChannel,
	} {
		if refusal := check(m, form); refusal != nil {
			return nil, refusal
		}
	}
	if json.Unmarshal([]byte(m.push.Payload), &m.push.Data) == nil {
		m.push.PushID, m.push.MessageID = m.push.Data["rouse_push_id"], m.push.Data["m"]
	}
	return m, nil
}

func (o *XiaomiOptions) checkTarget(m *xiaomiMessage, form url.Values) *xiaomiAnswer {
	switch {
	case form.Get("restricted_package_name") != o.Package:
		return xiaomiError(22022, "Invalid package name")
	case form.Get("registration_id") == "":
		return xiaomiError(10016, "missing registration_id")
	case len(m.targets) > xiaomiTargets:
		return xiaomiError(10017, "too many targets")
	case slices.Contains(m.targets, ""):
		return xiaomiError(10017, "empty registration_id")
	}
	return nil
}

func checkXiaomiText(m *xiaomiMessage, _ url.Values) *xiaomiAnswer {
	for _, text := range []struct {
		name, value string
		most        int
	}{{"title", m.push.Title, xiaomiTitle}, {"description", m.push.Description, xiaomiDescription}} {
		if strings.TrimSpace(text.value) == "" || utf16Length(text.value) > text.most {
			return xiaomiError(10017, "param error: "+text.name)
		}
	}
	return nil
}

func checkXiaomiNumbers(m *xiaomiMessage, form url.Values) *xiaomiAnswer {
	m.ttl = xiaomiTTL
	for _, number := range []struct {
		name        string
		least, most int
		into        func(int)
	}{
		{"pass_through", 0, 0, func(int) {}},
		{"notify_type", -1, 7, func(n int) { m.push.NotifyType = n }},
		{"notify_id", 0, 1<<31 - 1, func(n int) { m.push.NotifyID = n }},
		{"time_to_live", 1, int(xiaomiTTL / time.Millisecond), func(n int) { m.ttl = time.Duration(n) * time.Millisecond }},
	} {
		if !form.Has(number.name) {
			continue
		}
		n, err := strconv.Atoi(form.Get(number.name))
		if err != nil || n < number.least || n > number.most {
			return xiaomiError(10017, "param error: "+number.name)
		}
		number.into(n)
	}
	return nil
}

func checkXiaomiExtra(m *xiaomiMessage, _ url.Values) *xiaomiAnswer {
	size := 0
	for key, value := range m.push.Extra {
		size += utf16Length(key) + utf16Length(value)
	}
	if size > xiaomiExtra {
		return xiaomiError(65015, "extra is too long")
	}
	if address, ok := m.push.Extra["callback"]; ok && !strings.HasPrefix(address, "http") {
		return xiaomiError(65038, "callback url is illegal")
	}
	if len(m.push.Extra["callback.param"]) > xiaomiCallbackParam {
		return xiaomiError(65036, "callback param is too long")
	}
	if job, ok := m.push.Extra["jobkey"]; ok && !xiaomiJob.MatchString(job) {
		return xiaomiError(10017, "param error: jobkey")
	}
	effect, intent := m.push.Extra["notify_effect"], m.push.Extra["intent_uri"]
	if !slices.Contains([]string{"", "1", "2", "3"}, effect) || effect == "2" && !strings.HasPrefix(intent, "intent:") {
		return xiaomiError(10017, "param error: notify_effect")
	}
	return nil
}

func (o *XiaomiOptions) checkChannel(m *xiaomiMessage, _ url.Values) *xiaomiAnswer {
	channel, known := o.Channels[m.channel]
	if o.Channels != nil && m.channel != "" && !known {
		return xiaomiError(27001, "invalid channel info!")
	}
	template, named := m.push.Extra["template_id"]
	if len(channel.Templates) == 0 {
		return nil
	}
	names, known := channel.Templates[template]
	var params map[string]string
	if !named || !known || json.Unmarshal([]byte(m.push.Extra["template_param"]), &params) != nil {
		return xiaomiError(10017, "param error: template_id")
	}
	if len(params) != len(names) || len(params) > xiaomiParams {
		return xiaomiError(10017, "param error: template_param")
	}
	for _, name := range names {
		if !xiaomiParamFits(params[name]) {
			return xiaomiError(10017, "param error: template_param "+name)
		}
	}
	return nil
}

// xiaomiParamFits: 1..128 characters, not blank, no symbols such as emoji.
func xiaomiParamFits(value string) bool {
	return strings.TrimSpace(value) != "" && utf16Length(value) <= xiaomiParam &&
		!strings.ContainsFunc(value, func(r rune) bool { return unicode.In(r, unicode.So, unicode.Cn) })
}

// receipts is how the push asks for them. A type that is not known silently
// costs all.
func (p *XiaomiPush) receipts() sent {
	s := sent{
		url: p.Extra["callback"], token: p.Token, message: p.ID, param: p.Extra["callback.param"], expires: p.Expires,
	}
	types, given := p.Extra["callback.type"]
	if !given {
		types = "3"
	}
	var ok bool
	if s.wants, ok = typesOf(types, xiaomiReceiptTypes); !ok {
		s.url = ""
	}
	return s
}

// utf16Length counts what Java calls characters.
func utf16Length(s string) int {
	n := 0
	for _, r := range s {
		if n++; r > 0xFFFF {
			n++
		}
	}
	return n
}
