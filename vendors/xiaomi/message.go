package xiaomi

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/cut"
)

// keyPush is the payload's key of the push id.
const keyPush = "rouse_push_id"

// Limits (Mi Push server API, pId=1559, 2024-10): the title has "fewer than 50
// characters", the description fewer than 128. No limit of the payload is
// documented (65009 answers it); this one keeps a message within 4 KiB.
const (
	maxTitle       = 49
	maxDescription = 127
	maxPayload     = 3072 // bytes
	maxExtra       = 2047 // units, keys included (code 65015)
	maxParam       = 128  // units
)

// How long Xiaomi keeps a push (pId=1559): of public classes one day, of
// private ones ten. What asks for more is dropped.
const (
	maxPublicTTL  = 24 * time.Hour
	maxPrivateTTL = 10 * 24 * time.Hour
	// minTTL is for what has expired: 0 is not documented to mean "at once".
	minTTL = time.Millisecond
)

// notify_type bits (pId=1559).
const (
	notifySound   = 1
	notifyVibrate = 2
	notifyLight   = 4
)

// compose maps a push to a form without targets. The code is empty, or ours
// for a push that Xiaomi cannot carry.
func (c *Config) compose(n *vendors.Notification, now time.Time) (form url.Values, code string) {
	if n.Channel != vendors.ChannelAlert {
		return nil, codeNoChannel
	}
	title, description := fit(n.Title, maxTitle), fit(n.Body, maxDescription)
	// Xiaomi wants both; the one stands in for the other.
	if cut.Blank(title) {
		title = fit(n.Body, maxTitle)
	}
	if cut.Blank(description) {
		description = title
	}
	if cut.Blank(title) {
		return nil, codeNoText
	}
	payload := payloadOf(n)
	if c.EscapePayload {
		payload = url.QueryEscape(payload)
	}
	if len(payload) > maxPayload {
		return nil, codeTooBig
	}
	form = url.Values{
		"restricted_package_name": {c.PackageName},
		"pass_through":            {"0"},
		"title":                   {title},
		"description":             {description},
		"payload":                 {payload},
		"notify_type":             {strconv.Itoa(notifyType(n))},
		"notify_id":               {strconv.Itoa(notifyID(n))},
		"time_to_live":            {strconv.FormatInt(ttl(n, now).Milliseconds(), 10)},
	}
	size := 0
	for key, value := range c.extras(n) {
		form.Set("extra."+key, value)
		size += cut.UTF16(key) + cut.UTF16(value)
	}
	if size > maxExtra {
		return nil, codeTooBig
	}
	return form, ""
}

// payloadOf is what the app gets: the data and the push id, as a JSON object.
func payloadOf(n *vendors.Notification) string {
	data := make(map[string]string, len(n.Data)+1)
	maps.Copy(data, n.Data)
	data[keyPush] = n.PushID
	raw, err := json.Marshal(data)
	if err != nil {
		return "" // strings always encode
	}
	return string(raw)
}

func notifyType(n *vendors.Notification) int {
	if n.Sound == "" {
		return notifyVibrate | notifyLight
	}
	return notifySound | notifyVibrate | notifyLight
}

// notifyID is one for each collapse id, or else for each push: a push replaces
// the shown one of its id, and without an id any other of the app.
func notifyID(n *vendors.Notification) int {
	sum := sha256.Sum256([]byte("push " + n.PushID))
	if n.CollapseID != "" {
		sum = sha256.Sum256([]byte("collapse " + n.CollapseID))
	}
	return int(binary.BigEndian.Uint32(sum[:4]) &^ (1 << 31))
}

// jobKey lets the phone drop a repeat of the push: at most 20 characters, the
// first of them no underscore.
func jobKey(n *vendors.Notification) string {
	sum := sha256.Sum256([]byte(n.PushID))
	return hex.EncodeToString(sum[:10])
}

func ttl(n *vendors.Notification, now time.Time) time.Duration {
	most := maxPrivateTTL
	if n.Class == vendors.ClassMarketing {
		most = maxPublicTTL
	}
	return min(max(n.Expires.Sub(now), minTTL), most)
}

// extras are the form's "extra." fields. Xiaomi counts the badge by itself.
func (c *Config) extras(n *vendors.Notification) map[string]string {
	extras := map[string]string{"jobkey": jobKey(n)}
	route := c.routeOf(n)
	if route.ChannelID != "" {
		extras["channel_id"] = route.ChannelID
	}
	if route.TemplateID != "" {
		extras["template_id"] = route.TemplateID
		extras["template_param"] = route.params(n)
	}
	if n.Sound != "" && n.Sound != "default" {
		extras["sound_uri"] = "android.resource://" + c.PackageName + "/raw/" + n.Sound
	}
	if intent := cmp.Or(n.Override.ClickAction, c.IntentURI); intent != "" {
		extras["notify_effect"], extras["intent_uri"] = "2", intent
	}
	if c.ReceiptURL != "" {
		extras["callback"], extras["callback.param"], extras["callback.type"] = c.ReceiptURL, n.PushID, receiptTypes
	}
	return extras
}

// params fills the template's variables.
func (r Route) params(n *vendors.Notification) string {
	values := make(map[string]string, len(r.TemplateParams))
	for name, from := range r.TemplateParams {
		key, _ := strings.CutPrefix(from, "data.")
		text := n.Data[key]
		switch from {
		case "title":
			text = n.Title
		case "subtitle":
			text = n.Subtitle
		case "body":
			text = n.Body
		}
		values[name] = fit(plain(text), maxParam)
	}
	raw, err := json.Marshal(values)
	if err != nil {
		return "" // strings always encode
	}
	return string(raw)
}
