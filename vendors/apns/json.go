package apns

import (
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/rouse-im/rouse/vendors"
)

// encode writes the payload as encoding/json would, HTML characters escaped,
// as apns2 does with what it is given: the length must be that on the wire.
// Written by hand, for it is done for each push.
func encode(a *aps, n *vendors.Notification) []byte {
	b := make([]byte, 0, 512)
	b = append(b, `{"aps":{`...)
	if t := a.Alert; t != nil {
		b = append(b, `"alert":{`...)
		b = appendField(b, "title", t.Title)
		b = appendField(b, "subtitle", t.Subtitle)
		b = appendField(b, "body", t.Body)
		b = append(b, '}')
	}
	if a.Badge != nil {
		b = strconv.AppendInt(appendKey(b, "badge"), int64(*a.Badge), 10)
	}
	b = appendField(b, "sound", a.Sound)
	b = appendField(b, "thread-id", a.ThreadID)
	b = appendField(b, "category", a.Category)
	if a.MutableContent != 0 {
		b = strconv.AppendInt(appendKey(b, "mutable-content"), int64(a.MutableContent), 10)
	}
	if a.ContentAvailable != 0 {
		b = strconv.AppendInt(appendKey(b, "content-available"), int64(a.ContentAvailable), 10)
	}
	b = append(b, '}')
	peers := peersOf(n)
	var few [24]string
	keys := few[:0]
	for key := range peers {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	for _, key := range keys {
		b = appendString(append(appendString(append(b, ','), key), ':'), peers[key])
	}
	return append(b, '}')
}

// appendField leaves out an empty value.
func appendField(b []byte, key, value string) []byte {
	if value == "" {
		return b
	}
	return appendString(appendKey(b, key), value)
}

// appendKey begins a field; key needs no escaping.
func appendKey(b []byte, key string) []byte {
	if b[len(b)-1] != '{' {
		b = append(b, ',')
	}
	return append(append(append(b, '"'), key...), '"', ':')
}

const hexDigits = "0123456789abcdef"

func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	done := 0 // bytes of s already written
	for i := 0; i < len(s); {
		r, size := rune(s[i]), 1
		if r >= utf8.RuneSelf {
			r, size = utf8.DecodeRuneInString(s[i:])
		}
		if escape, needed := escapeOf(r, size); needed {
			b = append(append(b, s[done:i]...), escape...)
			done = i + size
		}
		i += size
	}
	return append(append(b, s[done:]...), '"')
}

// escapeOf is how a character of size bytes is written, when not as it is.
func escapeOf(r rune, size int) (escape string, needed bool) {
	switch r {
	case '"':
		return `\"`, true
	case '\\':
		return `\\`, true
	case '\b':
		return `\b`, true
	case '\f':
		return `\f`, true
	case '\n':
		return `\n`, true
	case '\r':
		return `\r`, true
	case '\t':
		return `\t`, true
	case '\u2028':
		return `\u2028`, true
	case '\u2029':
		return `\u2029`, true
	case utf8.RuneError:
		return `\ufffd`, size == 1 // not UTF-8
	}
	if r < ' ' || r == '<' || r == '>' || r == '&' {
		return `\u00` + string(hexDigits[r>>4]) + string(hexDigits[r&0xf]), true
	}
	return "", false
}
