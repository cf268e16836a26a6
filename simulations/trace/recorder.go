package trace

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"sync"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/simulations"
)

// maxRecorded bounds the devices and runs of IM nodes that a Recorder remembers;
// beyond it a device gets no token, and a node does not start again.
const maxRecorded = 1_000_000

// RecorderOptions of a Recorder.
type RecorderOptions struct {
	// Names keeps the ids of users, devices, groups, messages and IM nodes. Without
	// it each is replaced by a keyed hash whose key ends with the recording.
	Names bool
	// Texts keeps what messages say. Without it "…" stands for a text.
	Texts bool
}

// Recorder writes what IM nodes send as a trace. It may be used from many
// goroutines. Tokens are registered elsewhere: each device gets a made-up one
// at its first session.
type Recorder struct {
	o   RecorderOptions
	key []byte

	mu      sync.Mutex
	w       *Writer
	start   time.Time
	n       uint64
	last    simulations.Offset
	devices map[string]bool
	nodes   map[string]uint64 // highest incarnation
	fault   error
}

// NewRecorder begins a trace at the present time.
func NewRecorder(w *Writer, start time.Time, o RecorderOptions) *Recorder {
	r := &Recorder{o: o, w: w, start: start, key: make([]byte, 32), devices: map[string]bool{}, nodes: map[string]uint64{}}
	_, _ = rand.Read(r.key) // it never fails
	return r
}

// Take an event that an IM node sent, at the time at which it came.
func (r *Recorder) Take(node string, incarnation uint64, item *rousev1.Event, at time.Time) {
	e, ok := simulations.FromItem(item, node, incarnation)
	if !ok {
		return
	}
	r.mask(&e)
	r.mu.Lock()
	defer r.mu.Unlock()
	now := max(r.last, simulations.At(at.Sub(r.start)))
	r.last = now
	if e.Node != "" && r.nodes[e.Node] < incarnation && len(r.nodes) < maxRecorded {
		r.nodes[e.Node] = incarnation
		r.put(simulations.Event{Kind: simulations.IMUp, Node: e.Node, Incarnation: incarnation}, now)
	}
	r.put(e, now)
	if device := e.User + "\x00" + e.Device; e.Kind == simulations.Presence && !r.devices[device] && len(r.devices) < maxRecorded {
		r.devices[device] = true
		if b, ok := made(&e); ok {
			r.put(b, now)
		}
	}
}

// put needs mu.
func (r *Recorder) put(e simulations.Event, at simulations.Offset) {
	r.n++
	e.N, e.At = r.n, at
	r.fault = errors.Join(r.fault, r.w.Write(simulations.Step{At: at, Delivery: &simulations.Delivery{Event: &e, At: at}}))
}

// Close flushes the trace and says what was wrong with it.
func (r *Recorder) Close() (events uint64, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.n, errors.Join(r.fault, r.w.Flush())
}

func (r *Recorder) mask(e *simulations.Event) {
	if !r.o.Texts && e.Text != "" {
		e.Text = "…"
	}
	if r.o.Names {
		return
	}
	for _, id := range []*string{&e.Node, &e.User, &e.Device, &e.Message, &e.From, &e.Group} {
		*id = r.hash(*id)
	}
	for _, ids := range []*[]string{&e.To, &e.Mentions, &e.Messages} {
		masked := make([]string, len(*ids))
		for i, id := range *ids {
			masked[i] = r.hash(id)
		}
		*ids = masked
	}
}

func (r *Recorder) hash(id string) string {
	if id == "" {
		return ""
	}
	h := hmac.New(sha256.New, r.key)
	h.Write([]byte(id))
	return hex.EncodeToString(h.Sum(nil)[:8])
}

// made is the token of a device at the vendor of its brand; false for desktops
// and browsers, which have none.
func made(e *simulations.Event) (simulations.Event, bool) {
	b := simulations.Event{Kind: simulations.Bind, User: e.User, Device: e.Device, Platform: e.Platform, Brand: e.Brand, Zone: e.Zone}
	sum := sha256.Sum256([]byte(e.User + "\x00" + e.Device))
	token := hex.EncodeToString(sum[:])
	switch e.Platform {
	case "ios":
		b.Notifier, b.Token = "ios", token
	case "harmony":
		b.Notifier, b.Token = "harmony", "rec-"+token[:32]
	case "android":
		b.Notifier, b.Token = "android", "rec-"+token[:32]
		switch e.Brand {
		case "huawei", "honor", "xiaomi", "vivo", "meizu":
			b.Notifier = e.Brand
		case "oppo":
			b.Notifier, b.Token = e.Brand, "OPPO_CN_"+token[:32]
		}
	default:
		return b, false
	}
	return b, true
}

// String is for people.
func (r *Recorder) String() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return fmt.Sprintf("%d events of %d devices and %d IM nodes", r.n, len(r.devices), len(r.nodes))
}
