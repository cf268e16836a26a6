package trace

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/rouse-im/rouse/simulations"
	"github.com/rouse-im/rouse/simulations/scenarios"
	"github.com/rouse-im/rouse/simulations/world"
)

const header = `{"rouse_trace":1,"start":"2026-03-02T00:00:00Z"}` + "\n"

// What was written is read back, faults and causes included.
func TestRoundTrip(t *testing.T) {
	s, err := scenarios.Load("small")
	if err != nil {
		t.Fatal(err)
	}
	w, err := world.New(s, 7)
	if err != nil {
		t.Fatal(err)
	}
	faults, err := s.Schedule()
	if err != nil {
		t.Fatal(err)
	}
	var file bytes.Buffer
	out, err := NewWriter(&file, Header{Scenario: s.Name, Seed: 7, Commit: "abc", Start: s.Start})
	if err != nil {
		t.Fatal(err)
	}
	var want []simulations.Step
	for step := range simulations.Merge(world.Disturb(s, 7, w.Events()), faults) {
		want = append(want, step)
		if err := out.Write(step); err != nil {
			t.Fatal(err)
		}
	}
	if err := out.Flush(); err != nil {
		t.Fatal(err)
	}
	r, err := NewReader(&file, Options{Strict: true})
	if err != nil {
		t.Fatal(err)
	}
	if r.Header.Scenario != "small" || r.Header.Seed != 7 || r.Header.Commit != "abc" || !r.Header.Start.Equal(s.Start) {
		t.Errorf("header %+v", r.Header)
	}
	got := readAll(t, r)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%d steps were written, %d read: %s", len(want), len(got), diff[:min(len(diff), 1000)])
	}
}

func readAll(t *testing.T, r *Reader) (all []simulations.Step) {
	t.Helper()
	for {
		s, err := r.Next()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, s)
	}
}

func line(at int, event string) string {
	return fmt.Sprintf(`{"at":%d,"delivery":{"at":%d,"event":{"n":1,"at":%d,%s}}}`, at, at, at, event)
}

func TestBadLines(t *testing.T) {
	good := line(5, `"kind":"fetched","user":"u","device":"d"`)
	tests := []struct{ name, text, want string }{
		{"no json", `{"at":`, "unexpected EOF"},
		{"unknown field", `{"at":5,"colour":1}`, "colour"},
		{"neither", `{"at":5}`, "want a delivery or a fault"},
		{"two objects", good + good, "more than one object"},
		{"time goes back", line(4, `"kind":"fetched","user":"u","device":"d"`), "after a line of 5 ms"},
		{"far future", line(1<<40, `"kind":"fetched","user":"u","device":"d"`), "at is 1099511627776 ms"},
		{"unknown kind", line(5, `"kind":"dance"`), `no kind of event "dance"`},
		{"no user", line(5, `"kind":"fetched","device":"d"`), "without user"},
		{"no state", line(5, `"kind":"presence","user":"u","device":"d","session":1`), "want a state"},
		{"nobody", line(5, `"kind":"message","message":"m"`), "0 recipients"},
		{"long id", line(5, `"kind":"fetched","user":"`+strings.Repeat("x", 129)+`","device":"d"`), "user has 129 bytes"},
		{"control characters", line(5, `"kind":"fetched","user":"a\u0000b","device":"d"`), "control characters"},
		{"fault", `{"at":5,"fault":{"n":1,"at":5,"kind":"flood"}}`, `no fault "flood"`},
		{"long line", strings.Repeat(" ", 3000) + good, "longer than 2048 bytes"},
		{"no event", `{"at":5,"delivery":{"at":5}}`, "has no event"},
		{"no wish", line(5, `"kind":"settings","user":"u"`), "without a wish"},
		{"before its event", `{"at":5,"delivery":{"at":5,"event":{"n":1,"at":9,"kind":"fetched","user":"u","device":"d"}}}`, "before its event"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			text := header + good + "\n" + test.text + "\n\n" + good + "\n"
			r, err := NewReader(strings.NewReader(text), Options{MaxLine: 2048})
			if err != nil {
				t.Fatal(err)
			}
			if got := len(readAll(t, r)); got != 2 {
				t.Errorf("%d steps, want the two good ones", got)
			}
			if len(r.Bad) != 1 || r.Skipped != 1 || r.Bad[0].Line != 3 || !strings.Contains(r.Bad[0].Reason, test.want) {
				t.Errorf("bad lines %v, want line 3 with %q", r.Bad, test.want)
			}
			strict, err := NewReader(strings.NewReader(text), Options{MaxLine: 2048, Strict: true})
			if err != nil {
				t.Fatal(err)
			}
			_, _ = strict.Next()
			if _, err := strict.Next(); err == nil || !strings.Contains(err.Error(), "line 3: ") || !strings.Contains(err.Error(), test.want) {
				t.Errorf("strict: %v, want line 3 with %q", err, test.want)
			}
		})
	}
}

func TestNoTrace(t *testing.T) {
	for _, text := range []string{"", "\n", "{}\n", `{"rouse_trace":2,"start":"2026-03-02T00:00:00Z"}`, "PK\x03\x04", `[1]`} {
		if _, err := NewReader(strings.NewReader(text), Options{}); !errors.Is(err, ErrVersion) {
			t.Errorf("%q: %v, want %v", text, err, ErrVersion)
		}
	}
	r, err := NewReader(strings.NewReader(header+"x\nx\nx\n"), Options{MaxLines: 3})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Next(); err == nil || !strings.Contains(err.Error(), "more than 3 lines") {
		t.Errorf("too many lines: %v", err)
	}
}

func TestManyBadLinesTakeNoMemory(t *testing.T) {
	r, err := NewReader(strings.NewReader(header+strings.Repeat("x\n", 5000)), Options{})
	if err != nil {
		t.Fatal(err)
	}
	readAll(t, r)
	if r.Skipped != 5000 || len(r.Bad) != MaxBad {
		t.Errorf("skipped %d, told %d; want 5000 and %d", r.Skipped, len(r.Bad), MaxBad)
	}
}

const flashFile = `{
"0": {"guid": "secret", "model": "HUAWEI P20", "messages": "2020-01-28 08:00:00\tscreen_off\n2020-01-28 08:00:01\twifi\n2020-01-28 08:10:00\tscreen_on\n2020-01-28 08:10:02\tscreen_unlock\n2020-01-28 08:11:00\tscreen_lock\n2020-01-28 08:20:00\tUnknown\n2020-01-28 08:20:30\t4G\n2020-01-28 08:21:00\t55.0%\n2020-01-28 09:00:00\tphone_off\n2020-01-28 09:05:00\tphone_on\n"},
"1": {"model": "Redmi Note 8", "messages": "2020-01-28 08:00:05\t5G\nyesterday\twifi\n2020-01-28 08:00:06 wifi\n2020-01-28 08:00:07\tsinging\n", "extra": [1, 2]}
}`

func TestFlash(t *testing.T) {
	f, err := ReadFlash(strings.NewReader(flashFile), FlashOptions{})
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range f.Events {
		got = append(got, fmt.Sprintf("%v %s %s %s %d.%d %s", e.At, e.User, e.Kind, e.State, e.Session, e.Step, e.Notifier))
	}
	want := []string{
		"00:00:00.000  im-up  0.0 ",
		"08:00:01.000 f1 presence background 1.0 ",
		"08:00:01.000 f1 bind  0.0 huawei",
		"08:00:05.000 f2 presence background 1.0 ",
		"08:00:05.000 f2 bind  0.0 xiaomi",
		"08:10:02.000 f1 presence connected 1.1 ",
		"08:11:00.000 f1 presence background 1.2 ",
		"08:20:00.000 f1 presence disconnected 1.3 ",
		"08:20:30.000 f1 presence background 2.0 ",
		"09:00:00.000 f1 presence disconnected 2.1 ",
		"09:05:00.000 f1 presence background 3.0 ",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if f.Devices != 2 || f.Skipped != 3 || len(f.Bad) != 3 || f.Bad[0].Device != "1" || f.Bad[0].Line != 2 || !f.Start.Equal(time.Date(2020, 1, 28, 0, 0, 0, 0, beijing)) {
		t.Errorf("devices %d, skipped %d, bad %v, start %v", f.Devices, f.Skipped, f.Bad, f.Start)
	}
	for _, e := range f.Events {
		if err := event(&e); err != nil {
			t.Errorf("an imported event would not be read back: %v", err)
		}
		if strings.Contains(fmt.Sprint(e), "secret") {
			t.Error("the id of a person's phone is in an event")
		}
	}
}

func TestFlashIsRefused(t *testing.T) {
	tests := []struct {
		name, text, want string
		o                FlashOptions
	}{
		{"no object", `[1]`, "no object of devices", FlashOptions{}},
		{"nothing", ``, "EOF", FlashOptions{}},
		{"cut off", flashFile[:200], "device 1", FlashOptions{}},
		{"strict", flashFile, "line 2", FlashOptions{Strict: true}},
		{"many devices", flashFile, "more than 1 devices", FlashOptions{MaxDevices: 1}},
		{"many events", flashFile, "more than 2 changes", FlashOptions{MaxEvents: 2}},
		{"large device", `{"0":{"messages":"` + strings.Repeat("x", 100_000) + `"}}`, "more than 1000 bytes", FlashOptions{MaxDevice: 1000}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			if _, err := ReadFlash(strings.NewReader(test.text), test.o); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func FuzzReader(f *testing.F) {
	f.Add(header + line(5, `"kind":"fetched","user":"u","device":"d"`))
	f.Add(header + `{"at":5,"fault":{"n":1,"at":5,"kind":"kill","nodes":[0],"for":5}}` + "\nx\n")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := NewReader(strings.NewReader(text), Options{MaxLine: 4096, MaxLines: 1000})
		if err != nil {
			return
		}
		last := simulations.Offset(0)
		for {
			s, err := r.Next()
			if err != nil {
				return
			}
			if s.At < last || (s.Delivery == nil) == (s.Fault == nil) {
				t.Fatalf("step %+v after %v", s, last)
			}
			last = s.At
			var again bytes.Buffer
			w, _ := NewWriter(&again, r.Header)
			if err := w.Write(s); err != nil {
				t.Fatal(err)
			}
		}
	})
}

func FuzzFlash(f *testing.F) {
	f.Add(flashFile)
	f.Add(`{"0":{"messages":"2020-01-28 08:00:00\twifi"}}`)
	f.Fuzz(func(t *testing.T, text string) {
		got, err := ReadFlash(strings.NewReader(text), FlashOptions{MaxDevices: 10, MaxEvents: 1000, MaxDevice: 1 << 16})
		if err != nil {
			return
		}
		last := simulations.Offset(0)
		for i, e := range got.Events {
			if e.At < last || e.N != uint64(i+1) {
				t.Fatalf("event %d at %v after %v", e.N, e.At, last)
			}
			if err := event(&e); err != nil {
				t.Fatal(err)
			}
			last = e.At
		}
	})
}
