package app

import (
	"strings"
	"testing"

	"google.golang.org/protobuf/reflect/protoreflect"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// Every vendor that the contract offers is known here: an empty credential of
// it is refused with the name of a field, not as unknown.
func TestEveryVendorIsKnown(t *testing.T) {
	kinds := (&rousev1.Credential{}).ProtoReflect().Descriptor().Oneofs().ByName("vendor").Fields()
	for i := range kinds.Len() {
		kind := kinds.Get(i)
		c := (&rousev1.Credential{Name: "n"}).ProtoReflect()
		c.Set(kind, protoreflect.ValueOfMessage(c.NewField(kind).Message()))
		credential := c.Interface().(*rousev1.Credential)
		err := checkCredential(credential)
		if err == nil || err == errVendor {
			t.Errorf("%s: an empty credential is checked with %v", kind.Name(), err)
		}
		if _, opened := newSender(credential); opened == nil || opened == errVendor {
			t.Errorf("%s: an empty credential opens with %v", kind.Name(), opened)
		}
		if err := checkToken(credential, "a b\n"); err == nil || !strings.Contains(err.Error(), "token") {
			t.Errorf("%s: a token with spaces: %v", kind.Name(), err)
		}
	}
}
