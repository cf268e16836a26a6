package actors

import rousev1 "github.com/rouse-im/rouse/api/rouse/v1"

// Refusal is an error of the contract, as another node gave it.
type Refusal struct{ Detail *rousev1.Error }

// Error is the text for people.
func (r *Refusal) Error() string { return r.Detail.GetMessage() }
