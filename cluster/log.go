package cluster

import (
	"context"
	"log/slog"
	"strings"
)

// lines reads the level that memberlist writes into the text of a line, and
// logs it one level lower: a peer that cannot be reached is no error of this node.
type lines struct{ to slog.Handler }

func (h lines) Enabled(ctx context.Context, _ slog.Level) bool {
	return h.to.Enabled(ctx, slog.LevelWarn) // the highest that a line can have
}

func (h lines) Handle(ctx context.Context, r slog.Record) error {
	text := r.Message
	r.Level = slog.LevelDebug
	if strings.HasPrefix(text, "[ERR] ") {
		r.Level = slog.LevelWarn
	} else if strings.HasPrefix(text, "[WARN] ") {
		r.Level = slog.LevelInfo
	}
	if !h.to.Enabled(ctx, r.Level) {
		return nil
	}
	if _, rest, ok := strings.Cut(text, "] "); ok {
		r.Message = rest
	}
	return h.to.Handle(ctx, r)
}

func (h lines) WithAttrs(attrs []slog.Attr) slog.Handler { return lines{h.to.WithAttrs(attrs)} }

func (h lines) WithGroup(name string) slog.Handler { return lines{h.to.WithGroup(name)} }
