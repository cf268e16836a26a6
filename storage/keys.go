package storage

import (
	"encoding/binary"
	"strings"
)

// Family letters; see the package comment.
const (
	familyNode      = 'm'
	familyUser      = 'u'
	familyOutbox    = 'o'
	familyOutcome   = 'r'
	familyTrace     = 'e'
	familySetting   = 's'
	familyToken     = 't'
	familyIntent    = 'x'
	familyTelling   = 'w'
	familyCatalogue = 'c'
	familyLog       = 'l'
	familyReplica   = 'g'
)

// shardFamilies are the families that a user shard owns, in key order.
const shardFamilies = "eorstuwx"

const (
	headBytes     = 3 // family letter and shard
	logKeyBytes   = headBytes + 8
	stateKeyBytes = headBytes + 1
)

var separator = []byte{0}

// AppendUserKey appends the key of a user's record to dst.
func AppendUserKey(dst []byte, shard uint16, app, user string) []byte {
	return appendNames(appendHead(dst, familyUser, shard), app, user)
}

// AppendOutboxKey appends the key of a message whose pushes have not ended.
func AppendOutboxKey(dst []byte, k OutboxKey) []byte {
	dst = appendHead(dst, familyOutbox, k.Shard)
	dst = binary.BigEndian.AppendUint64(dst, k.DueMilli)
	return appendNames(dst, k.App, k.User, k.Message)
}

// AppendOutcomeKey appends the key of a message's outcome record.
func AppendOutcomeKey(dst []byte, k OutcomeKey) []byte {
	dst = appendHead(dst, familyOutcome, k.Shard)
	dst = binary.BigEndian.AppendUint16(dst, k.Day)
	return appendNames(dst, k.App, k.User, k.Message)
}

// AppendTraceKey appends the key of the steps of a decision.
func AppendTraceKey(dst []byte, k TraceKey) []byte {
	dst = appendHead(dst, familyTrace, k.Shard)
	dst = binary.BigEndian.AppendUint16(dst, k.Day)
	return appendNames(dst, k.App, k.Message, k.User)
}

// AppendTellingKey appends the key of an event that a webhook is to be told.
func AppendTellingKey(dst []byte, k TellingKey) []byte {
	dst = appendNames(appendHead(dst, familyTelling, k.Shard), k.App)
	dst = binary.BigEndian.AppendUint64(append(dst, 0), k.AtMilli)
	return appendNames(append(dst, k.Stage), k.User, k.Message, k.Device, k.Notifier)
}

// AppendSettingKey appends the key of a user's settings for a conversation.
func AppendSettingKey(dst []byte, k SettingKey) []byte {
	dst = append(appendNames(appendHead(dst, familySetting, k.Shard), k.App, k.User), 0, k.Kind)
	return appendEscaped(dst, k.Conversation)
}

// AppendTokenKey appends the key of a token's owner record.
func AppendTokenKey(dst []byte, shard uint16, sum Sum) []byte {
	return append(appendHead(dst, familyToken, shard), sum[:]...)
}

// AppendIntentKey appends the key of an intent that a shard repeats towards
// another one until it is acknowledged. Kinds belong to the caller.
func AppendIntentKey(dst []byte, shard uint16, kind byte, sum Sum) []byte {
	return append(append(appendHead(dst, familyIntent, shard), kind), sum[:]...)
}

// AppendCatalogueKey appends a key of the meta group. Kinds and the meaning of
// the parts belong to the caller; a kind always has the same number of parts.
func AppendCatalogueKey(dst []byte, kind byte, parts ...string) []byte {
	return appendNames(append(appendHead(dst, familyCatalogue, MetaShard), kind), parts...)
}

// appendLogKey appends the key of a record of a group's replicated log.
func appendLogKey(dst []byte, group uint16, index uint64) []byte {
	return binary.BigEndian.AppendUint64(appendHead(dst, familyLog, group), index)
}

// appendStateKey appends the key of a part of a replica's state.
func appendStateKey(dst []byte, group uint16, kind StateKind) []byte {
	return append(appendHead(dst, familyReplica, group), byte(kind))
}

func appendHead(dst []byte, family byte, shard uint16) []byte {
	return append(dst, family, byte(shard>>8), byte(shard))
}

func appendNames(dst []byte, names ...string) []byte {
	for i, name := range names {
		if i > 0 {
			dst = append(dst, 0)
		}
		dst = appendEscaped(dst, name)
	}
	return dst
}

// appendEscaped keeps order and never writes a byte 0.
func appendEscaped(dst []byte, name string) []byte {
	if strings.IndexByte(name, 0) < 0 && strings.IndexByte(name, 1) < 0 {
		return append(dst, name...)
	}
	for _, c := range []byte(name) {
		if c <= 1 {
			dst = append(dst, 1)
			c++
		}
		dst = append(dst, c)
	}
	return dst
}
