// Package cut shortens texts to what a vendor takes, at the end of a character
// as people see it, by the vendor's own way to count.
package cut

import (
	"strings"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

// Ellipsis ends what was cut.
const Ellipsis = "…"

// Limit is the most that a ruler may count.
type Limit struct {
	In   Ruler
	Most int
}

// Text keeps as many whole characters of text from its start as fit into all
// limits with an ellipsis behind; spaces before the ellipsis go. What fits is
// left alone, but for bytes that are no UTF-8: they become U+FFFD. When no
// character fits, the ellipsis stays alone; when not even that, nothing does.
func Text(text string, limits ...Limit) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	left := make([]int, len(limits))
	whole, marked := true, true
	for i, l := range limits {
		whole = whole && l.In(text) <= l.Most
		left[i] = l.Most - l.In(Ellipsis)
		marked = marked && left[i] >= 0
	}
	switch {
	case whole:
		return text
	case !marked:
		return ""
	}
	kept, rest, state := 0, text, -1
	for {
		var cluster string
		cluster, rest, _, state = uniseg.FirstGraphemeClusterInString(rest, state)
		for i, l := range limits {
			if left[i] -= l.In(cluster); left[i] < 0 {
				return strings.TrimRight(text[:kept], " \n") + Ellipsis
			}
		}
		if kept += len(cluster); rest == "" {
			return text // unless a ruler counts a text for more than its parts
		}
	}
}

// Ends lists where the characters of text end, as people see them, within its
// first most bytes and before its own end.
func Ends(text string, most int) []int {
	var ends []int
	end, rest, state := 0, text, -1
	for rest != "" {
		var cluster string
		cluster, rest, _, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if end += len(cluster); end > most || rest == "" {
			break
		}
		ends = append(ends, end)
	}
	return ends
}

// Blank tells whether text shows nothing.
func Blank(text string) bool { return strings.TrimSpace(text) == "" }

// Ruler counts what a limit is about. A text counts as much as its characters
// do together. Rulers take valid UTF-8.
type Ruler func(text string) int

// Runes counts code points.
func Runes(text string) int { return utf8.RuneCountInString(text) }

// UTF16 counts as Java does. It is also the choice where documents say
// "characters" and not which: no other of the usual ways counts more.
func UTF16(text string) int {
	count := 0
	for _, r := range text {
		if count++; r > 0xFFFF {
			count++
		}
	}
	return count
}

// Wide counts code points, those beyond Latin-1 twice: "one Chinese character
// equals two English ones".
func Wide(text string) int {
	count := 0
	for _, r := range text {
		if count++; r > 0xFF {
			count++
		}
	}
	return count
}

// JSON counts bytes within JSON quotes, with <, > and & as they are.
func JSON(text string) int {
	length := 0
	for _, r := range text {
		switch {
		case r == '"' || r == '\\' || r == '\n' || r == '\r' || r == '\t' || r == '\b' || r == '\f':
			length += 2
		case r < ' ' || r == '\u2028' || r == '\u2029':
			length += 6
		default:
			length += utf8.RuneLen(r)
		}
	}
	return length
}

// HTML counts bytes within JSON quotes, with <, > and & escaped, as
// encoding/json writes them unless told otherwise.
func HTML(text string) int {
	const escape = len(`\u003c`) - len(`<`)
	return JSON(text) + escape*(strings.Count(text, "<")+strings.Count(text, ">")+strings.Count(text, "&"))
}
