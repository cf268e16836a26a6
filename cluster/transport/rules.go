package transport

import (
	"strings"

	protoremote "github.com/asynkron/protoactor-go/remote"
	"google.golang.org/protobuf/proto"

	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	"github.com/rouse-im/rouse/cluster/certs"
)

// types are the messages that pass, by their full names. A newer release's are
// dropped until this one knows them.
var types = map[string]bool{
	askType:                     true,
	"rouse.actor.v1.Answer":     true,
	"rouse.actor.v1.Claim":      true,
	"rouse.actor.v1.ClaimAck":   true,
	"rouse.actor.v1.MetaAsk":    true,
	"rouse.actor.v1.MetaAnswer": true,
	"actor.DeadLetterResponse":  true, // the addressed actor is not there
}

const askType = "rouse.actor.v1.Ask"

// Why a message was dropped; the set is closed.
const (
	dropIndex      = "index"      // into the batch's tables: it is damaged
	dropSerializer = "serializer" // not protobuf
	dropType       = "type"       // not known, or not from an IM node
	dropTarget     = "target"     // an actor that is not for peers
	dropAddress    = "address"    // an actor of another node
	dropSize       = "size"
	dropSender     = "sender" // an IM node gives another one's address, or none
	dropBody       = "body"   // an IM node asks what only nodes may
	dropApp        = "app"    // an IM node asks for another app
	dropForm       = "form"   // not a batch of messages
)

// rules decide which messages pass.
type rules struct {
	address string // of this node's actors
	target  func(id string) bool
}

// check answers why a node's message is dropped; empty = it passes. What passes
// cannot make the library panic.
func (r rules) check(b *protoremote.MessageBatch, e *protoremote.MessageEnvelope) string {
	switch {
	case e == nil, !in(e.GetTypeId(), len(b.GetTypeNames())), !in(e.GetTarget(), len(b.GetTargets())),
		b.GetTargets()[e.GetTarget()] == nil, !in(e.GetSender(), len(b.GetSenders())+1),
		e.GetSender() > 0 && b.GetSenders()[e.GetSender()-1] == nil:
		return dropIndex
	case e.GetSerializerId() != 0:
		return dropSerializer
	case !types[b.GetTypeNames()[e.GetTypeId()]]:
		return dropType
	case len(e.GetMessageData()) > MaxMessage:
		return dropSize
	}
	to := b.GetTargets()[e.GetTarget()]
	switch {
	case to.GetAddress() != r.address:
		return dropAddress
	case !r.target(to.GetId()):
		return dropTarget
	}
	return ""
}

func in(i int32, n int) bool { return i >= 0 && int(i) < n }

// checkGuest is check for an IM node that has connected from an address.
func (r rules) checkGuest(p certs.Peer, from string, b *protoremote.MessageBatch, e *protoremote.MessageEnvelope) string {
	if why := r.check(b, e); why != "" {
		return why
	}
	var ask actorv1.Ask
	switch {
	case b.GetTypeNames()[e.GetTypeId()] != askType:
		return dropType
	case !strings.HasPrefix(b.GetTargets()[e.GetTarget()].GetId(), "shard-"):
		return dropTarget
	case e.GetSender() == 0 || from == "" || b.GetSenders()[e.GetSender()-1].GetAddress() != from:
		return dropSender
	case proto.Unmarshal(e.GetMessageData(), &ask) != nil || ask.GetCommand() == nil && ask.GetShardCount() == nil || ask.GetRelayMs() != 0:
		return dropBody
	case ask.GetApp() != p.App:
		return dropApp
	}
	return ""
}

// split cuts a batch into such that a peer takes. Messages that are too long are
// left out.
func split(b *protoremote.MessageBatch, maxMessage, maxBatch int) (parts []*protoremote.MessageBatch, long []*protoremote.MessageEnvelope) {
	var part *protoremote.MessageBatch
	size := 0
	for _, e := range b.GetEnvelopes() {
		n := proto.Size(e)
		if len(e.GetMessageData()) > maxMessage {
			long = append(long, e)
			continue
		}
		if part == nil || size+n > maxBatch {
			part = &protoremote.MessageBatch{TypeNames: b.GetTypeNames(), Targets: b.GetTargets(), Senders: b.GetSenders()}
			parts, size = append(parts, part), 0
		}
		part.Envelopes = append(part.Envelopes, e)
		size += n
	}
	return parts, long
}
