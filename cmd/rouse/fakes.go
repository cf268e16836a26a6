package main

import (
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"google.golang.org/protobuf/encoding/protojson"

	"github.com/rouse-im/rouse/internal/demo"
)

type serveFakesVerb struct {
	Listen  string        `help:"Loopback address of the first fake; the others take the ports after it. Port 0: free ports." default:"127.0.0.1:7710" placeholder:"ADDRESS"`
	Control string        `help:"Loopback address of the control API, which changes the fakes while they serve and lists what they got. Port 0: a free port." default:"127.0.0.1:7709" placeholder:"ADDRESS"`
	Dir     string        `help:"Where the certificate of their authority and the credentials are written." default:"rouse-fakes" placeholder:"DIR"`
	Latency time.Duration `help:"How much later the vendors answer." placeholder:"50ms"`
	Fault   []string      `help:"Failure of a vendor for the next pushes: VENDOR=FAULT[:TIMES]; without TIMES for ever. VENDOR is like apns, fcm or huawei; FAULT is 429, 429-device, 500, cut, hang, reset, page, half-json or expired, as far as the vendor has it; a wrong one is answered with all. May be given several times." placeholder:"FAULT" sep:"none"`
}

// Help teaches by example.
func (*serveFakesVerb) Help() string {
	return `Each checks what it gets as strictly as its vendor does, and takes any token of its vendor's form; quotas are left out.

Examples:

    rouse serve-fakes
    rouse serve-fakes --latency 50ms --fault apns=500:30 --fault huawei=429:5

The control API takes and answers JSON (docs/vendors/fakes.md):

    curl -s localhost:7709/v1/fakes
    curl -s 'localhost:7709/v1/pushes?vendor=vivo&after=0'
    curl -s localhost:7709/v1/faults -H content-type:application/json -d '{"vendor":"vivo","fault":"429","times":10,"retry_after":2}'
    curl -s localhost:7709/v1/devices -H content-type:application/json -d '{"vendor":"fcm","token":"any-token","state":"dead"}'
    curl -s localhost:7709/v1/rate -H content-type:application/json -d '{"vendor":"honor","per_second":50}'`
}

// shown bounds the pushes that wait to be written; more are counted only.
const shown = 1024

// kept is how many pushes the control API can list.
const kept = 1000

// Run serves until it is interrupted.
func (v *serveFakesVerb) Run(c *call) error {
	pushes := make(chan demo.Pushed, shown)
	fakes, err := demo.StartVendors(demo.VendorsOptions{Listen: v.Listen, Keep: kept, Pushed: func(p demo.Pushed) {
		select {
		case pushes <- p:
		default: // the terminal is slower than the vendor
		}
	}})
	if err != nil {
		return fmt.Errorf("%w; is the port in use? choose others with --listen", err)
	}
	defer fakes.Close()
	for _, f := range v.Fault {
		if err := disturb(fakes, f); err != nil {
			return fmt.Errorf("--fault %s: %w", f, err)
		}
	}
	if v.Latency > 0 {
		fakes.Delay(v.Latency)
	}
	control, failed, err := v.serveControl(fakes)
	if err != nil {
		return fmt.Errorf("%w; choose another address with --control", err)
	}
	defer func() { _ = control.Close() }()
	if err := v.write(c, fakes, control.Addr); err != nil {
		return err
	}
	for {
		select {
		case p := <-pushes:
			badge := "-"
			if p.Badge >= 0 {
				badge = strconv.Itoa(p.Badge)
			}
			err = c.say("%s  %-9s  token …%s  badge %s  message %s  push %s", time.Now().Format(time.TimeOnly), demo.Name(p.Vendor), tail(p.Token), badge, p.Message, p.ID)
		case err = <-fakes.Failed():
		case err = <-failed:
		case <-c.ctx.Done():
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// serveControl answers the control API until it is closed.
func (v *serveFakesVerb) serveControl(fakes *demo.Vendors) (*http.Server, <-chan error, error) {
	host, _, err := net.SplitHostPort(v.Control)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		return nil, nil, fmt.Errorf("--control %q is no loopback address; write one like 127.0.0.1:7709", v.Control)
	}
	l, err := net.Listen("tcp", v.Control)
	if err != nil {
		return nil, nil, err
	}
	server := &http.Server{
		Addr: l.Addr().String(), Handler: fakes.Control(),
		ReadTimeout: 10 * time.Second, WriteTimeout: 10 * time.Second, MaxHeaderBytes: 16 << 10,
	}
	failed := make(chan error, 1)
	go func() { failed <- server.Serve(l) }()
	return server, failed, nil
}

// disturb reads VENDOR=FAULT[:TIMES].
func disturb(fakes *demo.Vendors, text string) error {
	vendor, rest, ok := strings.Cut(text, "=")
	if !ok {
		return errors.New("write VENDOR=FAULT or VENDOR=FAULT:TIMES, like apns=500:30")
	}
	fault, count, counted := strings.Cut(rest, ":")
	times := 0
	if counted {
		var err error
		if times, err = strconv.Atoi(count); err != nil || times < 1 {
			return fmt.Errorf("%q is no number of pushes; write one from 1 on", count)
		}
	}
	return fakes.Disturb(demo.Disturbance{Vendor: vendor, Fault: fault, Times: times, RetryAfter: time.Second})
}

// write makes the files and says what to do with them.
func (v *serveFakesVerb) write(c *call, fakes *demo.Vendors, control string) error {
	if err := os.MkdirAll(v.Dir, 0o700); err != nil {
		return err
	}
	ca := filepath.Join(v.Dir, "ca.pem")
	if err := os.WriteFile(ca, fakes.CAPEM, 0o600); err != nil {
		return err
	}
	var text strings.Builder
	for _, f := range fakes.Served() {
		fmt.Fprintf(&text, "fake %-9s  %s\n", f.Name, f.URL)
	}
	fmt.Fprintf(&text, "authority       %s\ncontrol         http://%s\n\nWith a server running, in another terminal:\n\n  rouse app create chat\n", ca, control)
	for _, k := range fakes.Credentials() {
		body, err := protojson.MarshalOptions{Multiline: true}.Marshal(k)
		if err != nil {
			return err
		}
		path := filepath.Join(v.Dir, k.GetName()+".json")
		if err := os.WriteFile(path, body, 0o600); err != nil {
			return err
		}
		fmt.Fprintf(&text, "  rouse credential put --app chat %s\n", path)
	}
	return c.say("%s", text.String()+`  rouse bind --app chat ann phone android any-token
  rouse send --app chat ann --from bob --body "Are you there?" --wait

Pushes will be shown here.`)
}

func tail(token string) string { return token[max(0, len(token)-6):] }
