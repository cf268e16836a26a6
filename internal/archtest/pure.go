package archtest

import (
	"fmt"
	"go/ast"
	"path"
	"slices"
)

// pure lists the files that only decide: same input, same answer. Their time,
// randomness and records are arguments, which makes table, property and replay
// tests possible.
var pure = []struct {
	dir  string
	only []string // file names, nil = all but shell
	// shell files join the pure ones with the world.
	shell []string
}{
	{dir: "actors/user", shell: []string{"actor.go", "keep.go", "lookup.go", "metrics.go", "notify.go", "reported.go", "restore.go", "shell.go", "telling.go"}},
	{dir: "internal/extension"},
	{dir: "internal/content", shell: []string{"language.go"}},
	{dir: "cluster/placement", only: []string{"node.go", "leaders.go", "plan.go", "next.go"}},
	{dir: "actors/route", only: []string{"answer.go", "state.go", "timers.go", "way.go"}},
	{dir: "actors/lane", only: []string{"state.go", "queue.go", "breaker.go", "backoff.go", "pace.go", "quota.go", "midnight.go"}},
	{dir: "internal/quota", only: []string{"share.go", "holder.go", "split.go", "ledger.go", "record.go"}},
}

// impure imports: "p/..." means p and all below. Values that live below
// storage and net (sealed tokens, addresses) may be used.
var impure = []string{
	"github.com/asynkron/protoactor-go/...", "github.com/cockroachdb/pebble/...", module + "/storage",
	"crypto/rand", "log/slog", "math/rand/...", "net", "net/http/...", "os/...", "sync/...",
}

var clockCalls = []string{"After", "AfterFunc", "NewTicker", "NewTimer", "Now", "Since", "Sleep", "Tick", "Until"}

func isPure(s *source) bool {
	if s.test {
		return false
	}
	for _, set := range pure {
		if set.dir != s.dir {
			continue
		}
		name := path.Base(s.path)
		if set.only != nil {
			return slices.Contains(set.only, name)
		}
		return !slices.Contains(set.shell, name)
	}
	return false
}

// checkPure keeps clocks, I/O and goroutines out of the deciding files.
func checkPure(t *tree) (faults []string) {
	const why = "this file only decides; pass it in, or do it in the actor's shell"
	for _, s := range t.files {
		if !isPure(s) {
			continue
		}
		for _, p := range s.imports() {
			if matchAny(impure, p) {
				faults = append(faults, fmt.Sprintf("%s: imports %s: %s", s.path, p, why))
			}
		}
		ast.Inspect(s.ast, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				faults = append(faults, fmt.Sprintf("%s:%d: starts a goroutine: %s", s.path, s.line(n.Pos()), why))
			case *ast.SelectorExpr:
				if x, ok := n.X.(*ast.Ident); ok && x.Name == "time" && slices.Contains(clockCalls, n.Sel.Name) {
					faults = append(faults, fmt.Sprintf("%s:%d: reads the clock (time.%s): %s", s.path, s.line(n.Pos()), n.Sel.Name, why))
				}
			}
			return true
		})
	}
	return faults
}
