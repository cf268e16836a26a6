package storage

import (
	"bytes"
	"encoding/binary"
)

// Range is the keys k with Lo <= k < Hi.
type Range struct{ Lo, Hi []byte }

// Delete returns the mutation that deletes the range.
func (r Range) Delete() Mutation { return Mutation{Op: DeleteRange, Key: r.Lo, Value: r.Hi} }

// Contains reports whether key is in the range.
func (r Range) Contains(key []byte) bool {
	return bytes.Compare(r.Lo, key) <= 0 && bytes.Compare(key, r.Hi) < 0
}

// UserRange is all user records of a shard.
func UserRange(shard uint16) Range { return family(familyUser, shard) }

// Erasures is the one key of the numbers of the last users' erasures of a shard. It
// is that of a user without a name in an app without one, whom there is not: so
// releases that do not know it carry it along. Delete it as a range: the deletion of
// a user's record tells replicas of an erasure.
func Erasures(shard uint16) Range { return exactly(AppendUserKey(nil, shard, "", "")) }

// OfErasures tells whether key is such a one.
func OfErasures(key []byte) bool {
	return len(key) == headBytes+len(separator) && key[0] == familyUser
}

// OutboxRange is the outbox of a shard, the earliest due first.
func OutboxRange(shard uint16) Range { return family(familyOutbox, shard) }

// TokenRange is all token owners of a shard.
func TokenRange(shard uint16) Range { return family(familyToken, shard) }

// IntentRange is all intents of a shard.
func IntentRange(shard uint16) Range { return family(familyIntent, shard) }

// TellingRange is what webhooks of one app are to be told, of one shard, the
// oldest first.
func TellingRange(shard uint16, app string) Range {
	lo := append(appendNames(appendHead(nil, familyTelling, shard), app), 0)
	return Range{Lo: lo, Hi: successor(lo)}
}

// OutcomeDays is the outcome records of a shard with fromDay <= day < toDay.
func OutcomeDays(shard, fromDay, toDay uint16) Range {
	return days(familyOutcome, shard, fromDay, toDay)
}

// TraceDays is the steps of decisions of a shard with fromDay <= day < toDay.
func TraceDays(shard, fromDay, toDay uint16) Range { return days(familyTrace, shard, fromDay, toDay) }

func days(letter byte, shard, fromDay, toDay uint16) Range {
	lo, hi := appendHead(nil, letter, shard), appendHead(nil, letter, shard)
	return Range{Lo: binary.BigEndian.AppendUint16(lo, fromDay), Hi: binary.BigEndian.AppendUint16(hi, toDay)}
}

// AppOutcomes is the outcome records of one app on one day.
func AppOutcomes(shard, day uint16, app string) Range { return within(familyOutcome, shard, day, app) }

// MessageTraces is the steps of decisions of one message on one day, by user.
func MessageTraces(shard, day uint16, app, message string) Range {
	return within(familyTrace, shard, day, app, message)
}

// UserOutcomes is the outcome records of one user on one day.
func UserOutcomes(shard, day uint16, app, user string) Range {
	return within(familyOutcome, shard, day, app, user)
}

// within is the keys of a day whose first names are these.
func within(letter byte, shard, day uint16, names ...string) Range {
	lo := binary.BigEndian.AppendUint16(appendHead(nil, letter, shard), day)
	lo = append(appendNames(lo, names...), 0)
	return Range{Lo: lo, Hi: successor(lo)}
}

// UserSettings is the settings of one user for his conversations, by kind and
// then by the conversation's name.
func UserSettings(shard uint16, app, user string) Range {
	lo := append(appendNames(appendHead(nil, familySetting, shard), app, user), 0)
	return Range{Lo: lo, Hi: successor(lo)}
}

// CatalogueRange is the keys of a kind whose first parts are these.
func CatalogueRange(kind byte, parts ...string) Range {
	lo := AppendCatalogueKey(nil, kind, parts...)
	if len(parts) > 0 {
		lo = append(lo, 0)
	}
	return Range{Lo: lo, Hi: successor(lo)}
}

// LogRange is the replicated log of a group, in the order of its records.
func LogRange(group uint16) Range { return family(familyLog, group) }

// StateRange is the state of a group's replica.
func StateRange(group uint16) Range { return family(familyReplica, group) }

// ShardRanges is all keys of a shard that its entries write, in key order: not
// its log, and not the state of its replica.
func ShardRanges(shard uint16) []Range {
	if shard == MetaShard {
		return []Range{family(familyCatalogue, shard)}
	}
	ranges := make([]Range, 0, len(shardFamilies))
	for i := range len(shardFamilies) {
		ranges = append(ranges, family(shardFamilies[i], shard))
	}
	return ranges
}

func family(letter byte, shard uint16) Range {
	lo := appendHead(nil, letter, shard)
	return Range{Lo: lo, Hi: successor(lo)}
}

// exactly is the range of one key.
func exactly(key []byte) Range { return Range{Lo: key, Hi: append(bytes.Clone(key), 0)} }

// successor returns the smallest key above all keys with the prefix. A prefix
// of 0xff bytes alone has none; no family letter is 0xff.
func successor(prefix []byte) []byte {
	n := len(prefix)
	for n > 0 && prefix[n-1] == 0xff {
		n--
	}
	next := bytes.Clone(prefix[:n])
	next[n-1]++
	return next
}
