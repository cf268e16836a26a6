package scenarios

import (
	"slices"
	"strings"
	"testing"

	"github.com/rouse-im/rouse/simulations"
)

func TestShippedScenarios(t *testing.T) {
	want := []string{"brief", "city-day", "commute-storm", "harsh", "mention-all", "quiet-night", "reconnect-storm", "small", "vendor-outage"}
	if got := Names(); !slices.Equal(got, want) {
		t.Fatalf("shipped are %v, want %v", got, want)
	}
	for _, name := range Names() {
		s, err := Load(name)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if s.Name != name {
			t.Errorf("%s.yaml names itself %q", name, s.Name)
		}
	}
	if _, err := Load("none"); err == nil || !strings.Contains(err.Error(), "city-day") {
		t.Errorf("an unknown scenario: %v, want the list of known ones", err)
	}
}

func TestSmallIsSmall(t *testing.T) {
	s, err := Load("small")
	if err != nil {
		t.Fatal(err)
	}
	if s.Users != 50 || s.Length.Hours() != 1 || s.Sessions.OSKill.Of != 0.25 {
		t.Errorf("users %d, length %v, os_kill %v: want 50, 1h and what city-day says", s.Users, s.Length, s.Sessions.OSKill)
	}
}

func TestWhatIsRefused(t *testing.T) {
	tests := []struct{ name, text, want string }{
		{"no source", "talk: {call: {of: 0.1, source: \"\"}}", "talk.call has no source"},
		{"no source of a distribution", "sessions: {gap: {source: ' '}}", "sessions.gap has no source"},
		{"no source of a table", "regions: [{name: a, zone: UTC, share: {of: 1, source: x}, phones: {of: {apple: 1}}}]", "regions[0].phones has no source"},
		{"no source of groups", "groups: {source: \"\"}", "groups has no source"},
		{"unknown key", "colour: red", "colour"},
		{"unknown key below", "talk: {loud: 1}", "loud"},
		{"two documents", "users: 3\n---\nusers: 4", "more than one document"},
		{"circle", "like: nowhere", "there is no scenario"},
		{"no yaml", "users: [", "bad.yaml"},
		{"too many users", "users: 100000000", "users is 100000000"},
		{"share above 1", "sessions: {os_kill: {of: 1.5}}", "sessions.os_kill is 1.5"},
		{"unknown distribution", "sessions: {gap: {kind: zipf}}", `no distribution "zipf"`},
		{"lognormal without median", "sessions: {gap: {median: 0s}}", "needs median"},
		{"zone", "regions: [{name: a, zone: Moon/Sea, share: {of: 1, source: x}, phones: {of: {apple: 1}, source: x}}]", `"Moon/Sea" is no zone`},
		{"brand", "regions: [{name: a, zone: UTC, share: {of: 1, source: x}, phones: {of: {nokia: 1}, source: x}}]", `no brand "nokia"`},
		{"shares of regions", "regions: [{name: a, zone: UTC, share: {of: 0.5, source: x}, phones: {of: {apple: 1}, source: x}}]", "sum to 0.5"},
		{"hours", "rhythm: {weekday: [1, 2]}", "rhythm.weekday has 2 hours"},
		{"fault", "faults: [{kind: flood, at: 1m}]", `no fault "flood"`},
		{"fault without its node", "faults: [{kind: kill, at: 1m, for: 1s}]", "name its nodes"},
		{"fault without an end", "faults: [{kind: kill, at: 1m, nodes: [0]}]", "for is 0s"},
		{"too many faults", "faults: [{kind: kill, at: 1m, every: 10ms, nodes: [0], for: 1s}]", "repeats after a second"},
		{"warmup", "warmup: 2h", "warmup is 2h"},
		{"app setting", "app: {group_limits: 3}", `unknown field "group_limits"`},
		{"app setting out of bounds", "app: {group_limit: 2000000}", "group_limit"},
		{"policy", "wishes: {policies: {of: {loud: 1}}}", `no policy "loud"`},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			text := test.text
			if !strings.Contains(text, "like:") {
				text = "like: small\n" + text
			}
			if _, err := Parse("bad.yaml", []byte(text)); err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %v, want %q", err, test.want)
			}
		})
	}
}

func TestScheduleRotates(t *testing.T) {
	s, err := Parse("x.yaml", []byte("like: small\nfaults:\n- {kind: pause, at: 50m, for: 1s, nodes: [4, 5]}\n- {kind: kill, at: 10m, every: 20m, rotate: true, nodes: [0, 1], for: 5s}"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Schedule()
	if err != nil {
		t.Fatal(err)
	}
	type hit struct {
		kind simulations.FaultKind
		at   string
		node int
	}
	var hits []hit
	for _, f := range got {
		hits = append(hits, hit{f.Kind, f.At.String(), f.Nodes[0]})
	}
	want := []hit{{"kill", "00:10:00.000", 0}, {"kill", "00:30:00.000", 1}, {"pause", "00:50:00.000", 4}, {"kill", "00:50:00.000", 0}}
	if !slices.Equal(hits, want) {
		t.Errorf("got %v, want %v", hits, want)
	}
}

// Settings of the app are merged one by one.
func TestSettings(t *testing.T) {
	s, err := Parse("x.yaml", []byte("like: mention-all\napp: {skip_silent_count: true}"))
	if err != nil {
		t.Fatal(err)
	}
	got, err := s.Settings()
	if err != nil || got.GetGroupLimit() != 100_000 || !got.GetSkipSilentCount() {
		t.Errorf("got %v, %v", got, err)
	}
}

func FuzzParse(f *testing.F) {
	f.Add("like: small\nusers: 3")
	f.Add("users: 3\nrhythm: {weekday: [1]}")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := Parse("fuzz.yaml", []byte(text))
		if err == nil && s.Validate() != nil {
			t.Error("a scenario that Parse took is not valid")
		}
	})
}
