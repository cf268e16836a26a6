package report

import (
	"bytes"
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"strconv"
	"strings"
	"time"

	"github.com/rouse-im/rouse/simulations/checker"
)

//go:embed page.html
var pageText string

var pageTemplate = template.Must(template.New("page").Funcs(template.FuncMap{
	"say": func(t Text) template.HTML {
		return template.HTML(`<span lang="en">` + template.HTMLEscapeString(t.EN) + `</span><span lang="zh">` + template.HTMLEscapeString(t.ZH) + `</span>`)
	},
	"both":    func(en, zh string) Text { return Text{en, zh} },
	"number":  number,
	"most":    func(l Line) string { return number(greatest(l)) },
	"mean":    func(l Line) string { return number(mean(l)) },
	"plus":    func(i, n int) int { return i + n },
	"unit":    func(unit string) Text { return Text{unit, cmp.Or(units[unit], unit)} },
	"promise": func(c checker.Result) Text { return Text{c.Promise, cmp.Or(promises[c.Name], c.Promise)} },
	"events":  func(all []uint64) string { return strings.Trim(fmt.Sprint(all), "[]") },
	"verdict": func(c checker.Result) string {
		switch {
		case c.Breaches > 0:
			return "broken"
		case c.Examined == 0:
			return "empty"
		}
		return "held"
	},
}).Parse(pageText))

// number for people: 1,234,567, or a few digits behind the point.
func number(v float64) string {
	if v != float64(int64(v)) {
		return strconv.FormatFloat(v, 'f', 1, 64)
	}
	digits := strconv.FormatInt(int64(v), 10)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

func greatest(l Line) (v float64) {
	for _, p := range l.Points {
		v = max(v, p[1])
	}
	return v
}

func mean(l Line) (v float64) {
	for _, p := range l.Points {
		v += p[1] / float64(len(l.Points))
	}
	return v
}

// page with everything in it.
func page(s Summary, drawn map[string]string) ([]byte, error) {
	svg := map[string]template.HTML{}
	for id, text := range drawn {
		svg[id] = template.HTML(text) // made by draw from numbers alone
	}
	examined, broken := 0, 0
	for _, c := range s.Checks {
		if c.Breaches > 0 {
			broken++
		}
		if c.Examined > 0 {
			examined++
		}
	}
	var b bytes.Buffer
	err := pageTemplate.Execute(&b, map[string]any{
		"S": s, "SVG": svg, "Examined": examined, "Broken": broken, "Preview": len(s.Checks) == 0,
		"Length": (time.Duration(s.LengthMS) * time.Millisecond).String(), "From": s.Start.Format("2006-01-02 15:04 MST"),
		"Light": template.CSS(lightInks), "Dark": template.CSS(darkInks),
	})
	if err != nil {
		return nil, fmt.Errorf("writing the page: %w", err)
	}
	return b.Bytes(), nil
}
