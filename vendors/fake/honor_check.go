package fake

import (
	"bytes"
	"encoding/json"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// honorRequest is the body of sendMessage.
type honorRequest struct {
	Data         string     `json:"data"`
	Notification *honorText `json:"notification"`
	Android      struct {
		TTL          string             `json:"ttl"`
		BiTag        string             `json:"biTag"`
		Data         string             `json:"data"`
		TestUser     int                `json:"targetUserType"`
		Notification *honorNotification `json:"notification"`
	} `json:"android"`
	Token []string `json:"token"`
}

type honorText struct {
	Title string `json:"title"`
	Body  string `json:"body"`
	Image string `json:"image"`
}

type honorNotification struct {
	honorText
	Importance  string `json:"importance"`
	ClickAction *struct {
		Type                int
		Intent, URL, Action string
	} `json:"clickAction"`
	Style    int             `json:"style"`
	BigTitle string          `json:"bigTitle"`
	BigBody  string          `json:"bigBody"`
	When     string          `json:"when"`
	Buttons  json.RawMessage `json:"buttons"`
	Badge    *HonorBadge     `json:"badge"`
	NotifyID *int            `json:"notifyId"`
	Tag      string          `json:"tag"`
	Group    string          `json:"group"`
}

// HonorBadge is android.notification.badge.
type HonorBadge struct {
	Add   *int   `json:"addNum"`
	Set   *int   `json:"setNum"`
	Class string `json:"badgeClass"`
}

// honorMessage is a request, checked.
type honorMessage struct {
	tokens []string
	// push is what each token gets; Token, RequestID and At are still missing.
	push HonorPush
	ttl  time.Duration
}

// Limits. The size is Huawei's; the skew is ours.
const (
	honorMaxBytes = 4096
	honorMaxTTL   = 1_296_000 // seconds
	honorTTL      = 86_400
	honorMaxSkew  = 5 * time.Minute
)

var honorSeconds = regexp.MustCompile(`^[0-9]{1,9}s$`)

// checkHonorHeader wants the milliseconds of now.
func checkHonorHeader(r *http.Request, now time.Time) *honorAnswer {
	ms, err := strconv.ParseInt(r.Header.Get("timestamp"), 10, 64)
	if err != nil || now.Sub(time.UnixMilli(ms)).Abs() > honorMaxSkew {
		return honorRefusal(http.StatusBadRequest, "80100001", "timestamp")
	}
	if media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); media != "application/json" {
		return honorRefusal(http.StatusBadRequest, "80100001", "Content-Type")
	}
	return nil
}

// parseHonor is strict about names. Honor may ignore what it does not know,
// and so would hide a misspelt field.
func parseHonor(body []byte, maxTokens int) (m honorMessage, refusal *honorAnswer) {
	var q honorRequest
	decoder := json.NewDecoder(bytes.NewReader(body))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&q); err != nil {
		return m, honorRefusal(http.StatusBadRequest, "80100003", err.Error())
	}
	m.tokens = q.Token
	if len(q.Token) == 0 || len(q.Token) > maxTokens {
		return m, honorRefusal(http.StatusBadRequest, "80300010", "number of tokens")
	}
	size := len(body) + len(",")
	for _, token := range q.Token {
		size -= len(strconv.Quote(token)) + len(",")
	}
	if size > honorMaxBytes {
		return m, honorRefusal(http.StatusBadRequest, "80300008", "message too long")
	}
	n := q.Android.Notification
	if n == nil {
		return m, honorRefusal(http.StatusBadRequest, "80100003", "android.notification")
	}
	shown := n.honorText
	if q.Notification != nil {
		shown = honorMerge(shown, *q.Notification)
	}
	if field := n.wrong(shown); field != "" {
		return m, honorRefusal(http.StatusBadRequest, "80100003", field)
	}
	seconds := honorTTL
	if q.Android.TTL != "" {
		seconds, _ = strconv.Atoi(strings.TrimSuffix(q.Android.TTL, "s"))
	}
	if q.Android.TTL != "" && !honorSeconds.MatchString(q.Android.TTL) || seconds > honorMaxTTL {
		return m, honorRefusal(http.StatusBadRequest, "80100004", "ttl")
	}
	m.ttl = time.Duration(seconds) * time.Second
	m.push = HonorPush{
		PushID: q.Android.BiTag, Title: shown.Title, Body: shown.Body, Image: shown.Image,
		Importance: n.Importance, Tag: n.Tag, Group: n.Group, NotifyID: n.NotifyID, Badge: n.Badge,
		Test: q.Android.TestUser == 1, Bytes: size, Raw: body,
	}
	if q.Data != "" && json.Unmarshal([]byte(q.Data), &m.push.Data) != nil {
		return m, honorRefusal(http.StatusBadRequest, "80100003", "the data of a notification must be a JSON object")
	}
	return m, nil
}

// honorMerge: the android one wins.
func honorMerge(android, common honorText) honorText {
	if android.Title == "" {
		android.Title = common.Title
	}
	if android.Body == "" {
		android.Body = common.Body
	}
	if android.Image == "" {
		android.Image = common.Image
	}
	return android
}

// wrong names the first field that is; "" = none.
func (n *honorNotification) wrong(shown honorText) string {
	switch click, b := n.ClickAction, n.Badge; {
	case shown.Title == "" || shown.Body == "":
		return "title or body"
	case shown.Image != "" && (n.Importance != "NORMAL" || !strings.HasPrefix(shown.Image, "https://")):
		return "image"
	case n.Importance != "NORMAL" && n.Importance != "LOW":
		return "importance"
	case click == nil, click.Type < 1 || click.Type > 3, click.Type == 1 && click.Intent == "" && click.Action == "",
		click.Type == 2 && !strings.HasPrefix(click.URL, "https://"):
		return "clickAction"
	case b != nil && (b.Class == "" || b.Add != nil && (*b.Add < 1 || *b.Add > 99) || b.Set != nil && (*b.Set < 0 || *b.Set > 99)):
		return "badge"
	case n.Style == 1 && (n.BigTitle != shown.Title || n.BigBody != shown.Body), n.Style < 0 || n.Style > 1:
		return "style"
	}
	return ""
}
