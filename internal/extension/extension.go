// Package extension reads the push fields of Easemob's message extension
// ("ext"), so that an IM that sends them can hand it over unchanged. It is pure.
//
// Fields that are not of pushes are passed over. Values are taken as senders
// write them: truth as a word or a number, numbers and objects as text, one
// item in place of a list.
package extension

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// Bounds of an extension: its bytes, and how deep its JSON may nest.
const (
	MaxBytes = 16 << 10
	MaxDepth = 16
)

// Error says which field cannot be taken, and why. It does not show values.
type Error struct {
	Path  string // empty = the extension as a whole
	Fault string
}

func (e *Error) Error() string {
	if e.Path == "" {
		return "extension: " + e.Fault
	}
	return "extension." + e.Path + ": " + e.Fault
}

// Merge puts what the extension says into the fields of the message; fields
// that are set beat it. The result has no extension. m is not changed; without
// an extension it is the result. The error is an *Error.
func Merge(m *rousev1.MessageEvent) (*rousev1.MessageEvent, error) {
	if m.GetExtension() == "" {
		return m, nil
	}
	if n := len(m.GetExtension()); n > MaxBytes {
		return nil, &Error{Fault: fmt.Sprintf("%d bytes; at most %d are read", n, MaxBytes)}
	}
	r := &reader{}
	x := r.message(r.whole(m.GetExtension()))
	if r.err != nil {
		return nil, r.err
	}
	own := proto.CloneOf(m)
	own.Extension = ""
	yield(x, own)
	proto.Merge(x, own)
	return x, nil
}

// yield settles what merging would put together: lists, and messages that are
// one whole, are those of own if it has any; of two overrides own's fields win.
func yield(x, own *rousev1.MessageEvent) {
	if len(own.GetMentions()) > 0 || own.GetMentionAll() {
		x.Mentions, x.MentionAll = nil, false
	}
	if own.GetTemplate() != nil {
		x.Template = nil
	}
	if own.GetDirectedTemplate() != nil {
		x.DirectedTemplate = nil
	}
	if f, of := x.GetFilter(), own.GetFilter(); f != nil && of != nil {
		for _, list := range []struct {
			mine *[]string
			own  []string
		}{
			{&f.AcceptDeviceIds, of.GetAcceptDeviceIds()},
			{&f.IgnoreDeviceIds, of.GetIgnoreDeviceIds()},
			{&f.AcceptNotifiers, of.GetAcceptNotifiers()},
			{&f.IgnoreNotifiers, of.GetIgnoreNotifiers()},
		} {
			if len(list.own) > 0 {
				*list.mine = nil
			}
		}
	}
	for vendor, o := range own.GetOverrides() {
		if mine := x.GetOverrides()[vendor]; mine != nil {
			proto.Merge(mine, o)
			own.Overrides[vendor] = mine
		}
	}
}
