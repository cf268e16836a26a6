package vendors

import (
	"context"
	"crypto/rand"
	"fmt"
	"time"
)

// Validator is a Sender that can ask its vendor for a judgement of the
// credential that reaches no device.
type Validator interface {
	Sender
	// Validate says for people what it asked. The Result is Accepted when the
	// vendor takes the credential; otherwise, and for the error, it is as that
	// of Send. It is for a Sender that sends nothing else.
	Validate(ctx context.Context) (asked string, r Result, err error)
}

// Impossible is what a Validate sends to a token that no device can have: a
// text, as some vendors want one, wanted for a minute.
func Impossible(token string) *Notification {
	return &Notification{
		PushID: NewPushID(), Token: token, Channel: ChannelAlert, Class: ClassIM,
		Title: "Rouse", Body: "A check of the credential, for no device.", Badge: -1,
		Expires: time.Now().Add(time.Minute),
	}
}

// OfCredential reads the answer to an Impossible push: a vendor that calls the
// token dead has taken the credential.
func (r Result) OfCredential() Result {
	if r.Outcome == TokenInvalid {
		return Result{Outcome: Accepted, Code: r.Code}
	}
	return r
}

// NewPushID is a random one, for a push without a message.
func NewPushID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails, see crypto/rand
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
