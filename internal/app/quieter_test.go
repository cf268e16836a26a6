package app

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

func TestLibraryLogsQuietly(t *testing.T) {
	var out bytes.Buffer
	at := func(least slog.Level) *slog.Logger {
		out.Reset()
		return slog.New(quieter{slog.NewTextHandler(&out, &slog.HandlerOptions{Level: least})}).With("lib", "Proto.Actor")
	}
	at(slog.LevelInfo).Error("EndpointWriter lost connection", "address", "127.0.0.1:1")
	if out.Len() > 0 {
		t.Errorf("the ordinary end of a connection is told: %s", &out)
	}
	at(slog.LevelDebug).Error("EndpointWriter lost connection", "address", "127.0.0.1:1")
	if got := out.String(); !strings.Contains(got, "level=DEBUG") || !strings.Contains(got, "127.0.0.1:1") {
		t.Errorf("the details have it as %q", got)
	}
	at(slog.LevelDebug).Info("Started EndpointManager")
	if out.Len() > 0 {
		t.Errorf("what is no warning is told: %s", &out)
	}
	at(slog.LevelInfo).Error("EndpointWriter failed to serialize message", "message", &rousev1.App{DisplayName: "CANARY-text"})
	if got := out.String(); !strings.Contains(got, "level=ERROR") || !strings.Contains(got, "rousev1.App") || strings.Contains(got, "CANARY") {
		t.Errorf("a real error, with a message in it, gave %q", got)
	}
}
