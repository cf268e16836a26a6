package fake

import (
	"encoding/hex"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Payload limits in bytes ("Sending notification requests to APNs").
const (
	apnsMaxPayload     = 4096
	apnsMaxVoIPPayload = 5120
)

// apnsStatus is the HTTP status of each reason ("Handling notification
// responses from APNs"); it is also the closed set of reasons that the fake
// gives by itself.
var apnsStatus = map[string]int{
	"BadCollapseId": 400, "BadDeviceToken": 400, "BadExpirationDate": 400, "BadMessageId": 400,
	"BadPriority": 400, "BadTopic": 400, "DeviceTokenNotForTopic": 400, "DuplicateHeaders": 400,
	"InvalidPushType": 400, "MissingDeviceToken": 400, "MissingTopic": 400, "PayloadEmpty": 400,
	"TopicDisallowed": 400, "ExpiredProviderToken": 403, "InvalidProviderToken": 403,
	"MissingProviderToken": 403, "UnrelatedKeyIdInToken": 403, "BadPath": 404, "MethodNotAllowed": 405,
	"Unregistered": 410, "PayloadTooLarge": 413, "TooManyProviderTokenUpdates": 429, "TooManyRequests": 429,
}

// apnsTopicSuffix is what a push type appends to the bundle id.
var apnsTopicSuffix = map[string]string{
	"alert": "", "background": "", "voip": ".voip", "complication": ".complication",
	"fileprovider": ".pushkit.fileprovider", "location": ".location-query", "mdm": "",
	"liveactivity": ".push-type.liveactivity", "pushtotalk": ".voip-ptt",
	"widgets": ".push-type.widgets", "controls": ".push-type.controls",
}

// apnsRequest is one request as read from its stream.
type apnsRequest struct {
	method, path, authorization   string
	id, topic, pushType, collapse string
	expiration, priority          string
	duplicate                     bool
	body                          []byte
	token                         string // lower case, from path
	parsedPriority                int
	expires                       time.Time // zero = header absent
	fields                        apnsPayload
}

// apnsPayload is what the fake reads of a payload.
type apnsPayload struct {
	APS struct {
		Alert    json.RawMessage `json:"alert"`
		Badge    *int            `json:"badge"`
		Sound    json.RawMessage `json:"sound"`
		ThreadID string          `json:"thread-id"`
		Category string          `json:"category"`
		Mutable  int             `json:"mutable-content"`
	} `json:"aps"`
	MessageID string `json:"m"`
}

// set stores one header field and notices a repeated one.
func (r *apnsRequest) set(name, value string) {
	var field *string
	switch name {
	case ":method":
		field = &r.method
	case ":path":
		field = &r.path
	case "authorization":
		field = &r.authorization
	case "apns-id":
		field = &r.id
	case "apns-topic":
		field = &r.topic
	case "apns-push-type":
		field = &r.pushType
	case "apns-collapse-id":
		field = &r.collapse
	case "apns-expiration":
		field = &r.expiration
	case "apns-priority":
		field = &r.priority
	default:
		return
	}
	if *field != "" {
		r.duplicate = true
	}
	*field = value
}

// check validates everything but the authorization and the device, and fills
// the parsed fields. The order is that of a well-known mock server (pushy).
func (r *apnsRequest) check() string {
	switch {
	case !strings.HasPrefix(r.path, "/3/device"):
		return "BadPath"
	case r.duplicate:
		return "DuplicateHeaders"
	case r.id != "" && !canonicalUUID(r.id):
		return "BadMessageId"
	case r.method != http.MethodPost:
		return "MethodNotAllowed"
	case r.topic == "":
		return "MissingTopic"
	case len(r.collapse) > 64:
		return "BadCollapseId"
	}
	r.parsedPriority = 10
	if r.priority != "" {
		p, err := strconv.Atoi(r.priority)
		if err != nil || p != 1 && p != 5 && p != 10 {
			return "BadPriority"
		}
		r.parsedPriority = p
	}
	if r.expiration != "" {
		seconds, err := strconv.ParseInt(r.expiration, 10, 64)
		if err != nil || seconds < 0 {
			return "BadExpirationDate"
		}
		r.expires = time.Unix(seconds, 0)
	}
	suffix, ok := apnsTopicSuffix[r.pushType]
	switch {
	case !ok && r.pushType != "":
		return "InvalidPushType"
	case r.pushType == "background" && r.parsedPriority == 10:
		return "BadPriority"
	case !strings.HasSuffix(r.topic, suffix):
		return "BadTopic"
	}
	return r.checkToken()
}

func (r *apnsRequest) checkToken() string {
	token := strings.ToLower(strings.TrimPrefix(strings.TrimPrefix(r.path, "/3/device"), "/"))
	if token == "" {
		return "MissingDeviceToken"
	}
	if len(token)%2 != 0 || !isHex(token) {
		return "BadDeviceToken"
	}
	r.token = token
	return ""
}

func (r *apnsRequest) checkBody(light bool) string {
	limit := apnsMaxPayload
	if r.pushType == "voip" {
		limit = apnsMaxVoIPPayload
	}
	switch {
	case len(r.body) == 0:
		return "PayloadEmpty"
	case len(r.body) > limit:
		return "PayloadTooLarge"
	case light:
		return ""
	}
	// Apple does not document its answer to a body that is no JSON object.
	if json.Unmarshal(r.body, &r.fields) != nil {
		return "PayloadEmpty"
	}
	return ""
}

func isHex(s string) bool {
	for i := range len(s) {
		c := s[i]
		if (c < '0' || c > '9') && (c < 'a' || c > 'f') {
			return false
		}
	}
	return true
}

func canonicalUUID(s string) bool {
	if len(s) != 36 || s[8] != '-' || s[13] != '-' || s[18] != '-' || s[23] != '-' {
		return false
	}
	bare := s[:8] + s[9:13] + s[14:18] + s[19:23] + s[24:]
	_, err := hex.DecodeString(bare)
	return err == nil && strings.ToLower(bare) == bare
}
