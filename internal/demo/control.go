package demo

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

const (
	// maxOrder bounds the body of an order in bytes.
	maxOrder = 64 << 10
	// maxTimes and maxFor bound what an order may ask for.
	maxTimes = 1_000_000
	maxFor   = time.Hour
	// maxListed bounds the pushes and devices of one answer.
	maxListed = 1000
)

// Control is the API that changes the fakes while they serve and tells what
// they got; see docs/vendors/fakes.md. It answers only who asks by a loopback
// name, and takes orders only as application/json, so that no page in a browser
// can give any.
func (v *Vendors) Control() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/fakes", v.listFakes)
	mux.HandleFunc("GET /v1/pushes", v.listPushes)
	mux.HandleFunc("GET /v1/devices", v.listDevices)
	mux.HandleFunc("DELETE /v1/pushes", func(w http.ResponseWriter, _ *http.Request) {
		v.log.clear()
		answer(w, struct{}{})
	})
	for path, obey := range map[string]func(*http.Request) error{
		"POST /v1/faults":      order(v.orderFault),
		"POST /v1/heal":        order(func(o vendorOrder) error { return v.Heal(o.Vendor) }),
		"POST /v1/devices":     order(v.orderDevice),
		"POST /v1/rate":        order(v.orderRate),
		"POST /v1/certificate": order(v.orderCertificate),
	} {
		mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) {
			if err := obey(r); err != nil {
				refuse(w, http.StatusBadRequest, err)
				return
			}
			answer(w, struct{}{})
		})
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		host, _, err := net.SplitHostPort(r.Host)
		if err != nil {
			host = r.Host
		}
		if ip := net.ParseIP(strings.Trim(host, "[]")); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			refuse(w, http.StatusForbidden, errors.New("the control API is for this machine: ask for a loopback address"))
			return
		}
		r.Body = http.MaxBytesReader(w, r.Body, maxOrder)
		mux.ServeHTTP(w, r)
	})
}

func answer(w http.ResponseWriter, v any) {
	w.Header().Set("content-type", "application/json")
	_ = json.NewEncoder(w).Encode(v)
}

func refuse(w http.ResponseWriter, status int, err error) {
	w.Header().Set("content-type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(map[string]string{"error": err.Error()})
}

// order reads a body of T, strictly, and acts on it.
func order[T any](act func(T) error) func(*http.Request) error {
	return func(r *http.Request) error {
		if media, _, _ := strings.Cut(r.Header.Get("Content-Type"), ";"); media != "application/json" {
			return errors.New("send the order with Content-Type: application/json")
		}
		var o T
		d := json.NewDecoder(r.Body)
		d.DisallowUnknownFields()
		if err := d.Decode(&o); err != nil {
			return fmt.Errorf("read the order: %w", err)
		}
		return act(o)
	}
}

type vendorOrder struct {
	Vendor string `json:"vendor"`
}

type faultOrder struct {
	Vendor string   `json:"vendor"`
	Fault  string   `json:"fault"`
	Times  int      `json:"times"`       // 0 = until heal
	Retry  int      `json:"retry_after"` // seconds
	Delay  int      `json:"delay_ms"`
	Tokens []string `json:"tokens"`
}

func (v *Vendors) orderFault(o faultOrder) error {
	d := Disturbance{
		Vendor: o.Vendor, Fault: o.Fault, Times: o.Times, Tokens: o.Tokens,
		RetryAfter: time.Duration(o.Retry) * time.Second, Delay: time.Duration(o.Delay) * time.Millisecond,
	}
	switch {
	case o.Times < 0 || o.Times > maxTimes:
		return fmt.Errorf("times: %d, want 0 (until heal) to %d", o.Times, maxTimes)
	case d.RetryAfter < 0 || d.RetryAfter > maxFor:
		return fmt.Errorf("retry_after: %d, want 0 to %d seconds", o.Retry, int(maxFor.Seconds()))
	case d.Delay < 0 || d.Delay > maxFor:
		return fmt.Errorf("delay_ms: %d, want 0 to %d", o.Delay, maxFor.Milliseconds())
	}
	return v.Disturb(d)
}

type deviceOrder struct {
	Vendor string `json:"vendor"`
	Token  string `json:"token"`
	State  string `json:"state"`
}

func (v *Vendors) orderDevice(o deviceOrder) error {
	s, err := v.station(o.Vendor)
	if err != nil {
		return err
	}
	if o.Token == "" || len(o.Token) > 4096 {
		return errors.New("token: want 1 to 4096 bytes")
	}
	if o.State == "dead" {
		s.dead(o.Token)
	} else if put, ok := s.states[o.State]; ok {
		put(o.Token)
	} else {
		known := append(slices.Sorted(maps.Keys(s.states)), "dead")
		return fmt.Errorf("%s has no state %q; known are %s", o.Vendor, o.State, strings.Join(known, ", "))
	}
	v.log.put(o.Vendor, o.Token, o.State)
	return nil
}

type rateOrder struct {
	Vendor    string `json:"vendor"`
	PerSecond *int   `json:"per_second"` // 0 = no bound
}

func (v *Vendors) orderRate(o rateOrder) error {
	s, err := v.station(o.Vendor)
	if err != nil {
		return err
	}
	if o.PerSecond == nil || *o.PerSecond < 0 || *o.PerSecond > maxTimes {
		return fmt.Errorf("per_second: want 0 (no bound) to %d", maxTimes)
	}
	s.server.SetRate(*o.PerSecond)
	return nil
}

type certificateOrder struct {
	Vendor string `json:"vendor"`
	Kind   string `json:"kind"`
}

func (v *Vendors) orderCertificate(o certificateOrder) error {
	s, err := v.station(o.Vendor)
	if err != nil {
		return err
	}
	cert, err := v.certificate(o.Kind)
	if err != nil {
		return err
	}
	s.server.SetCert(cert)
	return nil
}

type fakeView struct {
	Vendor string   `json:"vendor"`
	Name   string   `json:"name"`
	URL    string   `json:"url"`
	Pushes int64    `json:"pushes"` // taken since the start
	Faults []string `json:"faults"`
	States []string `json:"states"`
}

func (v *Vendors) listFakes(w http.ResponseWriter, _ *http.Request) {
	views := []fakeView{}
	for _, s := range v.stations {
		views = append(views, fakeView{
			Vendor: s.vendor, Name: Name(s.vendor), URL: s.url, Pushes: v.log.count(s.vendor),
			Faults: s.known(), States: append(slices.Sorted(maps.Keys(s.states)), "dead"),
		})
	}
	answer(w, map[string]any{"fakes": views})
}

func (v *Vendors) listPushes(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	after, err := strconv.ParseInt(q.Get("after"), 10, 64)
	if q.Get("after") == "" {
		after, err = 0, nil
	}
	if err != nil {
		refuse(w, http.StatusBadRequest, fmt.Errorf("after: %q is no number of a push", q.Get("after")))
		return
	}
	answer(w, map[string]any{"pushes": v.log.since(after, q.Get("vendor"), q.Get("token"))})
}

func (v *Vendors) listDevices(w http.ResponseWriter, r *http.Request) {
	answer(w, map[string]any{"devices": v.log.devices(r.URL.Query().Get("vendor"))})
}
