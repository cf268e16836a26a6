package replica

import (
	"context"
	"fmt"
	"log/slog"
)

// raftLogger passes on what Raft says: each vote of each group is of interest
// when debugging only. What it calls a panic is one: the log contradicts itself,
// and going on could only spread it.
type raftLogger struct{ log *slog.Logger }

func (l raftLogger) say(level slog.Level, format string, args ...any) {
	if l.log.Enabled(context.Background(), level) {
		l.log.Log(context.Background(), level, "replica: raft", "event", fmt.Sprintf(format, args...))
	}
}

func (l raftLogger) Debug(args ...any)                   { l.say(slog.LevelDebug, "%s", fmt.Sprint(args...)) }
func (l raftLogger) Debugf(format string, args ...any)   { l.say(slog.LevelDebug, format, args...) }
func (l raftLogger) Info(args ...any)                    { l.say(slog.LevelDebug, "%s", fmt.Sprint(args...)) }
func (l raftLogger) Infof(format string, args ...any)    { l.say(slog.LevelDebug, format, args...) }
func (l raftLogger) Warning(args ...any)                 { l.say(slog.LevelDebug, "%s", fmt.Sprint(args...)) }
func (l raftLogger) Warningf(format string, args ...any) { l.say(slog.LevelDebug, format, args...) }
func (l raftLogger) Error(args ...any)                   { l.say(slog.LevelError, "%s", fmt.Sprint(args...)) }
func (l raftLogger) Errorf(format string, args ...any)   { l.say(slog.LevelError, format, args...) }
func (l raftLogger) Fatal(args ...any)                   { l.Panic(args...) }
func (l raftLogger) Fatalf(format string, args ...any)   { l.Panicf(format, args...) }

func (l raftLogger) Panic(args ...any) {
	l.Error(args...)
	panic("replica: raft: " + fmt.Sprint(args...)) //nolint:forbidigo // Raft relies on not going on after this
}

func (l raftLogger) Panicf(format string, args ...any) {
	l.Errorf(format, args...)
	panic("replica: raft: " + fmt.Sprintf(format, args...)) //nolint:forbidigo // Raft relies on not going on after this
}
