package archtest

import (
	"fmt"
	"go/ast"
	"maps"
	"regexp"
	"slices"
	"strings"
)

const catalogue = "docs/messages.md"

// checkMessages compares the catalogue of actor messages with the type switches
// of the Receive methods under actors: every case has a row, every row a case.
// Life-cycle messages of the actor library need no row.
func checkMessages(t *tree) (faults []string) {
	text, ok := t.text[catalogue]
	if !ok {
		return []string{catalogue + ": missing: it is the catalogue of actor messages"}
	}
	rows, err := messageRows(string(text))
	if err != nil {
		return []string{fmt.Sprintf("%s: %v", catalogue, err)}
	}
	cases := receiveCases(t)
	for _, name := range slices.Sorted(maps.Keys(cases)) {
		if !slices.Contains(rows, name) {
			faults = append(faults, fmt.Sprintf("%s: Receive takes %s, which has no row in %s: say who sends it, its bound and its overflow answer", cases[name], name, catalogue))
		}
	}
	for _, name := range rows {
		if _, ok := cases[name]; !ok {
			faults = append(faults, fmt.Sprintf("%s: row %s: no Receive method takes it: remove the row", catalogue, name))
		}
	}
	return faults
}

// receiveCases maps each message type of a Receive switch, as "package.Type",
// to the file of the switch.
func receiveCases(t *tree) map[string]string {
	cases := map[string]string{}
	for _, s := range t.files {
		if s.test || s.generated || !match("actors/...", s.dir) {
			continue
		}
		for _, d := range s.ast.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv == nil || f.Name.Name != "Receive" {
				continue
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if sw, ok := n.(*ast.TypeSwitchStmt); ok {
					for _, name := range caseTypes(s.ast.Name.Name, sw) {
						cases[name] = s.path
					}
				}
				return true
			})
		}
	}
	return cases
}

func caseTypes(pkg string, sw *ast.TypeSwitchStmt) (names []string) {
	for _, stmt := range sw.Body.List {
		for _, expr := range stmt.(*ast.CaseClause).List {
			if star, ok := expr.(*ast.StarExpr); ok {
				expr = star.X
			}
			switch e := expr.(type) {
			case *ast.Ident:
				names = append(names, pkg+"."+e.Name)
			case *ast.SelectorExpr:
				// "actor" is the library's package: Started, Stopping and so on.
				if x, ok := e.X.(*ast.Ident); ok && x.Name != "actor" {
					names = append(names, x.Name+"."+e.Sel.Name)
				}
			}
		}
	}
	return names
}

var tableCode = regexp.MustCompile("`([A-Za-z0-9_.]+)`")

// messageRows reads the column "message" of the first table that has one.
func messageRows(text string) ([]string, error) {
	var names []string
	column := -1
	for i, line := range strings.Split(text, "\n") {
		if !strings.HasPrefix(line, "|") {
			if column >= 0 {
				break
			}
			continue
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		switch {
		case column < 0:
			column = slices.IndexFunc(cells, func(c string) bool { return strings.TrimSpace(c) == "message" })
		case strings.HasPrefix(strings.TrimSpace(cells[0]), "---"):
		case column >= len(cells):
			return nil, fmt.Errorf("line %d: %d cells, the message is in cell %d", i+1, len(cells), column+1)
		default:
			m := tableCode.FindStringSubmatch(cells[column])
			if m == nil {
				return nil, fmt.Errorf("line %d: the message cell %q names no `package.Type`", i+1, strings.TrimSpace(cells[column]))
			}
			names = append(names, m[1])
		}
	}
	if column < 0 {
		return nil, fmt.Errorf("no table with a column named message")
	}
	return names, nil
}
