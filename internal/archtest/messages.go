package archtest

import (
	"cmp"
	"errors"
	"fmt"
	"go/ast"
	"maps"
	"regexp"
	"slices"
	"strings"
)

const catalogue = "docs/messages.md"

// edge is one kind of message to one kind of actor.
type edge struct {
	to      string // package of the actor that takes it
	message string // "package.Type"
}

func compareEdges(a, b edge) int {
	return cmp.Or(strings.Compare(a.to, b.to), strings.Compare(a.message, b.message))
}

// checkMessages compares the catalogue of actor messages with the type switches
// of the Receive methods under actors and in internal/meta: every case has a row, every row a case.
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
	for _, e := range slices.SortedFunc(maps.Keys(cases), compareEdges) {
		if !slices.Contains(rows, e) {
			faults = append(faults, fmt.Sprintf("%s: Receive takes %s, which has no row in %s: say who sends it, its bound and its overflow answer", cases[e], e.message, catalogue))
		}
	}
	for _, e := range rows {
		if _, ok := cases[e]; !ok {
			faults = append(faults, fmt.Sprintf("%s: row %s to %s: no Receive method there takes it: correct or remove the row", catalogue, e.message, e.to))
		}
	}
	return faults
}

// receiveCases maps each case of a Receive switch to the file of the switch.
func receiveCases(t *tree) map[edge]string {
	cases := map[edge]string{}
	for _, s := range t.files {
		if s.test || s.generated || !match("actors/...", s.dir) && s.dir != "internal/meta" {
			continue
		}
		pkg := s.ast.Name.Name
		for _, d := range s.ast.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok || f.Recv == nil || f.Name.Name != "Receive" {
				continue
			}
			ast.Inspect(f, func(n ast.Node) bool {
				if sw, ok := n.(*ast.TypeSwitchStmt); ok {
					for _, name := range caseTypes(pkg, sw) {
						cases[edge{pkg, name}] = s.path
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

var messageName = regexp.MustCompile("^`([a-z][a-z0-9]*\\.[A-Za-z]+)`$")

// messageRows reads the columns "to" and "message" of the first table that has both.
func messageRows(text string) (rows []edge, err error) {
	to, message := -1, -1
	for i, line := range strings.Split(text, "\n") {
		if !strings.HasPrefix(line, "|") {
			if message >= 0 {
				break
			}
			continue
		}
		cells := strings.Split(strings.Trim(strings.TrimSpace(line), "|"), "|")
		for i := range cells {
			cells[i] = strings.TrimSpace(cells[i])
		}
		switch {
		case message < 0:
			if to = slices.Index(cells, "to"); to >= 0 {
				message = slices.Index(cells, "message")
			}
		case strings.HasPrefix(cells[0], "---"):
		case max(to, message) >= len(cells):
			return nil, fmt.Errorf("line %d: %d cells, the message is in cell %d", i+1, len(cells), message+1)
		default:
			m := messageName.FindStringSubmatch(cells[message])
			if m == nil {
				return nil, fmt.Errorf("line %d: the message cell is %q, want `package.Type`", i+1, cells[message])
			}
			rows = append(rows, edge{cells[to], m[1]})
		}
	}
	if message < 0 {
		return nil, errors.New("no table with the columns to and message")
	}
	return rows, nil
}
