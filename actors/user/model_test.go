package user

import (
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/rouse-im/rouse/actors"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// model is what a user's devices should be, kept in the plainest way.
type model map[string]*modelDevice

type modelDevice struct {
	session, step uint64
	state         rousev1.SessionState
	count         uint32
	bound         map[string]string // notifier -> token
}

func (m model) get(id string) *modelDevice {
	if m[id] == nil {
		m[id] = &modelDevice{bound: map[string]string{}}
	}
	return m[id]
}

func (d *modelDevice) online(dead map[string]bool) bool {
	return (d.state == connected || d.state == background) && !dead["im1"]
}

// move to a later state. Losing the connection does not undo being forced off
// or having logged out.
func (d *modelDevice) move(session, step uint64, st rousev1.SessionState) {
	up := st == connected || st == background
	stays := session == d.session && !up && (d.state == kicked || d.state == loggedOut && st == disconnected)
	d.session, d.step = session, step
	if !stays {
		d.state = st
	}
}

// Random histories of one user: the state always equals the model, pushes go
// to offline devices with a token only, their badge is the model's count, and
// every decision covers every device once.
func TestAgainstModel(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		w := newWorld(t, &rousev1.AppSettings{DevicePolicy: &rousev1.DevicePolicy{Policy: rousev1.MultiDevicePolicy_MULTI_DEVICE_POLICY_ANY_OFFLINE}})
		m := model{}
		device := rapid.SampledFrom([]string{"a", "b", "c"})
		n := 0
		t.Repeat(map[string]func(*rapid.T){
			"presence": func(t *rapid.T) {
				id := device.Draw(t, "device")
				st := rousev1.SessionState(rapid.IntRange(1, 5).Draw(t, "state"))
				session, step := rapid.Uint64Range(1, 6).Draw(t, "session"), rapid.Uint64Range(0, 6).Draw(t, "step")
				w.do(Presence{PresenceEvent: &rousev1.PresenceEvent{DeviceId: id, State: st, Session: session, Step: step}, Node: actors.Node{Name: "im1", Incarnation: 1}})
				d := m.get(id)
				if session < d.session || (session == d.session && step <= d.step) {
					return
				}
				up := st == connected || st == background
				if up && (session != d.session || !d.online(w.dead)) {
					d.count = 0
				}
				d.move(session, step, st)
			},
			"lease": func(t *rapid.T) { w.dead["im1"] = rapid.Bool().Draw(t, "dead") },
			"bind": func(t *rapid.T) {
				id, notifier := device.Draw(t, "device"), rapid.SampledFrom([]string{"apns", "fcm"}).Draw(t, "notifier")
				token := rapid.SampledFrom([]string{"1", "2", "3"}).Draw(t, "token")
				w.bind(id, notifier, token)
				for other, d := range m {
					if other != id && d.bound[notifier] == token {
						delete(d.bound, notifier)
					}
				}
				m.get(id).bound[notifier] = token
			},
			"unbind": func(t *rapid.T) {
				id := device.Draw(t, "device")
				w.do(&rousev1.UnbindTokenRequest{DeviceId: id})
				if d := m[id]; d != nil {
					d.bound = map[string]string{}
				}
			},
			"fetched": func(t *rapid.T) {
				id := device.Draw(t, "device")
				w.do(&rousev1.FetchedEvent{DeviceId: id})
				if d := m[id]; d != nil {
					d.count = 0
				}
			},
			"message": func(t *rapid.T) {
				n++
				d := w.do(Message{MessageEvent: &rousev1.MessageEvent{MessageId: fmt.Sprint("r", n), Sender: "bob"}})
				seen := map[string]bool{}
				for _, v := range d.Touched[0].Verdicts {
					if seen[v.Device] {
						t.Fatalf("two verdicts on device %q", v.Device)
					}
					seen[v.Device] = true
					md := m[v.Device]
					if md == nil {
						if len(m) != 0 || v.Device != "" {
							t.Fatalf("verdict on unknown device %q", v.Device)
						}
						continue
					}
					if !md.online(w.dead) {
						md.count++
					}
					pushed := v.Stage == StageLane
					want := !md.online(w.dead) && md.state != kicked && len(md.bound) > 0
					if pushed != want {
						t.Fatalf("device %q pushed: %v, want %v (%v)", v.Device, pushed, want, v.Reason)
					}
					if pushed && v.Badge != int32(md.count) {
						t.Fatalf("badge %d, want %d", v.Badge, md.count)
					}
				}
				if len(m) > 0 && len(seen) != len(m) {
					t.Fatalf("%d devices have a verdict, want %d", len(seen), len(m))
				}
				for _, p := range d.Send {
					v := p.Pending.Verdicts[p.Verdict]
					w.do(Ended{Message: p.Pending.Message, Device: v.Device, Notifier: v.Notifier, Status: rousev1.OutcomeStatus_OUTCOME_STATUS_ACCEPTED, Reason: rousev1.Reason_REASON_DELIVERED_TO_VENDOR})
				}
			},
			"": func(t *rapid.T) {
				if len(w.s.Pending) != 0 {
					t.Fatal("a message was not ended")
				}
				for id, md := range m {
					d := w.s.device(id)
					if d == nil || d.Count != md.count || d.State != md.state || d.Session != md.session || len(d.Bindings) != len(md.bound) {
						t.Fatalf("device %q: %+v, want %+v", id, d, md)
					}
				}
				w.env.Now = w.env.Now.Add(time.Second)
			},
		})
	})
}
