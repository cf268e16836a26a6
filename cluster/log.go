package cluster

import (
	"bytes"
	"context"
	"log"
	"log/slog"
)

// newLogger brings memberlist's lines to l, one level lower than they claim:
// a peer that cannot be reached is no error of this node.
func newLogger(l *slog.Logger) *log.Logger { return log.New(&lines{l}, "", 0) }

type lines struct{ l *slog.Logger }

func (w *lines) Write(b []byte) (int, error) {
	text := bytes.TrimSpace(b)
	level := slog.LevelDebug
	for prefix, as := range map[string]slog.Level{"[ERR] ": slog.LevelWarn, "[WARN] ": slog.LevelInfo} {
		if bytes.HasPrefix(text, []byte(prefix)) {
			level = as
		}
	}
	if w.l.Enabled(context.Background(), level) {
		if _, rest, ok := bytes.Cut(text, []byte("] ")); ok {
			text = rest
		}
		w.l.Log(context.Background(), level, string(text))
	}
	return len(b), nil
}
