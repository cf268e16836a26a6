package trace

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/rouse-im/rouse/simulations"
	"github.com/rouse-im/rouse/simulations/scenarios"
)

// FlashOptions of an import. Zero fields have a default.
type FlashOptions struct {
	// MaxDevices; 200,000. MaxDevice in bytes; 16 MiB. MaxEvents; 20 million.
	MaxDevices, MaxDevice, MaxEvents int
	// Strict refuses the file at its first bad line.
	Strict bool
}

// Flash is what was read of a state_traces.json of the FLASH data set
// (github.com/PKU-Chengxu/FLASH).
type Flash struct {
	// Start is the midnight (Beijing) before the first line.
	Start   time.Time
	Devices int
	// Events in order of time, numbered.
	Events  []simulations.Event
	Bad     []FlashBad
	Skipped int // bad lines, all of them
	Lines   int // lines of states
}

// FlashBad is a line of a device that was not taken.
type FlashBad struct {
	Device string
	Bad
}

// beijing is where the data were taken; their times have no zone.
var beijing = time.FixedZone("Asia/Shanghai", 8*3600)

// ReadFlash reads the file device by device and keeps only changes of presence.
func ReadFlash(r io.Reader, o FlashOptions) (*Flash, error) {
	o.MaxDevices, o.MaxDevice, o.MaxEvents = cmp.Or(o.MaxDevices, 200_000), cmp.Or(o.MaxDevice, 16<<20), cmp.Or(o.MaxEvents, 20_000_000)
	in := &meter{r: r, max: o.MaxDevice, left: o.MaxDevice}
	d := json.NewDecoder(in)
	if t, err := d.Token(); err != nil || t != json.Delim('{') {
		return nil, fmt.Errorf("the file is no object of devices: %w", cmp.Or(err, errors.New("it begins otherwise")))
	}
	f := &Flash{}
	var moves []move
	for d.More() {
		if f.Devices++; f.Devices > o.MaxDevices {
			return nil, fmt.Errorf("more than %d devices", o.MaxDevices)
		}
		in.left = in.max
		key, err := d.Token()
		if err != nil {
			return nil, fmt.Errorf("device %d: %w", f.Devices, err)
		}
		var one struct {
			Model    string `json:"model"`
			Messages string `json:"messages"`
		}
		if err := d.Decode(&one); err != nil {
			return nil, fmt.Errorf("device %d (%.32q): %w", f.Devices, key, err)
		}
		own, err := f.device(fmt.Sprint(key), one.Messages, o)
		if err != nil {
			return nil, err
		}
		for i := range own {
			own[i].device, own[i].brand = f.Devices, brandOf(one.Model)
		}
		if moves = append(moves, own...); len(moves) > o.MaxEvents {
			return nil, fmt.Errorf("more than %d changes of presence", o.MaxEvents)
		}
	}
	if _, err := d.Token(); err != nil {
		return nil, fmt.Errorf("after device %d: %w", f.Devices, err)
	}
	f.settle(moves)
	return f, nil
}

// meter bounds what is read for one device. What the decoder reads ahead counts
// for the one before.
type meter struct {
	r         io.Reader
	max, left int
}

func (m *meter) Read(p []byte) (int, error) {
	if m.left <= 0 {
		return 0, fmt.Errorf("a device of more than %d bytes", m.max)
	}
	n, err := m.r.Read(p[:min(len(p), m.left)])
	m.left -= n
	return n, err
}

// move is a change of presence.
type move struct {
	at     time.Time
	to     simulations.State
	why    string
	device int
	brand  string
}

// flashTime is the form of times.
const flashTime = "2006-01-02 15:04:05"

type flashLine struct {
	at    time.Time
	state string
}

// device reads the lines of one device: time, tab, state.
func (f *Flash) device(key, messages string, o FlashOptions) ([]move, error) {
	var lines []flashLine
	n := 0
	for text := range strings.SplitSeq(messages, "\n") {
		n++
		text = strings.TrimSpace(strings.ReplaceAll(text, "\x00", ""))
		if text == "" {
			continue
		}
		f.Lines++
		l, err := readFlashLine(text)
		if err == nil && len(lines) > 0 && l.at.Sub(lines[0].at).Abs() > scenarios.MaxLength {
			err = fmt.Errorf("more than %v from the first line", scenarios.MaxLength)
		}
		if err != nil {
			bad := FlashBad{key, Bad{n, err.Error()}}
			if o.Strict {
				return nil, fmt.Errorf("device %.32q: %v", key, bad.Bad)
			}
			if f.Skipped++; len(f.Bad) < MaxBad {
				f.Bad = append(f.Bad, bad)
			}
			continue
		}
		lines = append(lines, l)
	}
	slices.SortStableFunc(lines, func(a, b flashLine) int { return a.at.Compare(b.at) })
	return presence(lines), nil
}

func readFlashLine(text string) (flashLine, error) {
	at, state, ok := strings.Cut(text, "\t")
	if !ok {
		return flashLine{}, fmt.Errorf("%.40q has no tab between time and state", text)
	}
	t, err := time.ParseInLocation(flashTime, strings.TrimSpace(at), beijing)
	if err != nil || t.Year() < 2000 || t.Year() > 2100 {
		return flashLine{}, fmt.Errorf("%.40q is no time of the form %s", at, flashTime)
	}
	state = strings.ToLower(strings.TrimSpace(state))
	if _, known := flashStates[state]; !known && !strings.HasSuffix(state, "%") {
		return flashLine{}, fmt.Errorf("there is no state %.40q", state)
	}
	return flashLine{t, state}, nil
}

// flashStates says what each state means for the presence of an app: none =
// nothing. Percentages of the battery mean nothing either.
var flashStates = map[string]func(*phoneState){
	"battery_charged_on": none, "battery_charged_off": none, "battery_low": none, "battery_okay": none,
	"screen_on":     none, // a look at the clock or a notification
	"screen_unlock": func(p *phoneState) { p.unlocked = true },
	"screen_lock":   func(p *phoneState) { p.unlocked = false },
	"screen_off":    func(p *phoneState) { p.unlocked = false },
	"wifi":          network, "2g": network, "3g": network, "4g": network, "5g": network,
	"unknown":   func(p *phoneState) { p.network = false },
	"phone_on":  func(p *phoneState) { p.on, p.unlocked = true, false },
	"phone_off": func(p *phoneState) { p.on, p.unlocked = false, false },
}

func none(*phoneState)      {}
func network(p *phoneState) { p.network = true }

type phoneState struct{ on, network, unlocked bool }

// presence keeps the changes. A phone is off until it says something; without a
// word of its network it has none.
func presence(lines []flashLine) []move {
	var all []move
	p, last := phoneState{on: true}, simulations.Disconnected
	for _, l := range lines {
		if change := flashStates[l.state]; change != nil {
			change(&p)
		}
		to := simulations.Disconnected
		if p.on && p.network {
			to = simulations.Background
			if p.unlocked {
				to = simulations.Connected
			}
		}
		if to != last {
			all = append(all, move{at: l.at, to: to, why: l.state})
			last = to
		}
	}
	return all
}

// brandOf a model, as far as its name says it.
func brandOf(model string) string {
	model = strings.ToLower(model)
	for _, b := range []struct{ part, brand string }{
		{"honor", "honor"}, {"huawei", "huawei"}, {"xiaomi", "xiaomi"}, {"redmi", "xiaomi"}, {"mi ", "xiaomi"}, {"oppo", "oppo"}, {"vivo", "vivo"}, {"meizu", "meizu"},
	} {
		if strings.Contains(model, b.part) {
			return b.brand
		}
	}
	return "google"
}

// settle brings the moves of all devices into one order and makes events of
// them: a user for each device, who registers at his first connection.
func (f *Flash) settle(moves []move) {
	if len(moves) == 0 {
		return
	}
	slices.SortStableFunc(moves, func(a, b move) int { return a.at.Compare(b.at) })
	first := moves[0].at
	f.Start = time.Date(first.Year(), first.Month(), first.Day(), 0, 0, 0, 0, beijing)
	tell := func(e simulations.Event) {
		e.N = uint64(len(f.Events) + 1)
		f.Events = append(f.Events, e)
	}
	tell(simulations.Event{Kind: simulations.IMUp, Node: "im-0", Incarnation: 1})
	type session struct{ number, step uint64 }
	sessions := map[int]session{}
	for _, m := range moves {
		s := sessions[m.device]
		known := s.number > 0
		if online := m.to != simulations.Disconnected; !known || online && s.step == ended {
			s = session{number: s.number + 1}
		} else {
			s.step++
		}
		e := simulations.Event{
			At: simulations.At(m.at.Sub(f.Start)), Kind: simulations.Presence, Why: m.why, Node: "im-0", Incarnation: 1, User: fmt.Sprintf("f%d", m.device),
			Device: fmt.Sprintf("f%dp", m.device), State: m.to, Session: s.number, Step: s.step, Platform: "android", Brand: m.brand, Zone: "Asia/Shanghai",
		}
		tell(e)
		if !known {
			notifier := e.Brand
			if notifier == "google" {
				notifier = "android"
			}
			tell(simulations.Event{
				At: e.At, Kind: simulations.Bind, User: e.User, Device: e.Device, Platform: e.Platform, Brand: e.Brand, Zone: e.Zone,
				Notifier: notifier, Token: "flash-" + e.Device,
			})
		}
		if m.to == simulations.Disconnected {
			s.step = ended
		}
		sessions[m.device] = s
	}
}

// ended marks a session that is over.
const ended = ^uint64(0)
