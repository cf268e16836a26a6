package bubble

import (
	"context"
	"log/slog"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/rouse-im/rouse/simulations"
	"github.com/rouse-im/rouse/simulations/checker"
)

// secrets are looked for where they must not be: tokens that were bound, and texts of
// messages.
type secrets struct {
	mu     sync.Mutex
	tokens map[string]bool // the part of each that no other has
	seen   map[string]*sight
}

// sight is what was seen at some place.
type sight struct {
	bytes         int64
	tokens, texts int
}

func newSecrets() *secrets { return &secrets{tokens: map[string]bool{}, seen: map[string]*sight{}} }

// worlds write tokens with a long hexadecimal number, and texts as these.
var secretWords = regexp.MustCompile(`[0-9a-fA-F]{24,}|(?:message|edited) m[0-9]+|incoming call`)

// keep what an event must not show to others.
func (s *secrets) keep(e *simulations.Event) {
	if e.Kind != simulations.Bind {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, word := range secretWords.FindAllString(e.Token, -1) {
		s.tokens[word] = true
	}
}

// look at what is shown at a place.
func (s *secrets) look(where, text string) {
	if text == "" {
		return
	}
	words := secretWords.FindAllString(text, -1)
	s.mu.Lock()
	defer s.mu.Unlock()
	at := s.seen[where]
	if at == nil {
		at = &sight{}
		s.seen[where] = at
	}
	at.bytes += int64(len(text))
	for _, word := range words {
		switch {
		case s.tokens[word]:
			at.tokens++
		case strings.Contains(word, " "):
			at.texts++
		}
	}
}

// canaries are the findings.
func (s *secrets) canaries() (all []checker.Canary) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, where := range slices.Sorted(maps.Keys(s.seen)) {
		at := s.seen[where]
		all = append(
			all, checker.Canary{What: "a token", Where: where, Bytes: at.bytes, Found: at.tokens},
			checker.Canary{What: "the text of a message", Where: where, Bytes: at.bytes, Found: at.texts},
		)
	}
	return all
}

// listener looks at what a node logs, and passes it on to who wants it.
type listener struct {
	slog.Handler
	s     *secrets
	where string
}

// Enabled for what people see by default, and what the next handler wants.
func (l *listener) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelInfo || l.Handler.Enabled(ctx, level)
}

// Handle a record.
func (l *listener) Handle(ctx context.Context, r slog.Record) error {
	l.s.look(l.where, r.Message)
	r.Attrs(func(a slog.Attr) bool {
		l.s.look(l.where, a.Value.Resolve().String())
		return true
	})
	if !l.Handler.Enabled(ctx, r.Level) {
		return nil
	}
	return l.Handler.Handle(ctx, r)
}

// WithAttrs as slog wants it.
func (l *listener) WithAttrs(attrs []slog.Attr) slog.Handler {
	for _, a := range attrs {
		l.s.look(l.where, a.Value.Resolve().String())
	}
	return &listener{l.Handler.WithAttrs(attrs), l.s, l.where}
}

// WithGroup as slog wants it.
func (l *listener) WithGroup(name string) slog.Handler {
	return &listener{l.Handler.WithGroup(name), l.s, l.where}
}

// metrics of all runs that live are looked at for secrets.
func (e *Engine) metrics() error {
	for _, m := range e.machines {
		families, err := m.run.Load().node.Registry().Gather()
		if err != nil {
			return err
		}
		for _, f := range families {
			for _, x := range f.GetMetric() {
				for _, l := range x.GetLabel() {
					e.secrets.look("metrics of "+m.name, l.GetValue())
				}
			}
		}
	}
	return nil
}
