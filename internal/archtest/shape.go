package archtest

import (
	"bytes"
	"fmt"
	"go/ast"
	"maps"
	"slices"
	"strings"
)

const (
	maxFileLines = 600
	maxFuncLines = 100
)

var bannedNames = []string{"base", "common", "helper", "helpers", "impl", "lib", "manager", "misc", "shared", "types", "util", "utils"}

// checkPackageComments wants one comment that says what the package is for, and in one place.
func checkPackageComments(t *tree) (faults []string) {
	comments := map[string][]string{} // by directory, the files that hold one
	for _, s := range t.files {
		if s.generated || strings.HasSuffix(s.ast.Name.Name, "_test") {
			continue
		}
		if _, ok := comments[s.dir]; !ok {
			comments[s.dir] = nil
		}
		if s.ast.Doc != nil {
			comments[s.dir] = append(comments[s.dir], s.path)
		}
	}
	for _, dir := range slices.Sorted(maps.Keys(comments)) {
		switch in := comments[dir]; len(in) {
		case 1:
		case 0:
			faults = append(faults, fmt.Sprintf("%s: no package comment: say what the package is for in one place", dir))
		default:
			faults = append(faults, fmt.Sprintf("%s: %d package comments (%s): a reader looks for one", dir, len(in), strings.Join(in, ", ")))
		}
	}
	return faults
}

// checkSizes stops files and functions that hold more than one idea.
func checkSizes(t *tree) (faults []string) {
	for _, s := range t.files {
		if s.generated {
			continue
		}
		if n := bytes.Count(s.text, []byte("\n")); n > maxFileLines {
			faults = append(faults, fmt.Sprintf("%s: %d lines, limit %d: split it by the ideas it holds", s.path, n, maxFileLines))
		}
		for _, d := range s.ast.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if n := s.line(f.End()) - s.line(f.Pos()) + 1; n > maxFuncLines {
				faults = append(faults, fmt.Sprintf("%s:%d: %s has %d lines, limit %d: split it by its steps", s.path, s.line(f.Pos()), f.Name.Name, n, maxFuncLines))
			}
		}
	}
	return faults
}

// checkNames refuses package names that say nothing.
func checkNames(t *tree) (faults []string) {
	seen := map[string]bool{}
	for _, s := range t.files {
		name := strings.TrimSuffix(s.ast.Name.Name, "_test")
		if slices.Contains(bannedNames, name) && !seen[s.dir] {
			seen[s.dir] = true
			faults = append(faults, fmt.Sprintf("%s: package %s: name it after the idea it holds; what is used once belongs to its user", s.dir, name))
		}
	}
	return faults
}

// interfaces lists every exported interface with two packages that implement
// it. Type sets and sum types (an unexported method keeps others out) need none.
var interfaces = map[string][]string{
	"mailbox.Owed":        {"actors/lane", "actors/user"},
	"mailbox.Rejecter":    {"actors", "actors/lane"},
	"vendors.Sender":      {"vendors/apns", "vendors/fcm"},
	"vendors.BatchSender": {"vendors/huawei", "vendors/xiaomi"},
	"vendors.Validator":   {"vendors/apns", "vendors/honor"},
}

// checkInterfaces wants two real implementations for every exported interface:
// one is a concrete type in disguise.
func checkInterfaces(t *tree) (faults []string) {
	methods := methodsByDir(t)
	for _, s := range t.files {
		if s.generated || s.test {
			continue
		}
		for name, iface := range exportedInterfaces(s) {
			id := s.ast.Name.Name + "." + name
			impls, ok := interfaces[id]
			if !ok {
				faults = append(faults, fmt.Sprintf("%s: exported interface %s: use the concrete type, or name two real implementations in interfaces (internal/archtest/shape.go)", s.path, id))
				continue
			}
			for _, dir := range impls {
				if missing := missingMethod(iface, methods[dir]); missing != "" {
					faults = append(faults, fmt.Sprintf("%s: interface %s: %s is named as an implementation but has no method %s", s.path, id, dir, missing))
				}
			}
		}
	}
	return faults
}

func exportedInterfaces(s *source) map[string]*ast.InterfaceType {
	found := map[string]*ast.InterfaceType{}
	for _, d := range s.ast.Decls {
		gen, ok := d.(*ast.GenDecl)
		if !ok {
			continue
		}
		for _, spec := range gen.Specs {
			if ts, ok := spec.(*ast.TypeSpec); ok && ts.Name.IsExported() {
				if iface, ok := ts.Type.(*ast.InterfaceType); ok && !isClosed(iface) {
					found[ts.Name.Name] = iface
				}
			}
		}
	}
	return found
}

// isClosed: a type set has no methods, a sum type an unexported one.
func isClosed(iface *ast.InterfaceType) bool {
	methods := 0
	for _, f := range iface.Methods.List {
		for _, name := range f.Names {
			if !name.IsExported() {
				return true
			}
			methods++
		}
	}
	return methods == 0 && len(iface.Methods.List) > 0
}

func methodsByDir(t *tree) map[string]map[string]bool {
	all := map[string]map[string]bool{}
	for _, s := range t.files {
		if s.test || s.generated {
			continue
		}
		for _, d := range s.ast.Decls {
			if f, ok := d.(*ast.FuncDecl); ok && f.Recv != nil {
				if all[s.dir] == nil {
					all[s.dir] = map[string]bool{}
				}
				all[s.dir][f.Name.Name] = true
			}
		}
	}
	return all
}

func missingMethod(iface *ast.InterfaceType, have map[string]bool) string {
	for _, f := range iface.Methods.List {
		for _, name := range f.Names {
			if !have[name.Name] {
				return name.Name
			}
		}
	}
	return ""
}
