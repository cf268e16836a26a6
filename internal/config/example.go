package config

import (
	"fmt"
	"reflect"
	"strings"
)

// Example is a configuration file with every key at its default and a comment
// beside it.
func Example() string {
	var b strings.Builder
	b.WriteString("# Configuration of roused. All keys are optional and stand at their defaults.\n" +
		"# A variable ROUSE_<SECTION>_<KEY>, like ROUSE_GRPC_LISTEN, beats the file.\n")
	c := Default()
	for _, s := range sections(&c) {
		fmt.Fprintf(&b, "\n# %s\n%s:\n", s.doc, s.name)
		for _, f := range s.fields {
			fmt.Fprintf(&b, "  # %s\n  %s: %s\n", f.doc, f.key, scalar(f.value))
		}
	}
	return b.String()
}

// scalar writes a value as YAML; text is quoted, so that no text can be taken
// for something else.
func scalar(v reflect.Value) string {
	if v.Kind() == reflect.String {
		return fmt.Sprintf("%q", v.String())
	}
	return fmt.Sprint(v.Interface())
}
