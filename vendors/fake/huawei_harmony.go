package fake

import (
	"net/http"
	"regexp"
	"slices"
	"time"
)

// harmonyRequest is the body of POST /v3/{project}/messages:send with
// push-type 0, an alert; the fake knows no other type.
type harmonyRequest struct {
	Payload struct {
		Notification *harmonyNotification `json:"notification"`
	} `json:"payload"`
	Target struct {
		Token []string `json:"token"`
	} `json:"target"`
	Options struct {
		TestMessage bool   `json:"testMessage"`
		TTL         *int   `json:"ttl"`
		BiTag       string `json:"biTag"`
		ReceiptID   string `json:"receiptId"`
		CollapseKey *int   `json:"collapseKey"`
	} `json:"pushOptions"`
}

type harmonyNotification struct {
	Category    string `json:"category"`
	Title       string `json:"title"`
	Body        string `json:"body"`
	Image       string `json:"image"`
	ClickAction *struct {
		ActionType  int
		Action, URI string
		Data        map[string]string
	} `json:"clickAction"`
	Badge         *HuaweiBadge `json:"badge"`
	NotifyID      *int         `json:"notifyId"`
	AppMessageID  string       `json:"appMessageId"`
	Style         int          `json:"style"`
	InboxContent  []string     `json:"inboxContent"`
	Sound         string       `json:"sound"`
	SoundDuration int          `json:"soundDuration"`
	Foreground    *bool        `json:"foregroundShow"`
	ProfileID     string       `json:"profileId"`
}

const harmonyMaxTestTokens = 10

var harmonyMessageID = regexp.MustCompile(`^[A-Za-z0-9+/=\-_ ]{1,64}$`)

func parseHarmony(r *http.Request, body []byte, _ *HuaweiOptions) (m huaweiMessage, refusal *huaweiAnswer) {
	var q harmonyRequest
	if refusal = huaweiDecode(r, body, &q); refusal != nil {
		return m, refusal
	}
	m.tokens = q.Target.Token
	m.push = HuaweiPush{API: "harmony", Raw: body}
	if m.push.Bytes, refusal = huaweiCheckSize(body, m.tokens); refusal != nil {
		return m, refusal
	}
	n := q.Payload.Notification
	if r.Header.Get("push-type") != "0" || n == nil {
		return m, huaweiRefusal("80100003", "push-type must be 0, with payload.notification")
	}
	if q.Options.TestMessage && len(m.tokens) > harmonyMaxTestTokens {
		return m, huaweiRefusal("80300030", "Too many tokens for a test message")
	}
	seconds := huaweiTTL
	if q.Options.TTL != nil {
		seconds = *q.Options.TTL
	}
	if field := checkHarmony(n, &q, seconds); field != "" {
		return m, huaweiRefusal("80100003", field)
	}
	m.ttl = time.Duration(seconds) * time.Second
	p := &m.push
	p.Title, p.Body, p.Image, p.Category, p.Sound = n.Title, n.Body, n.Image, n.Category, n.Sound
	p.PushID, p.AppMessageID, p.NotifyID, p.Badge = q.Options.BiTag, n.AppMessageID, n.NotifyID, n.Badge
	p.Data, p.ReceiptID = n.ClickAction.Data, q.Options.ReceiptID
	return m, nil
}

// checkHarmony names the first field that is wrong; "" = none.
func checkHarmony(n *harmonyNotification, q *harmonyRequest, ttl int) string {
	switch click := n.ClickAction; {
	case n.Category != "MISS_CALL" && !slices.Contains(huaweiCategories, n.Category):
		return "payload.notification.category"
	case n.Title == "" || n.Body == "":
		return "payload.notification.title or body"
	case click == nil, click.ActionType < 0 || click.ActionType > 1, click.ActionType == 1 && click.Action == "" && click.URI == "":
		return "payload.notification.clickAction"
	case !n.Badge.valid():
		return "payload.notification.badge"
	case n.NotifyID != nil && (*n.NotifyID < 0 || *n.NotifyID > 1<<31-1):
		return "payload.notification.notifyId"
	case n.AppMessageID != "" && !harmonyMessageID.MatchString(n.AppMessageID):
		return "payload.notification.appMessageId"
	case ttl < 0 || ttl > huaweiMaxTTL, n.Category == "VOIP" && (ttl < 30 || ttl > 60):
		return "pushOptions.ttl"
	case q.Options.CollapseKey != nil && (*q.Options.CollapseKey < -1 || *q.Options.CollapseKey > 100):
		return "pushOptions.collapseKey"
	}
	return ""
}
