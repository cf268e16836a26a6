package vendors

import (
	"hash/fnv"
	"strings"
)

// NotifyID is 1..2^31-1 for a collapse id, for vendors whose devices replace
// what they show by a number; 0 for none.
func NotifyID(collapse string) uint32 {
	if collapse == "" {
		return 0
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte(collapse))
	sum := h.Sum64()
	return max(uint32(sum>>32^sum)&(1<<31-1), 1)
}

// Click tells the intent of a click action from the name of an action, for
// vendors that take both: an intent is a URI.
func Click(s string) (intent, action string) {
	if strings.Contains(s, ":") {
		return s, ""
	}
	return "", s
}
