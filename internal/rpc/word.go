package rpc

import (
	"fmt"
	"strings"
	"unicode"

	"google.golang.org/protobuf/reflect/protoreflect"
)

// Word is the name of an enum's value as people write it: "logged-out" for
// SESSION_STATE_LOGGED_OUT, "-" for the unspecified one.
func Word(e protoreflect.Enum) string {
	v := e.Descriptor().Values().ByNumber(e.Number())
	switch {
	case e.Number() == 0:
		return "-"
	case v == nil:
		return fmt.Sprint(e.Number()) // of a newer server
	}
	return word(e.Descriptor(), v)
}

// Value finds the value of an enum that a word stands for; an empty word is the
// unspecified one. The error lists the words.
func Value[E interface {
	~int32
	protoreflect.Enum
}](text string) (E, error) {
	var e E
	if text == "" {
		return e, nil
	}
	all := e.Descriptor().Values()
	known := make([]string, 0, all.Len())
	for i := range all.Len() {
		v := all.Get(i)
		if v.Number() == 0 {
			continue
		}
		w := word(e.Descriptor(), v)
		if w == text {
			return E(v.Number()), nil
		}
		known = append(known, w)
	}
	return e, fmt.Errorf("%q is none of %s", text, strings.Join(known, ", "))
}

func word(d protoreflect.EnumDescriptor, v protoreflect.EnumValueDescriptor) string {
	name := strings.TrimPrefix(string(v.Name()), prefix(string(d.Name())))
	return strings.ToLower(strings.ReplaceAll(name, "_", "-"))
}

// prefix is the upper snake case of a type's name: "SESSION_STATE_".
func prefix(name string) string {
	var b strings.Builder
	for i, r := range name {
		if i > 0 && unicode.IsUpper(r) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToUpper(r))
	}
	return b.String() + "_"
}
