package report

import (
	"bytes"
	"fmt"
	"image/color"
	"math"
	"regexp"
	"strings"
	"time"

	"gonum.org/v1/plot"
	"gonum.org/v1/plot/font"
	"gonum.org/v1/plot/plotter"
	"gonum.org/v1/plot/vg"
	drawing "gonum.org/v1/plot/vg/draw"
	"gonum.org/v1/plot/vg/vgsvg"
)

// maxLines of a chart; there are as many colours.
const maxLines = 9

// ink stands for colours in a plot: what is drawn in them follows the page.
func ink(i int) color.Color { return color.RGBA{R: 0xfe, G: 0xdc, B: uint8(0xb0 + i), A: 0xff} }

const (
	inkText  = 9
	inkGrid  = 10
	inkFault = 11
)

// inks are the names of what stands for them on the page.
var (
	inkOf    = regexp.MustCompile(`#FEDCB([0-9A-F])`)
	fontOf   = regexp.MustCompile(`font-family:[^;"]*`)
	sizeOf   = regexp.MustCompile(`width="([0-9.]+)pt" height="([0-9.]+)pt"`)
	preamble = regexp.MustCompile(`(?s)^.*?<svg`)
	comment  = regexp.MustCompile(`(?s)<!--.*?-->`)
)

// draw a chart as an svg element whose colours are variables of the page.
func draw(c Chart, r Run) (string, error) {
	p := plot.New()
	p.BackgroundColor = color.Transparent
	p.Y.Min = 0
	p.Y.Tick.Marker = plain10{}
	dress(p)
	var err error
	if c.Bars {
		err = bars(p, c)
	} else {
		p.X.Min, p.X.Max = 0, r.Length.Minutes()
		p.X.Tick.Marker = clock{r.Start}
		faultBands(p, r)
		err = lines(p, c)
	}
	if err != nil {
		return "", fmt.Errorf("plotting %s: %w", c.ID, err)
	}
	if p.Y.Max <= 0 || math.IsInf(p.Y.Max, 0) {
		p.Y.Max = 1
	}
	p.Y.Max *= 1.06
	if c.Log {
		p.Y.Min, p.Y.Max = 1, math.Pow(10, math.Ceil(math.Log10(max(10, p.Y.Max))))
		p.Y.Scale, p.Y.Tick.Marker = plot.LogScale{}, powers{}
	}
	canvas := vgsvg.New(15*vg.Centimeter, 6*vg.Centimeter)
	// Room for the last label of the time.
	p.Draw(drawing.Crop(drawing.New(canvas), 0, -vg.Points(14), 0, 0))
	var b bytes.Buffer
	if _, err := canvas.WriteTo(&b); err != nil {
		return "", fmt.Errorf("plotting %s: %w", c.ID, err)
	}
	return inline(b.String(), c), nil
}

func dress(p *plot.Plot) {
	f := font.Font{Typeface: "Liberation", Variant: "Sans", Size: vg.Points(9)}
	for _, a := range []*plot.Axis{&p.X, &p.Y} {
		a.LineStyle.Color, a.Tick.LineStyle.Color, a.Tick.Label.Color = ink(inkGrid), ink(inkGrid), ink(inkText)
		a.Tick.Label.Font, a.Label.TextStyle.Font = f, f
	}
	grid := plotter.NewGrid()
	grid.Vertical.Width = 0
	grid.Horizontal.Color, grid.Horizontal.Width = ink(inkGrid), vg.Points(0.5)
	p.Add(grid)
}

func lines(p *plot.Plot, c Chart) error {
	for i, l := range c.Lines[:min(len(c.Lines), maxLines)] {
		if len(l.Points) == 0 {
			continue
		}
		xys := make(plotter.XYs, len(l.Points))
		for k, at := range l.Points {
			xys[k] = plotter.XY{X: at[0], Y: at[1]}
		}
		if c.Dots {
			s, err := plotter.NewScatter(xys)
			if err != nil {
				return err
			}
			s.Color, s.Shape, s.Radius = ink(i), drawing.CircleGlyph{}, vg.Points(3)
			p.Add(s)
			continue
		}
		line, err := plotter.NewLine(xys)
		if err != nil {
			return err
		}
		line.Color, line.Width = ink(i), vg.Points(1.6)
		p.Add(line)
	}
	return nil
}

func bars(p *plot.Plot, c Chart) error {
	var ticks []plot.Tick
	for i, l := range c.Lines {
		b, err := plotter.NewBarChart(plotter.Values{l.Points[0][1]}, vg.Points(26))
		if err != nil {
			return err
		}
		b.XMin, b.Color, b.LineStyle.Width = float64(i), ink(i), 0
		p.Add(b)
		ticks = append(ticks, plot.Tick{Value: float64(i), Label: fmt.Sprintf("%d", i+1)})
	}
	p.X.Min, p.X.Max = -0.6, max(1, float64(len(c.Lines)))-0.4
	p.X.Tick.Marker = plot.ConstantTicks(ticks)
	return nil
}

// plain10 labels as people write: 2,500 and 0.5.
type plain10 struct{}

// Ticks where gonum puts them.
func (plain10) Ticks(lo, hi float64) []plot.Tick {
	ticks := plot.DefaultTicks{}.Ticks(lo, hi)
	for i := range ticks {
		if ticks[i].Label != "" {
			ticks[i].Label = number(ticks[i].Value)
		}
	}
	return ticks
}

// powers of ten.
type powers struct{}

// Ticks at each of them.
func (powers) Ticks(lo, hi float64) (ticks []plot.Tick) {
	for v := lo; v <= hi; v *= 10 {
		ticks = append(ticks, plot.Tick{Value: v, Label: number(v)})
	}
	return ticks
}

// faultBands shade the times of faults.
func faultBands(p *plot.Plot, r Run) {
	for _, f := range r.History.Faults {
		from := r.life(f.At).Duration().Minutes()
		to := max(from+r.Length.Minutes()/600, r.life(f.At+f.For).Duration().Minutes())
		p.Add(band{from, min(to, r.Length.Minutes())})
	}
}

// band is a stretch of time over the whole height.
type band struct{ from, to float64 }

// Plot draws it.
func (b band) Plot(c drawing.Canvas, p *plot.Plot) {
	x, _ := p.Transforms(&c)
	c.FillPolygon(ink(inkFault), []vg.Point{
		{X: x(b.from), Y: c.Min.Y}, {X: x(b.to), Y: c.Min.Y}, {X: x(b.to), Y: c.Max.Y}, {X: x(b.from), Y: c.Max.Y},
	})
}

// clock labels minutes since the start with the time of day.
type clock struct{ start time.Time }

// Ticks at whole steps of the clock, at most eight.
func (k clock) Ticks(lo, hi float64) (ticks []plot.Tick) {
	steps := []time.Duration{time.Minute, 5 * time.Minute, 10 * time.Minute, 15 * time.Minute, 30 * time.Minute, time.Hour, 3 * time.Hour, 6 * time.Hour, 12 * time.Hour, 24 * time.Hour, 7 * 24 * time.Hour}
	step, form := steps[len(steps)-1], "15:04"
	for _, s := range steps {
		if (hi-lo)/s.Minutes() <= 8 {
			step = s
			break
		}
	}
	if step >= 24*time.Hour {
		form = "Jan 2"
	}
	_, zone := k.start.Zone()
	wall := k.start.Add(time.Duration(zone) * time.Second).UTC()
	for at := wall.Truncate(step); ; at = at.Add(step) {
		m := at.Sub(wall).Minutes()
		if m > hi || len(ticks) > 60 {
			return ticks
		}
		if m >= lo {
			ticks = append(ticks, plot.Tick{Value: m, Label: at.Format(form)})
		}
	}
}

// inline makes a part of a page of a file.
func inline(svg string, c Chart) string {
	svg = comment.ReplaceAllString(preamble.ReplaceAllString(svg, "<svg"), "")
	svg = inkOf.ReplaceAllStringFunc(svg, func(s string) string { return "var(--i" + strings.ToLower(s[len(s)-1:]) + ")" })
	svg = fontOf.ReplaceAllString(svg, "font-family:inherit")
	svg = sizeOf.ReplaceAllString(svg, `class="plot"`)
	return strings.Replace(svg, "<svg", fmt.Sprintf(`<svg role="img" aria-labelledby="%s-title"`, c.ID), 1)
}

// palette for both kinds of page: distinct for the colour-blind (Okabe and Ito).
const lightInks = "--i0:#0072b2;--i1:#d55e00;--i2:#009e73;--i3:#cc79a7;--i4:#b07c00;--i5:#2f8fc9;--i6:#6b4fa0;--i7:#7a7a00;--i8:#8c3b3b;--i9:#333;--ia:#d5d5d5;--ib:#f3d9c9"

const darkInks = "--i0:#56b4e9;--i1:#ff9a52;--i2:#3ddbb0;--i3:#eaa6cb;--i4:#f0c14b;--i5:#9fd4f5;--i6:#b9a3ec;--i7:#d8d860;--i8:#e39191;--i9:#d8d8d8;--ia:#444;--ib:#4d372c"

// standalone makes a file of a part of a page.
func standalone(svg string) string {
	style := "<style>:root{" + lightInks + ";font-family:sans-serif}@media(prefers-color-scheme:dark){:root{" + darkInks + "}}</style>"
	end := strings.Index(svg, ">")
	svg = svg[:end+1] + style + svg[end+1:]
	return `<?xml version="1.0" encoding="UTF-8"?>` + "\n" + strings.TrimSpace(svg) + "\n"
}
