package bench

import (
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/demo"
)

// all is the role of fakes of all vendors, which check each push in full. It
// knows how long a push took, for its message says when it left (see timed).
type all struct {
	process
	fakes *demo.Vendors

	mu    sync.Mutex
	times Times
}

// Times of the pushes of each vendor, from the load to the vendor.
type Times map[string][]time.Duration

// Start listens and answers the credentials, as JSON.
func (a *all) Start(_ Nothing, credentials *[][]byte) (err error) {
	a.times = Times{}
	if a.fakes, err = demo.StartVendors(demo.VendorsOptions{Pushed: a.pushed}); err != nil {
		return err
	}
	for _, c := range a.fakes.Credentials() {
		text, err := protojson.Marshal(c)
		if err != nil {
			return err
		}
		*credentials = append(*credentials, text)
	}
	return nil
}

// timed is a message id that says when the message left.
func timed(n int, at time.Time) string { return fmt.Sprintf("%d-%d", at.UnixNano(), n) }

func (a *all) pushed(p demo.Pushed) {
	now := time.Now()
	text, _, _ := strings.Cut(p.Message, "-")
	left, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.times[p.Vendor] = append(a.times[p.Vendor], now.Sub(time.Unix(0, left)))
}

// Want is a number of pushes, of all vendors but one.
type Want struct {
	Count int
	But   string // empty = of all
}

// Times answers how long the pushes took that came since the last call, once so
// many have come.
func (a *all) Times(w Want, t *Times) error {
	_, err := await(func() bool {
		a.mu.Lock()
		defer a.mu.Unlock()
		return a.times.count(w.But) >= w.Count
	})
	a.mu.Lock()
	defer a.mu.Unlock()
	*t, a.times = a.times, Times{}
	return err
}

// count is how many there are, without those of one vendor.
func (t Times) count(but string) (n int) {
	for name, times := range t {
		if name != but {
			n += len(times)
		}
	}
	return n
}

// but is all times but those of one vendor.
func (t Times) but(vendor string) (all []time.Duration) {
	for name, times := range t {
		if name != vendor {
			all = append(all, times...)
		}
	}
	return all
}

// Hang makes a vendor take requests and never answer.
func (a *all) Hang(vendor string, _ *Nothing) error {
	return a.fakes.Disturb(demo.Disturbance{Vendor: vendor, Fault: demo.Silent})
}

// Heal ends that.
func (a *all) Heal(vendor string, _ *Nothing) error { return a.fakes.Heal(vendor) }

func (a *all) close() error {
	if a.fakes != nil {
		a.fakes.Close()
	}
	return a.closeProfile()
}

// readCredentials reads what Start answered.
func readCredentials(texts [][]byte) ([]*rousev1.Credential, error) {
	all := make([]*rousev1.Credential, len(texts))
	for i, text := range texts {
		all[i] = &rousev1.Credential{}
		if err := protojson.Unmarshal(text, all[i]); err != nil {
			return nil, err
		}
	}
	return all, nil
}
