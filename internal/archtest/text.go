package archtest

import (
	"bytes"
	"fmt"
	"maps"
	"path"
	"regexp"
	"slices"
)

// phrase is text that no file of its kind may hold. The patterns are put
// together from parts so that this file does not hold them.
type phrase struct {
	what  string
	re    *regexp.Regexp
	part  []string // what matches has one of them; they are looked for first, being found faster
	where func(p string) bool
	why   string
}

var phrases = []phrase{
	{
		"a real sleep", regexp.MustCompile(`\btime\.` + `Sleep\(`),
		[]string{"Sleep("},
		func(p string) bool { ok, _ := path.Match("*_test.go", path.Base(p)); return ok },
		"it makes tests slow and flaky; use testing/synctest, or wait for the event itself",
	},
	{
		"a note to do it later", regexp.MustCompile(`\b(TO` + `DO|FIX` + `ME)\b`),
		[]string{"TO" + "DO", "FIX" + "ME"},
		func(p string) bool { return true },
		"finish it, or write it where work is planned",
	},
	{
		"a path of somebody's machine", regexp.MustCompile(`(^|[\s"'` + "`" + `(=:])/(home/[a-z]|Users/[A-Za-z]|ro` + `ot/|wo` + `rk/)`),
		[]string{"/home/", "/Users/", "/ro" + "ot/", "/wo" + "rk/"},
		func(p string) bool { return true },
		"the repository builds anywhere",
	},
	{
		"the address of a package registry", regexp.MustCompile(`GO` + `PROXY=|gopro` + `xy\.|proxy\.gol` + `ang\.org|registry\.npm` + `js|pypi\.o` + `rg|artifac` + `tory`),
		[]string{"GO" + "PROXY=", "gopro" + "xy.", "proxy.gol", "npm" + "js", "pypi.", "artifac" + "tory"},
		func(p string) bool { return true },
		"where modules come from is the builder's choice",
	},
}

func (p phrase) hasPart(text []byte) bool {
	return slices.ContainsFunc(p.part, func(part string) bool { return bytes.Contains(text, []byte(part)) })
}

// checkPhrases searches every text file but dependency hashes and the licence.
func checkPhrases(t *tree) (faults []string) {
	for _, p := range slices.Sorted(maps.Keys(t.text)) {
		if path.Base(p) == "go.sum" || p == "LICENSE" || isGenerated(t.text[p]) {
			continue
		}
		for _, ph := range phrases {
			if !ph.where(p) || !ph.hasPart(t.text[p]) || !ph.re.Match(t.text[p]) {
				continue
			}
			n := 0
			for line := range bytes.Lines(t.text[p]) {
				n++
				if m := ph.re.Find(line); m != nil {
					faults = append(faults, fmt.Sprintf("%s:%d: %s (%s): %s", p, n, ph.what, bytes.TrimSpace(m), ph.why))
				}
			}
		}
	}
	return faults
}
