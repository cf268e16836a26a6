package vivo

import (
	"strings"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

const ellipsis = "…"

// ruler counts characters as vivo does: code points, or with wide all beyond
// Latin-1 twice ("one Chinese character equals two English ones").
type ruler struct{ wide bool }

func (r ruler) width(text string) int {
	if !r.wide {
		return utf8.RuneCountInString(text)
	}
	sum := 0
	for _, c := range text {
		if sum++; c > '\u00FF' {
			sum++
		}
	}
	return sum
}

// cut shortens text to a width of at most most, at the end of a character as
// people see it.
func (r ruler) cut(text string, most int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if r.width(text) <= most {
		return text
	}
	kept, left, rest, state := 0, most-r.width(ellipsis), text, -1
	for {
		var cluster string
		cluster, rest, _, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if left -= r.width(cluster); left < 0 {
			return text[:kept] + ellipsis
		}
		kept += len(cluster)
	}
}
