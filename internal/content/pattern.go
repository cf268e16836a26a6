package content

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// maxArgs is how many arguments a message can give for a pattern.
const maxArgs = 16

type kind uint8

const (
	literal kind = iota
	argument
	fromNickname
	msg
	dynamicFrom
)

var builtIns = map[string]kind{"{$fromNickname}": fromNickname, "{$msg}": msg, "{$dynamicFrom}": dynamicFrom}

// piece of a pattern.
type piece struct {
	kind kind
	text string // of a literal
	arg  int    // of an argument
}

// pattern is a text with its placeholders found.
type pattern []piece

func parse(s string) (p pattern) {
	for s != "" {
		var next piece
		next, s = cut(s)
		if n := len(p); n > 0 && next.kind == literal && p[n-1].kind == literal {
			p[n-1].text += next.text
			continue
		}
		p = append(p, next)
	}
	return p
}

// cut takes the first piece off a text that is not empty. Braces around anything
// else than a placeholder are text.
func cut(s string) (first piece, rest string) {
	if s[0] != '{' {
		if i := strings.IndexByte(s, '{'); i > 0 {
			return piece{text: s[:i]}, s[i:]
		}
		return piece{text: s}, ""
	}
	end := strings.IndexByte(s[:min(len(s), len("{$fromNickname}"))], '}')
	if end < 0 {
		return piece{text: s[:1]}, s[1:]
	}
	if k, ok := builtIns[s[:end+1]]; ok {
		return piece{kind: k}, s[end+1:]
	}
	if n, ok := number(s[1:end]); ok {
		return piece{kind: argument, arg: n}, s[end+1:]
	}
	return piece{text: s[:1]}, s[1:]
}

// number reads one digit or two.
func number(s string) (n int, ok bool) {
	if len(s) < 1 || len(s) > 2 {
		return 0, false
	}
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' {
			return 0, false
		}
		n = 10*n + int(s[i]-'0')
	}
	return n, true
}

// checkPattern finds what is surely a slip of the pen.
func checkPattern(s string) error {
	for _, p := range parse(s) {
		if p.kind == argument && p.arg >= maxArgs {
			return fmt.Errorf("{%d}: a message has at most %d arguments; write {0} to {%d}", p.arg, maxArgs, maxArgs-1)
		}
		if p.kind == literal && strings.Contains(p.text, "{$") {
			return errors.New("{$…}: the placeholders of this kind are {$fromNickname}, {$msg} and {$dynamicFrom}")
		}
	}
	return nil
}

// write fills a pattern. An argument that is missing is empty; placeholders in
// an argument are filled once, those in what stands in for them are text.
func (r *reading) write(p pattern, args []string, limit int) string {
	if len(p) == 1 && p[0].kind == literal && len(p[0].text) <= limit {
		return p[0].text
	}
	l := line{limit: limit}
	for _, x := range p {
		if x.kind != argument {
			l.add(r.value(x))
			continue
		}
		if x.arg >= len(args) {
			continue
		}
		for rest := args[x.arg]; rest != ""; {
			var y piece
			from := rest
			if y, rest = cut(rest); y.kind == argument {
				y = piece{text: from[:len(from)-len(rest)]}
			}
			l.add(r.value(y))
		}
	}
	return l.String()
}

func (r *reading) value(p piece) string {
	switch p.kind {
	case fromNickname:
		return r.fromNickname()
	case msg:
		return r.msg()
	case dynamicFrom:
		return r.dynamicFrom()
	case literal, argument:
	}
	return p.text
}

// line grows to a limit in bytes and ends there, between two characters.
type line struct {
	strings.Builder
	limit int
	full  bool
}

func (l *line) add(s string) {
	if l.full {
		return
	}
	if left := l.limit - l.Len(); len(s) > left {
		l.full = true
		for left > 0 && !utf8.RuneStart(s[left]) {
			left--
		}
		s = s[:left]
	}
	l.WriteString(s)
}
