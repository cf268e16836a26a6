package plant_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

const root = "../.."

// fault is a constant of this package.
type fault struct{ constant, name, breaks string }

// faults reads the constants, so that none is without a test because a list was
// not kept.
func faults(t *testing.T) (all []fault) {
	t.Helper()
	file, err := parser.ParseFile(token.NewFileSet(), "plant.go", nil, parser.ParseComments)
	if err != nil {
		t.Fatal(err)
	}
	ast.Inspect(file, func(n ast.Node) bool {
		spec, ok := n.(*ast.ValueSpec)
		if !ok {
			return true
		}
		name, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, fault{spec.Names[0].Name, name, strings.TrimSpace(spec.Comment.Text())})
		return true
	})
	return all
}

// Each fault can be made somewhere, says what it breaks, and is made by product
// code only.
func TestEachFaultHasASite(t *testing.T) {
	sites := map[string]int{}
	err := filepath.WalkDir(root, func(path string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && (d.Name() == ".git" || d.Name() == "testdata" || d.Name() == "plant"):
			return fs.SkipDir
		case filepath.Ext(path) != ".go":
			return nil
		}
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		for _, part := range strings.Split(string(text), "plant.On(plant.")[1:] {
			constant, _, _ := strings.Cut(part, ")")
			if sites[constant]++; strings.HasSuffix(path, "_test.go") {
				t.Errorf("%s: a test makes the fault %s; sites belong into product code", path, constant)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	all, seen := faults(t), map[string]bool{}
	if len(all) < 20 {
		t.Errorf("there are %d faults, there shall be 20", len(all))
	}
	for _, f := range all {
		if sites[f.constant] == 0 || sites[f.constant] > 2 {
			t.Errorf("%s has %d sites, and shall have one or two", f.constant, sites[f.constant])
		}
		if f.breaks == "" || f.name == "" || seen[f.name] {
			t.Errorf("%s needs a name of its own and a comment that says what it breaks", f.constant)
		}
		seen[f.name] = true
	}
}
