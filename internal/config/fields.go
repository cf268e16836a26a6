package config

import (
	"reflect"
	"strings"
)

// field is one key of one section, bound to the Config it belongs to.
type field struct {
	section, key, doc string
	value             reflect.Value
}

// path is the field's name in errors: "grpc.listen".
func (f field) path() string { return f.section + "." + f.key }

// env is the field's name in the environment: "ROUSE_GRPC_LISTEN".
func (f field) env() string { return "ROUSE_" + strings.ToUpper(f.section+"_"+f.key) }

// section is one block of the file.
type section struct {
	name, doc string
	fields    []field
}

// sections lists all keys of c in the order of the struct.
func sections(c *Config) []section {
	var all []section
	root := reflect.ValueOf(c).Elem()
	for i := range root.NumField() {
		tag := root.Type().Field(i).Tag
		s := section{name: tag.Get("key"), doc: tag.Get("doc")}
		block := root.Field(i)
		for j := range block.NumField() {
			tag := block.Type().Field(j).Tag
			s.fields = append(s.fields, field{s.name, tag.Get("key"), tag.Get("doc"), block.Field(j)})
		}
		all = append(all, s)
	}
	return all
}

// meant answers the candidate nearest to name, or "" when none is within two
// typing mistakes.
func meant(name string, candidates []string) string {
	best, least := "", 3
	for _, c := range candidates {
		if d := distance(name, c); d < least {
			best, least = c, d
		}
	}
	return best
}

// distance counts the insertions, deletions, replacements and swaps of
// neighbours that turn a into b (optimal string alignment).
func distance(a, b string) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			differ := 1
			if a[i-1] == b[j-1] {
				differ = 0
			}
			d := min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+differ)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				d = min(d, rows[i-2][j-2]+1)
			}
			rows[i][j] = d
		}
	}
	return rows[len(a)][len(b)]
}
