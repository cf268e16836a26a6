// Package doubt protects tokens from a credential of the wrong environment,
// app or project, with which a vendor calls every live token bad.
package doubt

import (
	"sync/atomic"

	"github.com/rouse-im/rouse/vendors"
)

// maxDoubtful tokens in a row, with no push accepted between them, say that
// the credential is wrong and not the tokens.
const maxDoubtful = 50

// Doubt is of one credential. The zero value doubts: nothing was accepted yet.
type Doubt struct {
	proven   atomic.Bool  // a push was accepted
	doubtful atomic.Int32 // tokens called bad since then
}

// Weigh makes a Rejected push of a dead token when the answer may be about the
// credential: code is one of those, and the credential is not known to reach
// other tokens. All other results are returned as they are.
func (d *Doubt) Weigh(r vendors.Result, codes ...string) vendors.Result {
	if r.Outcome == vendors.Accepted {
		d.proven.Store(true)
		d.doubtful.Store(0)
		return r
	}
	if r.Outcome != vendors.TokenInvalid {
		return r
	}
	for _, code := range codes {
		if r.Code == code && (d.doubtful.Add(1) > maxDoubtful || !d.proven.Load()) {
			r.Outcome = vendors.Rejected
		}
	}
	return r
}
