package xiaomi

import (
	"strings"
	"unicode"

	"github.com/rouse-im/rouse/vendors/cut"
)

func fit(text string, most int) string {
	return cut.Text(text, cut.Limit{In: cut.UTF16, Most: most})
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
	if cut.Blank(text) {
		return cut.Ellipsis
	}
	return text
}

// isEmojiPart: what joins and varies emoji, and is left over without them.
func isEmojiPart(r rune) bool {
	return r == '\u200d' || r == '\ufe0f' || r == '\u20e3' || r >= 0x1F3FB && r <= 0x1F3FF || r >= 0xE0020 && r <= 0xE007F
}
