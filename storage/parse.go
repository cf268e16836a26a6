package storage

import (
	"bytes"
	"encoding/binary"
	"fmt"
)

// OutboxKey names a message whose pushes have not ended.
type OutboxKey struct {
	Shard    uint16
	DueMilli uint64 // next attempt, unix milliseconds
	App      string
	User     string
	Message  string
}

// OutcomeKey names the outcome record of a message.
type OutcomeKey struct {
	Shard   uint16
	Day     uint16 // unix day on which the message ended, see Day
	App     string
	User    string
	Message string
}

// TraceKey names the steps of the decision of a message for a user.
type TraceKey struct {
	Shard   uint16
	Day     uint16 // that of the OutcomeKey
	App     string
	Message string
	User    string
}

// TellingKey names an event that a webhook is to be told.
type TellingKey struct {
	Shard   uint16
	App     string
	AtMilli uint64 // when it happened, unix milliseconds
	Stage   byte   // belongs to the caller
	// What it is about; Device and Notifier may be empty.
	User, Message, Device, Notifier string
}

// SettingKey names a user's settings for a conversation. Kinds belong to the
// caller and are at least 3.
type SettingKey struct {
	Shard        uint16
	App          string
	User         string
	Kind         byte
	Conversation string
}

// parseLogKey undoes appendLogKey.
func parseLogKey(key []byte) (index uint64, err error) {
	_, rest, ok := cutHead(key, familyLog)
	if !ok || len(rest) != 8 {
		return 0, badKey("log", key)
	}
	return binary.BigEndian.Uint64(rest), nil
}

// ParseUserKey undoes AppendUserKey; any other key is ErrBadKey.
func ParseUserKey(key []byte) (shard uint16, app, user string, err error) {
	shard, rest, ok := cutHead(key, familyUser)
	var names [2]string
	if !ok || !cutNames(rest, names[:]) {
		return 0, "", "", badKey("user", key)
	}
	return shard, names[0], names[1], nil
}

// ParseOutboxKey undoes AppendOutboxKey; any other key is ErrBadKey.
func ParseOutboxKey(key []byte) (OutboxKey, error) {
	shard, rest, ok := cutHead(key, familyOutbox)
	var names [3]string
	if !ok || len(rest) < 8 || !cutNames(rest[8:], names[:]) {
		return OutboxKey{}, badKey("outbox", key)
	}
	return OutboxKey{
		Shard: shard, DueMilli: binary.BigEndian.Uint64(rest),
		App: names[0], User: names[1], Message: names[2],
	}, nil
}

// ParseOutcomeKey undoes AppendOutcomeKey; any other key is ErrBadKey.
func ParseOutcomeKey(key []byte) (OutcomeKey, error) {
	shard, rest, ok := cutHead(key, familyOutcome)
	var names [3]string
	if !ok || len(rest) < 2 || !cutNames(rest[2:], names[:]) {
		return OutcomeKey{}, badKey("outcome", key)
	}
	return OutcomeKey{
		Shard: shard, Day: binary.BigEndian.Uint16(rest),
		App: names[0], User: names[1], Message: names[2],
	}, nil
}

// ParseTraceKey undoes AppendTraceKey; any other key is ErrBadKey.
func ParseTraceKey(key []byte) (TraceKey, error) {
	shard, rest, ok := cutHead(key, familyTrace)
	var names [3]string
	if !ok || len(rest) < 2 || !cutNames(rest[2:], names[:]) {
		return TraceKey{}, badKey("trace", key)
	}
	return TraceKey{
		Shard: shard, Day: binary.BigEndian.Uint16(rest),
		App: names[0], Message: names[1], User: names[2],
	}, nil
}

// ParseTellingKey undoes AppendTellingKey; any other key is ErrBadKey.
func ParseTellingKey(key []byte) (TellingKey, error) {
	const fixed = 8 + 1 // time and stage
	shard, rest, ok := cutHead(key, familyTelling)
	app, rest, found := bytes.Cut(rest, separator)
	var first [1]string
	var names [4]string
	if !ok || !found || len(rest) < fixed || !cutNames(app, first[:]) || !cutNames(rest[fixed:], names[:]) {
		return TellingKey{}, badKey("telling", key)
	}
	return TellingKey{
		Shard: shard, App: first[0], AtMilli: binary.BigEndian.Uint64(rest), Stage: rest[8],
		User: names[0], Message: names[1], Device: names[2], Notifier: names[3],
	}, nil
}

// ParseSettingKey undoes AppendSettingKey; any other key is ErrBadKey.
func ParseSettingKey(key []byte) (SettingKey, error) {
	shard, rest, ok := cutHead(key, familySetting)
	var names [3]string
	if !ok || !cutNames(rest, names[:]) || names[2] == "" || names[2][0] < 3 {
		return SettingKey{}, badKey("setting", key)
	}
	return SettingKey{
		Shard: shard, App: names[0], User: names[1],
		Kind: names[2][0], Conversation: names[2][1:],
	}, nil
}

// ParseTokenKey undoes AppendTokenKey; any other key is ErrBadKey.
func ParseTokenKey(key []byte) (shard uint16, sum Sum, err error) {
	shard, rest, ok := cutHead(key, familyToken)
	if !ok || len(rest) != len(sum) {
		return 0, Sum{}, badKey("token", key)
	}
	return shard, Sum(rest), nil
}

// ParseIntentKey undoes AppendIntentKey; any other key is ErrBadKey.
func ParseIntentKey(key []byte) (shard uint16, kind byte, sum Sum, err error) {
	shard, rest, ok := cutHead(key, familyIntent)
	if !ok || len(rest) != 1+len(sum) {
		return 0, 0, Sum{}, badKey("intent", key)
	}
	return shard, rest[0], Sum(rest[1:]), nil
}

// ParseCatalogueKey undoes AppendCatalogueKey into as many parts as the kind
// has; any other key is ErrBadKey.
func ParseCatalogueKey(key []byte, parts []string) (kind byte, err error) {
	shard, rest, ok := cutHead(key, familyCatalogue)
	if !ok || shard != MetaShard || len(rest) < 1 || !cutNames(rest[1:], parts) {
		return 0, badKey("catalogue", key)
	}
	return rest[0], nil
}

func cutHead(key []byte, family byte) (shard uint16, rest []byte, ok bool) {
	if len(key) < headBytes || key[0] != family {
		return 0, nil, false
	}
	return binary.BigEndian.Uint16(key[1:]), key[headBytes:], true
}

// cutNames reports whether b holds exactly len(names) names.
func cutNames(b []byte, names []string) bool {
	if len(names) == 0 {
		return len(b) == 0
	}
	if bytes.Count(b, separator) != len(names)-1 {
		return false
	}
	for i := range names {
		name, rest, _ := bytes.Cut(b, separator)
		var ok bool
		if names[i], ok = unescape(name); !ok {
			return false
		}
		b = rest
	}
	return true
}

func unescape(b []byte) (string, bool) {
	if bytes.IndexByte(b, 1) < 0 {
		return string(b), true
	}
	out := make([]byte, 0, len(b))
	for i := 0; i < len(b); i++ {
		c := b[i]
		if c == 1 {
			i++
			if i == len(b) || b[i] != 1 && b[i] != 2 {
				return "", false
			}
			c = b[i] - 1
		}
		out = append(out, c)
	}
	return string(out), true
}

// badKey shows the family and the length alone: keys hold names of users.
func badKey(want string, key []byte) error {
	family := ""
	if len(key) > 0 {
		family = string(key[:1])
	}
	return fmt.Errorf("%w: want family %s, have a key of family %q and %d bytes", ErrBadKey, want, family, len(key))
}
