package storage

import "encoding/binary"

// Home returns the shard that a key of a user shard belongs to when there are
// that many shards. ok is false for an intent, whose key does not tell.
func Home(key []byte, shards uint16) (shard uint16, ok bool, err error) {
	if len(key) < headBytes {
		return 0, false, badKey("of a shard", key)
	}
	var app, user string
	switch key[0] {
	case familyUser:
		_, app, user, err = ParseUserKey(key)
	case familyOutbox:
		k, fault := ParseOutboxKey(key)
		app, user, err = k.App, k.User, fault
	case familyOutcome:
		k, fault := ParseOutcomeKey(key)
		app, user, err = k.App, k.User, fault
	case familyTrace:
		k, fault := ParseTraceKey(key)
		app, user, err = k.App, k.User, fault
	case familySetting:
		k, fault := ParseSettingKey(key)
		app, user, err = k.App, k.User, fault
	case familyTelling:
		k, fault := ParseTellingKey(key)
		app, user, err = k.App, k.User, fault
	case familyToken:
		_, sum, err := ParseTokenKey(key)
		return ShardOfToken(sum, shards), true, err
	case familyIntent:
		_, _, _, err := ParseIntentKey(key)
		return 0, false, err
	default:
		return 0, false, badKey("of a shard", key)
	}
	return ShardOf(app, user, shards), true, err
}

// AppendMoved appends a key of a user shard as it is in another shard.
func AppendMoved(dst, key []byte, shard uint16) []byte {
	at := len(dst)
	dst = append(dst, key...)
	binary.BigEndian.PutUint16(dst[at+1:], shard)
	return dst
}
