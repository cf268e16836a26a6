package archtest

import (
	"fmt"
	"go/ast"
	"io/fs"
	"maps"
	"path"
	"regexp"
	"slices"
	"strings"
)

var (
	codeSpan = regexp.MustCompile("`([^`\n]+)`")
	mdLink   = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	fenced   = regexp.MustCompile("(?ms)^```.*?^```")
	testName = regexp.MustCompile("`(Test[A-Z][A-Za-z0-9_]*)`")
	dotPath  = regexp.MustCompile(`(?:^|\s)\./([A-Za-z0-9_./-]+)`)
)

// roots are the first elements of paths that a document may name.
var roots = []string{".ci", "actors", "api", "client", "cluster", "cmd", "console", "docs", "internal", "simulations", "storage", "vendors"}

// checkDocPaths wants every path that a document names to exist: prose that
// points nowhere sends its reader astray.
func checkDocPaths(t *tree) (faults []string) {
	for _, p := range slices.Sorted(maps.Keys(t.text)) {
		if path.Ext(p) != ".md" {
			continue
		}
		for _, named := range pathsNamed(p, string(t.text[p])) {
			if !exists(t.fs, named) {
				faults = append(faults, fmt.Sprintf("%s: names %s, which does not exist: documents tell the truth about the tree", p, named))
			}
		}
	}
	return faults
}

// checkDocTests wants every test that a document names to exist: it says what
// is checked.
func checkDocTests(t *tree) (faults []string) {
	tests := map[string]bool{}
	for _, s := range t.files {
		if !s.test {
			continue
		}
		for _, d := range s.ast.Decls {
			if f, ok := d.(*ast.FuncDecl); ok {
				tests[f.Name.Name] = true
			}
		}
	}
	for _, p := range slices.Sorted(maps.Keys(t.text)) {
		if path.Ext(p) != ".md" {
			continue
		}
		for _, m := range testName.FindAllStringSubmatch(string(t.text[p]), -1) {
			if !tests[m[1]] {
				faults = append(faults, fmt.Sprintf("%s: names %s, which is no test: documents tell the truth about the tree", p, m[1]))
			}
		}
	}
	return faults
}

// pathsNamed lists, in order and once each, what looks like a path of the
// repository: relative links, code spans, and words with a leading "./".
func pathsNamed(file, text string) []string {
	var named []string
	add := func(p string) {
		p = strings.TrimSuffix(strings.TrimSuffix(p, "/..."), "/")
		if p != "" && p != "." && !slices.Contains(named, p) {
			named = append(named, p)
		}
	}
	for _, m := range dotPath.FindAllStringSubmatch(strings.ReplaceAll(text, "`", " "), -1) {
		if looksLikePath(m[1]) {
			add(m[1])
		}
	}
	text = fenced.ReplaceAllString(text, "")
	for _, m := range codeSpan.FindAllStringSubmatch(text, -1) {
		if looksLikePath(m[1]) {
			add(m[1])
		}
	}
	for _, m := range mdLink.FindAllStringSubmatch(text, -1) {
		target, _, _ := strings.Cut(m[1], "#")
		if target != "" && !strings.Contains(target, ":") {
			add(path.Join(path.Dir(file), target))
		}
	}
	return named
}

func looksLikePath(s string) bool {
	first, rest, ok := strings.Cut(s, "/")
	return ok && rest != "" && slices.Contains(roots, first) && !strings.ContainsAny(s, " <>(){}$:=\"'")
}

func exists(fsys fs.FS, p string) bool {
	if strings.Contains(p, "*") {
		found, err := fs.Glob(fsys, p)
		return err == nil && len(found) > 0
	}
	_, err := fs.Stat(fsys, p)
	return err == nil
}
