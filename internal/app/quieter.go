package app

import (
	"context"
	"fmt"
	"log/slog"
)

// quieter is the log of the actor library: nothing below warnings, the ordinary
// ends of connections, which the link and gossip tell of, as details, and of
// messages the type alone.
type quieter struct{ to slog.Handler }

// ordinary is what the library calls an error and happens whenever a node ends,
// restarts or cannot be reached for a moment.
var ordinary = map[string]bool{
	"EndpointWriter lost connection":                                  true,
	"EndpointWriter failed to connect":                                true,
	"EndpointWriter failed to create receive stream":                  true,
	"EndpointWriter failed to send connect request":                   true,
	"EndpointWriter failed to receive connect response":               true,
	"EndpointWriter error when closing the stream":                    true,
	"EndpointWriter error when closing the client conn":               true,
	"EndpointReader failed to send disconnection message":             true,
	"EndpointReader failed to send ConnectResponse message":           true,
	"EndpointWatcher receive message for already terminated endpoint": true,
}

// messageAttr names the attribute in which the library shows whole messages.
const messageAttr = "message"

func (quieter) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelWarn }

func (q quieter) Handle(ctx context.Context, r slog.Record) error {
	level := r.Level
	if ordinary[r.Message] {
		level = slog.LevelDebug
	}
	if !q.to.Enabled(ctx, level) {
		return nil
	}
	said := slog.NewRecord(r.Time, level, r.Message, r.PC)
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == messageAttr {
			a = slog.String(a.Key, fmt.Sprintf("%T", a.Value.Any()))
		}
		said.AddAttrs(a)
		return true
	})
	return q.to.Handle(ctx, said)
}

func (q quieter) WithAttrs(a []slog.Attr) slog.Handler { return quieter{q.to.WithAttrs(a)} }

func (q quieter) WithGroup(name string) slog.Handler { return quieter{q.to.WithGroup(name)} }
