package simulations

import (
	"fmt"
	"slices"
	"time"
)

// FaultKind names what breaks.
type FaultKind string

// Faults of nodes and their network. Those with a For end by themselves.
const (
	Kill      FaultKind = "kill"       // the process dies, and starts again after For
	Pause     FaultKind = "pause"      // the process stands still for For
	PowerLoss FaultKind = "power-loss" // kill; what was not synced is gone
	Partition FaultKind = "partition"  // Nodes are cut off from the others for For
	OneWay    FaultKind = "one-way"    // Nodes hear the others and are not heard
	Bridge    FaultKind = "bridge"     // Nodes do not hear each other for For; all others hear all
	Clog      FaultKind = "clog"       // links of Nodes pass nothing and lose nothing for For
	Latency   FaultKind = "latency"    // links of Nodes take Delay longer
	Loss      FaultKind = "loss"       // links of Nodes lose Rate of what they carry
	DiskError FaultKind = "disk-error" // syncs of Nodes fail
	DiskSlow  FaultKind = "disk-slow"  // syncs of Nodes take Delay longer
	ClockJump FaultKind = "clock-jump" // the wall clock of Nodes jumps by Delay, which may be negative
	Drain     FaultKind = "drain"      // Nodes leave in order, and come back after For
	// Faults of vendors.
	VendorDown     FaultKind = "vendor-down"     // answers 5xx
	VendorThrottle FaultKind = "vendor-throttle" // answers "too many", with RetryAfter = Delay
	VendorSlow     FaultKind = "vendor-slow"     // answers after Delay
	VendorCut      FaultKind = "vendor-cut"      // takes Rate of the pushes and answers none of them
	VendorHang     FaultKind = "vendor-hang"     // takes nothing, answers nothing
	VendorRefuse   FaultKind = "vendor-refuse"   // says that the contents of pushes are wrong
	VendorExpire   FaultKind = "vendor-expire"   // access tokens given so far end, once
)

// traits of each kind: what its fault must and may have.
var traits = map[FaultKind]struct{ node, ends, delay, rate bool }{
	Kill:           {node: true, ends: true},
	Pause:          {node: true, ends: true},
	PowerLoss:      {node: true, ends: true},
	Partition:      {node: true, ends: true},
	OneWay:         {node: true, ends: true},
	Bridge:         {node: true, ends: true},
	Clog:           {node: true, ends: true},
	Latency:        {node: true, ends: true, delay: true},
	Loss:           {node: true, ends: true, rate: true},
	DiskError:      {node: true, ends: true},
	DiskSlow:       {node: true, ends: true, delay: true},
	ClockJump:      {node: true, delay: true},
	Drain:          {node: true, ends: true},
	VendorDown:     {ends: true},
	VendorThrottle: {ends: true, delay: true},
	VendorSlow:     {ends: true, delay: true},
	VendorCut:      {ends: true, rate: true},
	VendorHang:     {ends: true},
	VendorRefuse:   {ends: true},
	VendorExpire:   {},
}

// FaultKinds lists all kinds, sorted.
func FaultKinds() []FaultKind {
	var all []FaultKind
	for k := range traits {
		all = append(all, k)
	}
	slices.Sort(all)
	return all
}

// Fault of nodes or of a vendor.
type Fault struct {
	N    uint64    `json:"n"` // numbers the faults of a run from 1 on
	At   Offset    `json:"at"`
	Kind FaultKind `json:"kind"`
	// For is how long it lasts, in milliseconds; 0 = it is over at once.
	For Offset `json:"for,omitempty"`
	// Nodes counts from 0; an engine with fewer nodes takes them modulo their number.
	Nodes  []int  `json:"nodes,omitempty"`
	Vendor string `json:"vendor,omitempty"` // "apns", …
	// Delay in milliseconds: latency, retry-after, or how far a clock jumps.
	Delay Offset `json:"delay,omitempty"`
	// Rate of what is hit, 0 to 1.
	Rate float64 `json:"rate,omitempty"`
}

// Validate says what is missing or too much.
func (f *Fault) Validate() error {
	t, ok := traits[f.Kind]
	switch {
	case !ok:
		return fmt.Errorf("there is no fault %q; known are %v", f.Kind, FaultKinds())
	case f.At < 0:
		return fmt.Errorf("fault %s at %v: it must not begin before the scenario", f.Kind, f.At.Duration())
	case t.node && (len(f.Nodes) == 0 || f.Vendor != ""):
		return fmt.Errorf("fault %s at %v: name its nodes, and no vendor", f.Kind, f.At.Duration())
	case !t.node && (len(f.Nodes) > 0 || f.Vendor == ""):
		return fmt.Errorf("fault %s at %v: name its vendor, and no nodes", f.Kind, f.At.Duration())
	case t.ends != (f.For > 0):
		return fmt.Errorf("fault %s at %v: for is %v; it must be more than 0 for faults that last, and 0 for others", f.Kind, f.At.Duration(), f.For.Duration())
	case f.For > At(365*24*time.Hour):
		return fmt.Errorf("fault %s at %v: it lasts longer than a year", f.Kind, f.At.Duration())
	case t.delay != (f.Delay != 0):
		return fmt.Errorf("fault %s at %v: delay is %v; latency, throttling, slowness and clock jumps have one, others none", f.Kind, f.At.Duration(), f.Delay.Duration())
	case f.Delay < 0 && f.Kind != ClockJump:
		return fmt.Errorf("fault %s at %v: only clocks go back", f.Kind, f.At.Duration())
	case t.rate != (f.Rate > 0) || f.Rate > 1:
		return fmt.Errorf("fault %s at %v: rate is %g; loss and cuts have one up to 1, others none", f.Kind, f.At.Duration(), f.Rate)
	}
	for _, n := range f.Nodes {
		if n < 0 {
			return fmt.Errorf("fault %s at %v: there is no node %d", f.Kind, f.At.Duration(), n)
		}
	}
	return nil
}
