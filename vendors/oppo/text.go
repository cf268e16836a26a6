package oppo

import (
	"strings"
	"unicode/utf8"

	"github.com/rivo/uniseg"
)

const ellipsis = "…"

// cut shortens text to at most most code points, which is how OPPO counts
// ("Chinese and English characters and emoji each count as one"), at the end
// of a character as people see it.
func cut(text string, most int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if utf8.RuneCountInString(text) <= most {
		return text
	}
	kept, left, rest, state := 0, most-1, text, -1
	for {
		var cluster string
		cluster, rest, _, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if left -= utf8.RuneCountInString(cluster); left < 0 {
			return text[:kept] + ellipsis
		}
		kept += len(cluster)
	}
}
