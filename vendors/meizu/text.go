package meizu

import (
	"strings"

	"github.com/rivo/uniseg"
)

const ellipsis = "…"

// length counts characters as Java does, in UTF-16 units: the document counts
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

func blank(text string) bool { return strings.TrimSpace(text) == "" }
