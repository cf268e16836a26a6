package user

import (
	"errors"
	"slices"
	"time"

	"github.com/rouse-im/rouse/actors"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/storage"
)

// settle forgets what is durable by now.
func (a *Actor) settle() {
	committed := a.cell.Committed.Load()
	a.undurable = slices.DeleteFunc(a.undurable, func(d decided) bool { return d.seq <= committed })
}

// conversation tells the settings of a conversation and whether any are kept,
// void or not. The store is asked only if the record says that there are some,
// and only for what was not decided since.
func (a *Actor) conversation(id ConversationID) (c Conversation, kept bool, err error) {
	if decodeConversations(a.record) == 0 {
		return c, false, nil
	}
	if set, known := a.undecided(id); known {
		return set.Conversation, !set.Remove, nil
	}
	v := vials.Get().(*vial)
	defer vials.Put(v)
	v.key = a.settingKey(v.key[:0], id)
	switch rec, err := a.home.Deps.Store.Get(v.key); {
	case errors.Is(err, storage.ErrNotFound):
		return c, false, nil
	case err != nil:
		return c, false, err
	default:
		return c, true, c.Decode(string(rec))
	}
}

// undecided finds the last change of a conversation that the store may not
// know. A user that was erased since has nothing.
func (a *Actor) undecided(id ConversationID) (c ConversationChange, known bool) {
	a.settle()
	for _, d := range slices.Backward(a.undurable) {
		switch {
		case d.erased:
			return ConversationChange{Remove: true}, true
		case d.set != nil && d.set.ID == id:
			return *d.set, true
		}
	}
	return c, false
}

func (a *Actor) settingKey(b []byte, id ConversationID) []byte {
	return storage.AppendSettingKey(b, storage.SettingKey{Shard: a.home.Shard, App: a.app, User: a.user, Kind: id.kind(), Conversation: id.ID})
}

// message adds to an event what the store knows: whether it was decided before,
// and what its recipient wishes for its conversation.
func (a *Actor) message(m *rousev1.MessageEvent, now time.Time) (c Message, err error) {
	c.MessageEvent = m
	if c.Seen, err = a.seen(m.GetMessageId(), now); err != nil {
		return c, err
	}
	if id, ok := conversationOf(m, a.user); ok {
		c.Conversation, c.Kept, err = a.conversation(id)
	}
	return c, err
}

// setConversation adds to a request what is kept now, and, if nothing more may
// be kept, what could make room.
func (a *Actor) setConversation(r *rousev1.SetConversationSettingsRequest, now time.Time) (SetConversation, error) {
	c := SetConversation{SetConversationSettingsRequest: r}
	id := ConversationID{r.GetConversation().GetType(), r.GetConversation().GetId()}
	var err error
	if c.Current, c.Kept, err = a.conversation(id); err != nil {
		return c, err
	}
	if c.Kept || decodeConversations(a.record) < MaxConversations {
		return c, nil
	}
	_, err = a.scanConversations(ConversationID{}, func(id ConversationID, kept *Conversation) bool {
		if _, known := a.undecided(id); !known && kept.void(now) {
			c.Void = append(c.Void, id)
		}
		return len(c.Void) < maxSwept
	})
	return c, err
}

// maxSwept bounds what one step removes.
const maxSwept = 256

// scanConversations reads what is durable, from the conversation after the
// given one on, until fn returns false. The remarks are copies.
func (a *Actor) scanConversations(after ConversationID, fn func(ConversationID, *Conversation) (more bool)) (whole bool, err error) {
	r := storage.UserSettings(a.home.Shard, a.app, a.user)
	if after.ID != "" {
		r.Lo = append(a.settingKey(nil, after), 0)
	}
	whole = true
	var bad error
	err = a.home.Deps.Store.Scan(r, func(key, value []byte) bool {
		var c Conversation
		var id ConversationID
		k, err := storage.ParseSettingKey(key)
		if err == nil {
			id, err = conversationID(k.Kind, k.Conversation)
		}
		if err == nil {
			err = c.Decode(string(value))
		}
		if err != nil {
			bad = err
			return false
		}
		whole = fn(id, &c)
		return whole
	})
	if err == nil {
		err = bad
	}
	return whole, err
}

const defaultPage = 100

// listConversations tells a page of what is durable, without those that say
// nothing any more.
func (a *Actor) listConversations(q *rousev1.ListConversationSettingsRequest, now time.Time) actors.Reply {
	var after ConversationID
	if q.GetPageToken() != "" {
		var err error
		if after, err = parsePageToken(q.GetPageToken()); err != nil {
			return refuse(rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, false,
				"page_token: it is none of this call's; take next_page_token of the page before as it is, or none for the first page").Reply
		}
	}
	size := int(q.GetPageSize())
	if size == 0 {
		size = defaultPage
	}
	out := &rousev1.ListConversationSettingsResponse{}
	whole, err := a.scanConversations(after, func(id ConversationID, c *Conversation) bool {
		if c.void(now) {
			return true
		}
		if len(out.Settings) == size {
			return false
		}
		out.Settings = append(out.Settings, c.proto(id, now))
		after = id
		return true
	})
	if err != nil {
		return a.unreadable("settings of conversations", err)
	}
	if !whole {
		out.NextPageToken = pageToken(after)
	}
	return actors.Reply{Status: accepted, Response: out}
}

// getConversations tells those of the conversations that have settings.
func (a *Actor) getConversations(q *rousev1.GetConversationSettingsRequest, now time.Time) actors.Reply {
	out := &rousev1.GetConversationSettingsResponse{}
	for _, ref := range q.GetConversations() {
		id := ConversationID{ref.GetType(), ref.GetId()}
		c, _, err := a.conversation(id)
		if err != nil {
			return a.unreadable("settings of conversations", err)
		}
		if !c.void(now) {
			out.Settings = append(out.Settings, c.proto(id, now))
		}
	}
	return actors.Reply{Status: accepted, Response: out}
}

func (a *Actor) unreadable(what string, err error) actors.Reply {
	a.home.Deps.Logger.Error("what is kept of a user cannot be read", "what", what, "app", a.app, "shard", a.home.Shard, "error", err)
	return internal("the " + what + " cannot be read; see the server's log")
}
