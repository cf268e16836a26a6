// Package reason says in words what each Reason of the contract means and what
// can be done about it, in English and in Chinese. RPCs, the command line and
// webhooks all take their words from here.
package reason

import rousev1 "github.com/rouse-im/rouse/api/rouse/v1"

// Language of the words.
type Language uint8

// Languages.
const (
	English Language = iota
	Chinese
)

// Text explains a reason.
type Text struct {
	// What happened, in one sentence.
	What string
	// Advice is what to do about it; "nothing" is said too.
	Advice string
}

// In explains r. A reason of a later version gets words that say so.
func In(l Language, r rousev1.Reason) Text {
	all := english
	if l == Chinese {
		all = chinese
	}
	if t, ok := all[r]; ok {
		return t
	}
	return all[rousev1.Reason_REASON_UNSPECIFIED]
}
