// Package archtest checks the rules of this repository that a compiler does
// not know: who may import whom, sizes, names, and that the documents tell the
// truth about the code. Each fault says which rule was broken, and why the rule
// is there. All rules read source text only, so the check takes seconds.
package archtest

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strings"
)

const module = "github.com/rouse-im/rouse"

// source is one Go file.
type source struct {
	path      string // slash path from the root
	dir       string // directory, "." for the root
	test      bool
	generated bool
	text      []byte
	fset      *token.FileSet
	ast       *ast.File // imports only when generated
}

// imports lists the import paths of the file.
func (s *source) imports() []string {
	var paths []string
	for _, spec := range s.ast.Imports {
		paths = append(paths, strings.Trim(spec.Path.Value, "`\""))
	}
	return paths
}

func (s *source) line(p token.Pos) int { return s.fset.Position(p).Line }

// tree is the source of the repository.
type tree struct {
	fs    fs.FS
	text  map[string][]byte // every text file by slash path
	files []*source         // every Go file, by path
}

// skipped names are of nothing that is committed, or of test inputs that look
// like code. In a linked work tree .git is a file.
var skipped = []string{".git", ".gen", "bin", "rouse-data", "rouse-fakes", "testdata", "node_modules"}

func load(fsys fs.FS) (*tree, error) {
	t := &tree{fs: fsys, text: map[string][]byte{}}
	err := fs.WalkDir(fsys, ".", func(p string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains(skipped, d.Name()):
			return fs.SkipDir
		case !d.Type().IsRegular(), slices.Contains(skipped, d.Name()):
			return nil
		}
		text, err := fs.ReadFile(fsys, p)
		if err != nil {
			return err
		}
		if bytes.IndexByte(text, 0) >= 0 {
			return nil // not text
		}
		t.text[p] = text
		if path.Ext(p) != ".go" {
			return nil
		}
		s, err := parse(p, text)
		if err != nil {
			return err
		}
		t.files = append(t.files, s)
		return nil
	})
	return t, err
}

func parse(p string, text []byte) (*source, error) {
	s := &source{path: p, dir: path.Dir(p), test: strings.HasSuffix(p, "_test.go"), text: text, fset: token.NewFileSet()}
	mode := parser.ParseComments | parser.SkipObjectResolution
	s.generated = isGenerated(text)
	if s.generated {
		mode = parser.ImportsOnly
	}
	var err error
	s.ast, err = parser.ParseFile(s.fset, p, text, mode)
	if err != nil {
		return nil, fmt.Errorf("parse: %w", err)
	}
	return s, nil
}

// isGenerated follows https://go.dev/s/generatedcode.
func isGenerated(text []byte) bool {
	for line := range bytes.Lines(text) {
		line = bytes.TrimRight(line, "\r\n")
		if bytes.HasPrefix(line, []byte("// Code generated ")) && bytes.HasSuffix(line, []byte(" DO NOT EDIT.")) {
			return true
		}
		if bytes.HasPrefix(line, []byte("package ")) {
			return false
		}
	}
	return false
}

// match reports whether dir fits pattern: an exact path, or "a/..." for a and all below.
func match(pattern, dir string) bool {
	if root, ok := strings.CutSuffix(pattern, "/..."); ok {
		return dir == root || strings.HasPrefix(dir, root+"/")
	}
	return dir == pattern
}

func matchAny(patterns []string, dir string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool { return match(p, dir) })
}
