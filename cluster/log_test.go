package cluster

import (
	"bytes"
	"log/slog"
	"testing"
)

func TestLinesKeepTheirLevel(t *testing.T) {
	for _, c := range []struct {
		least slog.Level
		line  string
		want  string
	}{
		{slog.LevelDebug, "[DEBUG] memberlist: a [b] c", "level=DEBUG msg=\"memberlist: a [b] c\" node=n\n"},
		{slog.LevelInfo, "[DEBUG] memberlist: a", ""},
		{slog.LevelInfo, "[INFO] memberlist: a", ""},
		{slog.LevelInfo, "[WARN] memberlist: a", "level=INFO msg=\"memberlist: a\" node=n\n"},
		{slog.LevelWarn, "[WARN] memberlist: a", ""},
		{slog.LevelWarn, "[ERR] memberlist: a", "level=WARN msg=\"memberlist: a\" node=n\n"},
		{slog.LevelError, "[ERR] memberlist: a", ""},
		{slog.LevelDebug, "without a level", "level=DEBUG msg=\"without a level\" node=n\n"},
	} {
		var b bytes.Buffer
		h := slog.NewTextHandler(&b, &slog.HandlerOptions{Level: c.least, ReplaceAttr: func(_ []string, a slog.Attr) slog.Attr {
			if a.Key == slog.TimeKey {
				return slog.Attr{}
			}
			return a
		}})
		slog.NewLogLogger(lines{h}.WithAttrs([]slog.Attr{slog.String("node", "n")}), slog.LevelDebug).Println(c.line)
		if b.String() != c.want {
			t.Errorf("%v of %q gave %q, want %q", c.least, c.line, b.String(), c.want)
		}
	}
}
