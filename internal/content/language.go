package content

import (
	"cmp"
	"strings"
	"sync"

	"golang.org/x/text/language"
)

// maxLocale bounds a name that is looked at; longer ones are no language.
const maxLocale = 64

// maxRemembered bounds what a memory holds. A full one is emptied: locales are
// few, and more come from senders of nonsense alone.
const maxRemembered = 1024

// memory keeps answers about languages, which are dear to find.
type memory[K comparable, V any] struct {
	mu    sync.RWMutex
	known map[K]V
}

// get asks find for what is not known. It answers the key too, in memory of its
// own: callers' keys may be parts of something bigger.
func (m *memory[K, V]) get(key K, find func(K) (K, V)) V {
	m.mu.RLock()
	v, ok := m.known[key]
	m.mu.RUnlock()
	if ok {
		return v
	}
	key, v = find(key)
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known == nil || len(m.known) >= maxRemembered {
		m.known = make(map[K]V)
	}
	m.known[key] = v
	return v
}

// chooser picks the best of some languages.
type chooser struct {
	matcher  language.Matcher
	tags     []language.Tag
	fallback int
	memory   memory[string, int]
}

func newChooser(tags []language.Tag, fallback int) *chooser {
	return &chooser{matcher: language.NewMatcher(tags), tags: tags, fallback: fallback}
}

// pick is the index of the language that is nearest to lang, or the fallback.
func (c *chooser) pick(lang string) int {
	if len(c.tags) == 1 || lang == "" || len(lang) > maxLocale {
		return c.fallback
	}
	return c.memory.get(lang, c.match)
}

func (c *chooser) match(lang string) (string, int) {
	lang = strings.Clone(lang)
	tag, err := language.Parse(lang)
	if err != nil {
		return lang, c.fallback
	}
	if _, i, sure := c.matcher.Match(tag); sure > language.No && c.tags[i] != language.Und {
		return lang, i
	}
	return lang, c.fallback
}

// pair of languages: what is wanted and what there is.
type pair struct{ want, have string }

var nearness memory[pair, language.Confidence]

func near(p pair) (pair, language.Confidence) {
	p = pair{strings.Clone(p.want), strings.Clone(p.have)}
	want, err := language.Parse(p.want)
	have, fault := language.Parse(p.have)
	if err != nil || fault != nil {
		return p, language.No
	}
	_, _, sure := language.NewMatcher([]language.Tag{have}).Match(want)
	return p, sure
}

// translation is the text in a language; empty when there is none that a reader
// of that language reads with ease.
func translation(all map[string]string, lang string) string {
	if len(all) == 0 || lang == "" || len(lang) > maxLocale {
		return ""
	}
	if text := all[lang]; text != "" {
		return text
	}
	best, sure := "", language.Low
	for have, text := range all {
		if text == "" || len(have) > maxLocale {
			continue
		}
		s := nearness.get(pair{lang, have}, near)
		if s > sure || s == sure && best != "" && cmp.Less(have, best) {
			best, sure = have, s
		}
	}
	return all[best]
}
