package reason

import (
	"strings"
	"testing"
	"unicode"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

func TestEveryReasonHasWords(t *testing.T) {
	for number, name := range rousev1.Reason_name {
		r := rousev1.Reason(number)
		for l, all := range map[Language]map[rousev1.Reason]Text{English: english, Chinese: chinese} {
			text, ok := all[r]
			if !ok || text.What == "" || text.Advice == "" {
				t.Errorf("%s has no words in language %d: %+v", name, l, text)
			}
			if han := strings.IndexFunc(text.What+text.Advice, func(c rune) bool { return unicode.Is(unicode.Han, c) }) >= 0; han != (l == Chinese) {
				t.Errorf("%s: words of language %d are of the other one: %+v", name, l, text)
			}
		}
	}
	if len(english) != len(rousev1.Reason_name) || len(chinese) != len(rousev1.Reason_name) {
		t.Errorf("%d English and %d Chinese texts for %d reasons", len(english), len(chinese), len(rousev1.Reason_name))
	}
	if got := In(Chinese, rousev1.Reason(9999)); got != chinese[rousev1.Reason_REASON_UNSPECIFIED] {
		t.Errorf("a reason of the future: %+v", got)
	}
}

// The 16 words of Easemob's callback, and which reasons it has no word for.
func TestEasemobVocabulary(t *testing.T) {
	words := map[string]bool{}
	silent := map[rousev1.Reason]bool{}
	for number := range rousev1.Reason_name {
		if w := Easemob(rousev1.Reason(number)); w != "" {
			words[w] = true
		} else {
			silent[rousev1.Reason(number)] = true
		}
	}
	for _, w := range []string{
		"no push binding", "illegal binding", "no user exist", "notifier out of limit", "notifier disabled", "notifier is ban",
		"no notifier exist", "invalid notifier", "message ignore push", "invalid message", "expire message", "user ignore push",
		"ignore push device id", "invalid VOIP notification", "get push token fail", "push yet but fail",
	} {
		if !words[w] {
			t.Errorf("no reason is told as %q", w)
		}
		delete(words, w)
	}
	if len(words) > 0 {
		t.Errorf("words that the callback does not have: %v", words)
	}
	for _, r := range []rousev1.Reason{
		rousev1.Reason_REASON_USER_ONLINE, rousev1.Reason_REASON_DEVICE_ONLINE, rousev1.Reason_REASON_DELIVERED_TO_VENDOR, rousev1.Reason_REASON_READ,
	} {
		if !silent[r] {
			t.Errorf("%s has a word", r)
		}
	}
}
