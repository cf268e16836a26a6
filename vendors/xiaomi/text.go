package xiaomi

import (
	"strings"
	"unicode"

	"github.com/rivo/uniseg"
)

const ellipsis = "…"

// length counts characters as Java does, in UTF-16 units: the documents count
// "characters" without saying which, and no other way counts more.
func length(text string) int {
	n := 0
	for _, r := range text {
		if n++; r > 0xFFFF {
			n++
		}
	}
	return n
}

// cut keeps at most most units of text, in whole characters as people see
// them; what is cut ends in an ellipsis. The result is valid UTF-8.
func cut(text string, most int) string {
	text = strings.ToValidUTF8(text, "\uFFFD")
	if length(text) <= most {
		return text
	}
	room := most - length(ellipsis)
	kept, rest, state := 0, text, -1
	for rest != "" {
		var cluster string
		cluster, rest, _, state = uniseg.FirstGraphemeClusterInString(rest, state)
		if room -= length(cluster); room < 0 {
			break
		}
		kept += len(cluster)
	}
	return text[:kept] + ellipsis
}

// plain is text as a template's variable may hold it: no symbols such as
// emoji, no unassigned characters, not blank (private message templates, pId=2314).
func plain(text string) string {
	text = strings.Map(func(r rune) rune {
		if unicode.In(r, unicode.So, unicode.Cn) || isEmojiPart(r) {
			return -1
		}
		return r
	}, strings.ToValidUTF8(text, ""))
	if strings.TrimSpace(text) == "" {
		return ellipsis
	}
	return text
}

// isEmojiPart: what joins and varies emoji, and is left over without them.
func isEmojiPart(r rune) bool {
	return r == '\u200d' || r == '\ufe0f' || r == '\u20e3' || r >= 0x1F3FB && r <= 0x1F3FF || r >= 0xE0020 && r <= 0xE007F
}
