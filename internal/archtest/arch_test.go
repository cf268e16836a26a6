package archtest

import (
	"os"
	"strings"
	"testing"
)

var rules = []struct {
	name  string
	check func(*tree) []string
}{
	{"imports", checkImports},
	{"pure", checkPure},
	{"package_comments", checkPackageComments},
	{"sizes", checkSizes},
	{"names", checkNames},
	{"interfaces", checkInterfaces},
	{"phrases", checkPhrases},
	{"doc_paths", checkDocPaths},
	{"doc_tests", checkDocTests},
	{"messages", checkMessages},
}

func TestRepository(t *testing.T) {
	root := os.DirFS("../..")
	tr, err := load(root)
	if err != nil {
		t.Fatal(err)
	}
	if text := string(tr.text["go.mod"]); !strings.HasPrefix(text, "module "+module+"\n") {
		t.Fatalf("../.. is not the root of %s", module)
	}
	for _, rule := range rules {
		t.Run(rule.name, func(t *testing.T) {
			for _, fault := range rule.check(tr) {
				t.Error(fault)
			}
		})
	}
}
