package reason

import rousev1 "github.com/rouse-im/rouse/api/rouse/v1"

// Easemob is the word that Easemob's offline push callback has for r; of
// several it is the nearest. Empty: the push went through, or the callback has
// no word and stays silent.
func Easemob(r rousev1.Reason) string {
	switch r {
	case rousev1.Reason_REASON_NO_BINDING, rousev1.Reason_REASON_LOGGED_OUT, rousev1.Reason_REASON_STALE_DEVICE:
		return "no push binding"
	case rousev1.Reason_REASON_UNBOUND, rousev1.Reason_REASON_TOKEN_INVALID:
		return "illegal binding"
	case rousev1.Reason_REASON_NO_USER, rousev1.Reason_REASON_USER_BANNED:
		return "no user exist"
	case rousev1.Reason_REASON_NOTIFIER_OUT_OF_QUOTA, rousev1.Reason_REASON_DEVICE_CAP, rousev1.Reason_REASON_VENDOR_QUOTA:
		return "notifier out of limit"
	case rousev1.Reason_REASON_NOTIFIER_DISABLED:
		return "notifier disabled"
	case rousev1.Reason_REASON_NOTIFIER_BANNED:
		return "notifier is ban"
	case rousev1.Reason_REASON_NO_NOTIFIER:
		return "no notifier exist"
	case rousev1.Reason_REASON_INVALID_NOTIFIER:
		return "invalid notifier"
	case rousev1.Reason_REASON_IGNORED_BY_SENDER, rousev1.Reason_REASON_STOPPED_BY_HOOK:
		return "message ignore push"
	case rousev1.Reason_REASON_KIND_NOT_PUSHED, rousev1.Reason_REASON_CHAT_ROOM, rousev1.Reason_REASON_ONLINE_ONLY, rousev1.Reason_REASON_GROUP_TOO_LARGE:
		return "invalid message"
	case rousev1.Reason_REASON_MESSAGE_EXPIRED, rousev1.Reason_REASON_TTL:
		return "expire message"
	case rousev1.Reason_REASON_QUIET_WINDOW, rousev1.Reason_REASON_QUIET_DURATION, rousev1.Reason_REASON_QUIET_CONVERSATION,
		rousev1.Reason_REASON_MODE_NONE, rousev1.Reason_REASON_MODE_MENTION, rousev1.Reason_REASON_MODE_MANAGERS:
		return "user ignore push"
	case rousev1.Reason_REASON_DEVICE_FILTERED:
		return "ignore push device id"
	case rousev1.Reason_REASON_INVALID_VOIP:
		return "invalid VOIP notification"
	case rousev1.Reason_REASON_CREDENTIAL_REJECTED:
		return "get push token fail"
	case rousev1.Reason_REASON_NO_SHARE, rousev1.Reason_REASON_PAYLOAD_REJECTED, rousev1.Reason_REASON_VENDOR_UNAVAILABLE, rousev1.Reason_REASON_VENDOR_THROTTLED,
		rousev1.Reason_REASON_VENDOR_TIMEOUT, rousev1.Reason_REASON_NOT_SHOWN, rousev1.Reason_REASON_MUTED_ON_DEVICE:
		return "push yet but fail"
	}
	return ""
}
