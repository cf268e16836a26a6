package extension

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"
)

// reader keeps the first fault that it meets; after it all is empty.
type reader struct{ err *Error }

func (r *reader) fail(path, format string, args ...any) {
	if r.err == nil {
		r.err = &Error{path, fmt.Sprintf(format, args...)}
	}
}

// object is a JSON object and where it stands.
type object struct {
	*reader
	path   string
	fields map[string]json.RawMessage
}

func (r *reader) whole(text string) object { return r.parse("", []byte(text)) }

func (r *reader) parse(path string, raw []byte) object {
	o := object{reader: r, path: path}
	switch {
	case !shallow(raw):
		r.fail(path, "it nests deeper than %d", MaxDepth)
	case json.Unmarshal(raw, &o.fields) != nil:
		r.fail(path, "want a JSON object")
	}
	return o
}

// shallow tells that JSON nests no deeper than MaxDepth. Brackets in strings do
// not count; what is no JSON may be called either.
func shallow(raw []byte) bool {
	depth, quoted := 0, false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{', c == '[':
			if depth++; depth > MaxDepth {
				return false
			}
		case c == '}', c == ']':
			depth--
		}
	}
	return true
}

func (o object) at(key string) string {
	if o.path == "" {
		return key
	}
	return o.path + "." + key
}

// raw is a field's JSON; empty when it is missing or null.
func (o object) raw(key string) json.RawMessage {
	if v := bytes.TrimSpace(o.fields[key]); string(v) != "null" {
		return v
	}
	return nil
}

// object is empty when the field is missing. Text that holds an object is one.
func (o object) object(key string) object {
	raw := o.raw(key)
	if len(raw) > 0 && raw[0] == '"' {
		s, _ := scalar(raw)
		raw = json.RawMessage(strings.TrimSpace(s))
	}
	if len(raw) == 0 {
		return object{reader: o.reader, path: o.at(key)}
	}
	return o.parse(o.at(key), raw)
}

// scalar is a text, a number as it is written, or a truth.
func scalar(raw json.RawMessage) (string, bool) {
	if len(raw) == 0 {
		return "", true
	}
	switch raw[0] {
	case '"':
		var s string
		return s, json.Unmarshal(raw, &s) == nil
	case '{', '[', 'n':
		return "", false
	}
	return string(raw), true
}

// text has at most most bytes.
func (o object) text(key string, most int) string {
	s, ok := scalar(o.raw(key))
	switch {
	case !ok:
		o.fail(o.at(key), "want a text")
	case len(s) > most:
		o.fail(o.at(key), "%d bytes; at most %d", len(s), most)
	default:
		return s
	}
	return ""
}

// name has at most most characters.
func (o object) name(key string, most int) string {
	s := o.text(key, 4*most)
	if n := utf8.RuneCountInString(s); n > most {
		o.fail(o.at(key), "%d characters; at most %d", n, most)
		return ""
	}
	return s
}

func (o object) flag(key string) bool {
	s, ok := scalar(o.raw(key))
	switch strings.ToLower(s) {
	case "true", "1":
		return true
	case "false", "0", "":
		if ok {
			return false
		}
	}
	o.fail(o.at(key), "want true or false")
	return false
}

// number is a whole one from 0 to most; false when the field is missing.
func (o object) number(key string, most uint32) (uint32, bool) {
	s, ok := scalar(o.raw(key))
	if s == "" && ok {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	if !ok || err != nil || f != math.Trunc(f) || f < 0 || f > float64(most) {
		o.fail(o.at(key), "want a whole number from 0 to %d", most)
		return 0, false
	}
	return uint32(f), true
}

// list holds at most most texts of bytes each.
func (o object) list(key string, most, bytes int) []string {
	raw := o.raw(key)
	if len(raw) == 0 {
		return nil
	}
	items := []json.RawMessage{raw}
	if raw[0] == '[' && json.Unmarshal(raw, &items) != nil || raw[0] == '{' {
		o.fail(o.at(key), "want a list of texts")
		return nil
	}
	if len(items) > most {
		o.fail(o.at(key), "%d items; at most %d", len(items), most)
		return nil
	}
	var all []string
	for i, item := range items {
		s, ok := scalar(item)
		switch at := fmt.Sprintf("%s[%d]", o.at(key), i); {
		case !ok:
			o.fail(at, "want a text")
		case len(s) > bytes:
			o.fail(at, "%d bytes; at most %d", len(s), bytes)
		}
		all = append(all, s)
	}
	if len(all) == 1 && all[0] == "" && raw[0] != '[' {
		return nil
	}
	return all
}

// json is the field's JSON on one line, or a text as it is; at most most bytes.
func (o object) json(key string, most int) string {
	raw := o.raw(key)
	if len(raw) > 0 && raw[0] == '"' {
		return o.text(key, most)
	}
	var b bytes.Buffer
	if json.Compact(&b, raw) != nil || b.Len() == 0 {
		return ""
	}
	if b.Len() > most {
		o.fail(o.at(key), "%d bytes; at most %d", b.Len(), most)
		return ""
	}
	return b.String()
}
