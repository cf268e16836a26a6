package world

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/rouse-im/rouse/simulations"
	"github.com/rouse-im/rouse/simulations/scenarios"
)

// draw a duration. Products are converted before they are added, so that no
// machine fuses them and all draw the same.
func draw(r *rand.Rand, d scenarios.Dist) simulations.Offset {
	var v float64 // ns
	switch d.Kind {
	case "lognormal":
		v = float64(d.Median) * math.Exp(float64(d.Shape*r.NormFloat64()))
	case "pareto":
		v = float64(d.Min) * math.Pow(1-r.Float64(), -1/d.Shape)
	case "exponential":
		v = float64(d.Mean) * r.ExpFloat64()
	case "uniform":
		v = float64(d.Min) + float64(float64(d.Max-d.Min)*r.Float64())
	default:
		v = float64(d.Min)
	}
	v = max(v, float64(d.Min))
	if d.Max > 0 {
		v = min(v, float64(d.Max))
	}
	return simulations.At(time.Duration(min(v, float64(scenarios.MaxLength))))
}

func hit(r *rand.Rand, s scenarios.Share) bool { return s.Of > 0 && r.Float64() < s.Of }

type weighted struct {
	name string
	sum  float64 // of the weights up to and with this one
}

// weights in the order of names, so that the order of a map plays no part.
func weights(of map[string]float64) []weighted {
	var all []weighted
	for name, weight := range of {
		all = append(all, weighted{name, weight})
	}
	slices.SortFunc(all, func(a, b weighted) int { return cmp.Compare(a.name, b.name) })
	for i := 1; i < len(all); i++ {
		all[i].sum += all[i-1].sum
	}
	return all
}

// pick one; empty if there are none.
func pick(r *rand.Rand, of []weighted) string {
	if len(of) == 0 {
		return ""
	}
	x := r.Float64() * of[len(of)-1].sum
	for _, w := range of {
		if x < w.sum {
			return w.name
		}
	}
	return of[len(of)-1].name
}

// rhythm of a zone: how fast the time of people passes in each hour.
type rhythm struct {
	weekday, weekend [24]float64
	// start of the scenario in the zone's wall clock, as ms after some midnight.
	wall     int64
	weekday0 time.Weekday
}

// newRhythm takes the zone's offset at the start for the whole scenario: a
// change of the clocks moves people by an hour for the rest of it, no more.
func newRhythm(s scenarios.Rhythm, start time.Time, zone *time.Location) rhythm {
	local := start.In(zone)
	r := rhythm{wall: int64(local.Hour()*3600+local.Minute()*60+local.Second()) * 1000, weekday0: local.Weekday()}
	copy(r.weekday[:], s.Weekday)
	copy(r.weekend[:], s.Weekend)
	return r
}

const hour = int64(3600 * 1000)

// at tells the wall clock in ms after midnight, and the day of the week.
func (r *rhythm) at(t simulations.Offset) (ms int64, day time.Weekday) {
	wall := r.wall + int64(t)
	return wall % (24 * hour), time.Weekday((int64(r.weekday0) + wall/(24*hour)) % 7)
}

func (r *rhythm) speed(t simulations.Offset) float64 {
	ms, day := r.at(t)
	if day == time.Saturday || day == time.Sunday {
		return r.weekend[ms/hour]
	}
	return r.weekday[ms/hour]
}

// after is when a wait that is this long at mean activity has passed.
func (r *rhythm) after(t, wait simulations.Offset) simulations.Offset {
	left := float64(wait)
	for {
		ms, _ := r.at(t)
		rest := hour - ms%hour // until the next hour
		speed := r.speed(t)
		if passes := float64(float64(rest) * speed); passes < left {
			left -= passes
			t += simulations.Offset(rest)
			continue
		}
		return t + simulations.Offset(left/speed)
	}
}

// within tells whether the wall clock is in a window of a weekday.
func (r *rhythm) within(t simulations.Offset, w scenarios.Window) bool {
	ms, day := r.at(t)
	m := int(ms / 60_000)
	return day != time.Saturday && day != time.Sunday && m >= w.From && m < w.To
}
