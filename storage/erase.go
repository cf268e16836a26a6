package storage

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"
)

// EraseUser returns the mutations that delete a user's record, his settings for
// conversations, his outcomes of the days fromDay..toDay (both included) and the
// steps that led to them, his outbox, and what webhooks are yet to be told of him. Propose them to his
// shard, in several entries if they are many (each with the first of them, so
// that replicas know it for an erasure), from its only writer; token
// owners and intents are named by his record and are the caller's to delete.
// It reads the shard's whole outbox, and all that the app's webhooks are to be
// told of the shard.
func (s *Store) EraseUser(app, user string, fromDay, toDay uint16) ([]Mutation, error) {
	shard := s.ShardOf(app, user)
	ms := []Mutation{{Op: Delete, Key: AppendUserKey(nil, shard, app, user)}}
	ms = append(ms, UserSettings(shard, app, user).Delete())
	var bad error
	forget := func(day uint16, message string) {
		ms = append(ms, Mutation{Op: Delete, Key: AppendTraceKey(nil, TraceKey{Shard: shard, Day: day, App: app, Message: message, User: user})})
	}
	for day := int(fromDay); day <= int(toDay); day++ {
		r := UserOutcomes(shard, uint16(day), app, user)
		err := s.Scan(r, func(key, _ []byte) bool {
			var k OutcomeKey
			if k, bad = ParseOutcomeKey(key); bad == nil {
				forget(k.Day, k.Message)
			}
			return bad == nil
		})
		if err = errors.Join(err, bad); err != nil {
			return ms, err
		}
		ms = append(ms, r.Delete())
	}
	drop := func(key []byte, of string, err error) bool {
		bad = err
		if err == nil && of == user {
			ms = append(ms, Mutation{Op: Delete, Key: append([]byte(nil), key...)})
		}
		return err == nil
	}
	err := s.Scan(OutboxRange(shard), func(key, _ []byte) bool {
		k, err := ParseOutboxKey(key)
		if err == nil && k.App != app {
			return true
		}
		if err == nil && k.User == user {
			forget(Day(time.UnixMilli(int64(k.DueMilli))), k.Message) // due since it was decided
		}
		return drop(key, k.User, err)
	})
	if err = errors.Join(err, bad); err != nil {
		return ms, err
	}
	err = s.Scan(TellingRange(shard, app), func(key, _ []byte) bool {
		k, err := ParseTellingKey(key)
		return drop(key, k.User, err)
	})
	return ms, errors.Join(err, bad)
}

// erases: a user's record is deleted only when he is erased.
func (m *Mutation) erases() bool { return m.Op == Delete && m.Key[0] == familyUser }

// Erases tells whether an entry is one of those that erase a user, each of which
// deletes his record.
func Erases(entry []byte) (yes bool) {
	err := ReadEntry(entry, func(m Mutation) error {
		if len(m.Key) > 0 && m.erases() {
			yes = true
		}
		return nil
	})
	return yes && err == nil
}

// Deletions are copies of an entry's mutations that delete, for Compact.
func Deletions(entry []byte) (ms []Mutation, err error) {
	err = ReadEntry(entry, func(m Mutation) error {
		if m.Op != Set {
			ms = append(ms, Mutation{Op: m.Op, Key: bytes.Clone(m.Key), Value: bytes.Clone(m.Value)})
		}
		return nil
	})
	return ms, err
}

// Compact rewrites the tables that hold what the committed mutations deleted,
// so that deleted values leave the tables now and not with some later
// compaction. It waits for the work; call it seldom and not from an actor. Set
// mutations are skipped.
//
// Old bytes remain in recycled logs, and key names in the manifest, until the
// store has been opened twice more; the name of a key that never reached the
// last level remains until its table is next compacted. What must not be read
// there has to be sealed.
func (s *Store) Compact(ctx context.Context, deleted []Mutation) error {
	if err := s.users.enter(); err != nil {
		return err
	}
	defer s.users.leave()
	for _, r := range compactions(deleted) {
		if err := s.db.Compact(ctx, r.Lo, r.Hi, false); err != nil {
			return fmt.Errorf("storage: compact erased range: %w", err)
		}
	}
	return nil
}

// singly is how many keys of one family are compacted one by one. More of them
// are compacted as one range: it holds others, too, but each call takes its time.
const singly = 16

func compactions(deleted []Mutation) (ranges []Range) {
	keys := map[string][][]byte{} // by family and shard
	for _, m := range deleted {
		switch m.Op {
		case Delete:
			head := string(m.Key[:headBytes])
			keys[head] = append(keys[head], m.Key)
		case DeleteRange:
			ranges = append(ranges, Range{Lo: m.Key, Hi: m.Value})
		}
	}
	for _, list := range keys {
		if len(list) > singly {
			first, last := slices.MinFunc(list, bytes.Compare), slices.MaxFunc(list, bytes.Compare)
			ranges = append(ranges, Range{Lo: first, Hi: exactly(last).Hi})
			continue
		}
		for _, key := range list {
			ranges = append(ranges, exactly(key))
		}
	}
	return ranges
}
