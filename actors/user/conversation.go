package user

import (
	"encoding/base64"
	"fmt"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// MaxConversations with settings of their own that a user may have.
const MaxConversations = 10_000

// ConversationID names a conversation of a user.
type ConversationID struct {
	Type rousev1.ConversationType
	ID   string // the group, or the peer of a direct conversation
}

// Conversation is what a user wishes for one conversation; zero = nothing. It
// is kept under a key of its own, so that the record is as small for a user
// with many.
type Conversation struct {
	Mode       rousev1.NotifyMode
	QuietUntil int64 // unix ms
	Remark     string
}

// ConversationChange is to be committed with the record that counts it.
type ConversationChange struct {
	ID     ConversationID
	Remove bool
	Conversation
}

// void tells that the settings say nothing any more.
func (c *Conversation) void(now time.Time) bool {
	return c.Mode == 0 && c.Remark == "" && c.QuietUntil <= now.UnixMilli()
}

// conversationOf names the conversation of a message as its recipient sees it;
// false when it has none that settings could be of. IM nodes that name the
// recipient himself mean the sender.
func conversationOf(m *rousev1.MessageEvent, me string) (ConversationID, bool) {
	id := ConversationID{Type: m.GetConversationType(), ID: m.GetConversationId()}
	if id.Type == rousev1.ConversationType_CONVERSATION_TYPE_DIRECT && (id.ID == "" || id.ID == me) {
		id.ID = m.GetSender()
	}
	return id, id.kind() != 0 && id.ID != ""
}

// Kinds in keys and page tokens; they are on disk.
const (
	kindDirect = 'd'
	kindGroup  = 'g'
)

func (id ConversationID) kind() byte {
	switch id.Type {
	case rousev1.ConversationType_CONVERSATION_TYPE_DIRECT:
		return kindDirect
	case rousev1.ConversationType_CONVERSATION_TYPE_GROUP:
		return kindGroup
	}
	return 0
}

func conversationID(kind byte, id string) (ConversationID, error) {
	switch kind {
	case kindDirect:
		return ConversationID{rousev1.ConversationType_CONVERSATION_TYPE_DIRECT, id}, nil
	case kindGroup:
		return ConversationID{rousev1.ConversationType_CONVERSATION_TYPE_GROUP, id}, nil
	}
	return ConversationID{}, errCorrupt
}

func (id ConversationID) proto() *rousev1.ConversationRef {
	return &rousev1.ConversationRef{Type: id.Type, Id: id.ID}
}

// The settings of a conversation are a protobuf message, written by hand:
//
//	1 version = 1 · 2 mode · 3 quiet until ms · 4 remark
const conversationVersion = 1

// Encode appends what is kept.
func (c *Conversation) Encode(b []byte) []byte {
	b = putInt(b, 1, uint32(conversationVersion))
	b = putInt(b, 2, c.Mode)
	b = putInt(b, 3, c.QuietUntil)
	return putString(b, 4, c.Remark)
}

// Decode reads what is kept; the remark aliases rec.
func (c *Conversation) Decode(rec string) error {
	*c = Conversation{}
	r := reader{s: rec}
	for {
		f, n, b, ok := r.next()
		if !ok {
			return r.err
		}
		switch f {
		case 1:
			if n != conversationVersion {
				return fmt.Errorf("user: settings of a conversation of version %d, this program knows %d", n, conversationVersion)
			}
		case 2:
			c.Mode = rousev1.NotifyMode(n)
		case 3:
			c.QuietUntil = int64(n)
		case 4:
			c.Remark = b
		}
	}
}

func (c *Conversation) proto(id ConversationID, now time.Time) *rousev1.ConversationSettings {
	return &rousev1.ConversationSettings{Conversation: id.proto(), Mode: c.Mode, QuietUntil: until(c.QuietUntil, now), Remark: c.Remark}
}

// pageToken names the last conversation of a page: its kind and name.
func pageToken(id ConversationID) string {
	return base64.RawURLEncoding.EncodeToString(append([]byte{id.kind()}, id.ID...))
}

func parsePageToken(token string) (ConversationID, error) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(token)
	if err != nil || len(b) < 2 || len(b) > 129 {
		return ConversationID{}, errCorrupt
	}
	return conversationID(b[0], string(b[1:]))
}
