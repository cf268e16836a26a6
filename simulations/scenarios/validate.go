package scenarios

import (
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/rouse-im/rouse/simulations"
)

// Bounds of a scenario.
const (
	MaxUsers   = 10_000_000
	MaxLength  = 366 * 24 * time.Hour
	maxIMNodes = 1024
	maxFaults  = 100_000
	maxLarge   = 64
	maxRegions = 64
)

// brands that a phone may have.
var brands = []string{"apple", "google", "huawei", "harmony", "honor", "xiaomi", "oppo", "vivo", "meizu"}

var policies = []string{"all-offline", "any-offline", "mobile-offline", "away-delay"}

// Validate lists all that is wrong.
func (s *Scenario) Validate() error {
	f := &faults{}
	f.check(s.Name != "", "name is missing")
	f.check(s.About != "", "about is missing: say in a sentence what the scenario is for")
	f.check(!s.Start.IsZero(), "start is missing")
	f.check(s.Length > 0 && s.Length <= MaxLength, "length is %v; more than 0, at most %v", s.Length, MaxLength)
	f.check(s.Warmup > 0 && s.Warmup < s.Length, "warmup is %v; more than 0, less than length", s.Warmup)
	f.check(s.Users >= 2 && s.Users <= MaxUsers, "users is %d; 2 to %d", s.Users, MaxUsers)
	f.check(s.IM.Nodes >= 1 && s.IM.Nodes <= maxIMNodes, "im.nodes is %d; 1 to %d", s.IM.Nodes, maxIMNodes)
	f.check(s.IM.LoseLast >= 0 && s.IM.LoseLast <= time.Minute, "im.lose_last is %v; at most a minute", s.IM.LoseLast)
	f.check(s.Talk.Contacts >= 1, "talk.contacts is %d; at least 1", s.Talk.Contacts)
	f.regions(s)
	f.groups(s)
	f.rhythm(s)
	for i, o := range s.IM.Outages {
		f.check(o.At > s.Warmup && o.At < s.Length && o.For > 0, "im.outages[%d]: it begins after the warmup, before the end, and lasts", i)
		f.check(o.Node >= 0 && o.Node < s.IM.Nodes, "im.outages[%d]: there is no node %d", i, o.Node)
	}
	if _, err := s.Settings(); err != nil {
		f.all = append(f.all, err)
	}
	f.drawn(reflect.ValueOf(s).Elem(), "")
	if len(f.all) == 0 {
		if _, err := s.Schedule(); err != nil {
			f.all = append(f.all, err)
		}
	}
	return errors.Join(f.all...)
}

type faults struct{ all []error }

func (f *faults) check(ok bool, format string, args ...any) {
	if !ok {
		f.all = append(f.all, fmt.Errorf(format, args...))
	}
}

func (f *faults) regions(s *Scenario) {
	f.check(len(s.Regions) > 0 && len(s.Regions) <= maxRegions, "regions: there are %d; 1 to %d", len(s.Regions), maxRegions)
	sum := 0.0
	for i, r := range s.Regions {
		_, err := time.LoadLocation(r.Zone)
		f.check(err == nil && r.Zone != "", "regions[%d].zone: %q is no zone", i, r.Zone)
		f.check(len(r.Phones.Of) > 0, "regions[%d].phones: there are none", i)
		for brand := range r.Phones.Of {
			f.check(slices.Contains(brands, brand), "regions[%d].phones: there is no brand %q; known are %s", i, brand, strings.Join(brands, ", "))
		}
		sum += r.Share.Of
	}
	f.check(math.Abs(sum-1) < 1e-6, "regions: shares sum to %g, not 1", sum)
	for name := range s.Wishes.Policies.Of {
		f.check(slices.Contains(policies, name), "wishes.policies: there is no policy %q; known are %s", name, strings.Join(policies, ", "))
	}
}

func (f *faults) groups(s *Scenario) {
	g := s.Groups
	f.check(g.PerUser >= 0 && g.PerUser <= 10, "groups.per_user is %g; 0 to 10", g.PerUser)
	f.check(g.MinSize >= 3 && g.MaxSize >= g.MinSize, "groups: sizes are %d to %d; at least 3, the greater last", g.MinSize, g.MaxSize)
	f.check(g.Shape > 0, "groups.shape is %g; more than 0", g.Shape)
	f.check(len(g.Large) <= maxLarge, "groups.large: there are %d, at most %d", len(g.Large), maxLarge)
	for i, l := range g.Large {
		f.check(l.Size >= 3 && l.Size <= s.Users, "groups.large[%d]: size is %d; 3 to the number of users", i, l.Size)
		for _, at := range l.At {
			f.check(at >= s.Warmup && at < s.Length, "groups.large[%d]: a message at %v; after the warmup, before the end", i, at)
		}
	}
}

func (f *faults) rhythm(s *Scenario) {
	for name, hours := range map[string][]float64{"weekday": s.Rhythm.Weekday, "weekend": s.Rhythm.Weekend} {
		f.check(len(hours) == 24, "rhythm.%s has %d hours, not 24", name, len(hours))
		for _, h := range hours {
			f.check(h > 0 && h <= 24, "rhythm.%s: an hour of %g; more than 0, at most 24", name, h)
		}
	}
}

// drawn walks over all that is drawn at random: it must have a source and make sense.
func (f *faults) drawn(v reflect.Value, at string) {
	switch x := v.Interface().(type) {
	case Dist:
		f.check(x.validate() == nil, "%s: %v", at, x.validate())
	case Share:
		f.check(x.Of >= 0 && x.Of <= 1, "%s is %g; 0 to 1", at, x.Of)
	case Rate:
		f.check(x.PerDay >= 0 && x.PerDay <= 1440, "%s is %g a day; 0 to 1440", at, x.PerDay)
	case Window:
		f.check(x.From >= 0 && x.To >= 0 && x.From < 1440 && x.To < 1440 && x.From != x.To, "%s: %d to %d are no two minutes of the day", at, x.From, x.To)
	case time.Time, map[string]any:
		return // nothing in them is drawn
	}
	switch v.Kind() {
	case reflect.Struct:
		for i := range v.NumField() {
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("yaml"), ",")
			if name == "source" {
				f.check(strings.TrimSpace(v.Field(i).String()) != "", "%s has no source: name one, or write \"assumed\"", at)
			}
			f.drawn(v.Field(i), strings.TrimPrefix(at+"."+name, "."))
		}
	case reflect.Slice:
		for i := range v.Len() {
			f.drawn(v.Index(i), fmt.Sprintf("%s[%d]", at, i))
		}
	case reflect.Map:
		for it := v.MapRange(); it.Next(); {
			f.check(it.Value().Float() >= 0, "%s.%s is less than 0", at, it.Key())
		}
	}
}

func (d Dist) validate() error {
	positive := func(what string, v time.Duration) error {
		if v <= 0 {
			return fmt.Errorf("a %s distribution needs %s, more than 0", d.Kind, what)
		}
		return nil
	}
	if d.Max != 0 && d.Max < d.Min || d.Min < 0 {
		return fmt.Errorf("min is %v and max %v", d.Min, d.Max)
	}
	switch d.Kind {
	case "lognormal":
		if d.Shape <= 0 || d.Shape > 5 {
			return fmt.Errorf("a lognormal distribution needs shape (sigma), more than 0, at most 5")
		}
		return positive("median", d.Median)
	case "pareto":
		if d.Shape <= 0 {
			return fmt.Errorf("a pareto distribution needs shape (alpha), more than 0")
		}
		return positive("min", d.Min)
	case "exponential":
		return positive("mean", d.Mean)
	case "uniform":
		return positive("max", d.Max)
	case "fixed":
		return nil
	}
	return fmt.Errorf("there is no distribution %q; known are lognormal, pareto, exponential, uniform, fixed", d.Kind)
}

// Schedule lists the faults in order of time.
func (s *Scenario) Schedule() ([]simulations.Fault, error) {
	var all []simulations.Fault
	for i, p := range s.Faults {
		until := p.Until
		if until == 0 {
			until = s.Length
		}
		if p.At >= s.Length || p.Every < 0 || p.Every > 0 && p.Every < time.Second {
			return nil, fmt.Errorf("faults[%d]: it begins before the end, and repeats after a second or more", i)
		}
		for n, at := 0, p.At; at < until; n, at = n+1, at+p.Every {
			f := simulations.Fault{
				At: simulations.At(at), Kind: simulations.FaultKind(p.Kind), For: simulations.At(p.For), Nodes: p.Nodes,
				Vendor: p.Vendor, Delay: simulations.At(p.Delay), Rate: p.Rate,
			}
			if p.Rotate && len(p.Nodes) > 0 {
				f.Nodes = []int{p.Nodes[n%len(p.Nodes)]}
			}
			if err := f.Validate(); err != nil {
				return nil, fmt.Errorf("faults[%d]: %w", i, err)
			}
			if all = append(all, f); len(all) > maxFaults {
				return nil, fmt.Errorf("faults: more than %d", maxFaults)
			}
			if p.Every == 0 {
				break
			}
		}
	}
	slices.SortStableFunc(all, func(a, b simulations.Fault) int { return int(min(1, max(-1, a.At-b.At))) })
	for i := range all {
		all[i].N = uint64(i + 1)
	}
	return all, nil
}
