// Package plan says how large a cluster must be for a number of devices, from
// what events cost and how often they come. All of its numbers have a source:
// they were measured, counted in a scenario, or assumed; docs/capacity.md has them.
package plan

import "math"

// Load of one device.
type Load struct {
	// PerDay and device: events of streams (presence, fetched, read), calls (bind,
	// unbind, settings), decisions (one for each message and recipient) and pushes.
	Stream, Calls, Decisions, Pushes float64
	// Peak is the busiest hour's rate, divided by the mean.
	Peak float64
	// Storm is the share of devices that come back within a minute when their IM
	// nodes die, with two events each, at the peak.
	Storm float64
}

// Costs in CPU seconds of all nodes, bytes and seconds.
type Costs struct {
	Stream, Call, Decision, Push float64
	// Replicas of each fact, and what they make of the CPU of one.
	Replicas  float64
	Replicate float64
	// Idle CPUs of a node that does nothing.
	Idle float64
	// Base memory of a node, and memory of a device whose user is active.
	Base, Active float64
	// Device and Outcome on disk, once; KeptDays is how long outcomes are kept.
	Device, Outcome, KeptDays float64
	// DiskSlack for compactions and growth.
	DiskSlack float64
	// PerConnection is how many pushes a second one connection to a vendor carries.
	PerConnection float64
}

// Machine of one node.
type Machine struct {
	CPUs, Memory, Disk float64
	// Busy is how much of each may be used at the peak.
	Busy float64
}

// CityDay is the load of the scenario city-day, counted: 3,000 people, 4,950
// devices, a Monday. Pushes are those that vendors took in the run of docs/capacity.md.
var CityDay = Load{Stream: 64, Calls: 1.2, Decisions: 19.5, Pushes: 13, Peak: 1.75, Storm: 0.1}

// Measured costs; docs/capacity.md says how.
var Measured = Costs{
	Stream: 80e-6, Call: 250e-6, Decision: 100e-6, Push: 80e-6, Replicas: 3, Replicate: 2, Idle: 0.05,
	Base: 512 << 20, Active: 5 << 10, Device: 1 << 10, Outcome: 1700, KeptDays: 7, DiskSlack: 1.3, PerConnection: 15_000,
}

// Usual is a machine as clouds rent them: 16 CPUs, 64 GiB, 1 TiB of SSD.
var Usual = Machine{CPUs: 16, Memory: 64 << 30, Disk: 1 << 40, Busy: 0.5}

// Clusters are tuned for a few dozen nodes; more devices need several clusters.
const maxNodes = 48

// Plan for a number of devices.
type Plan struct {
	Devices float64
	// Events, Decisions and Pushes a second at the peak.
	Events, Decisions, Pushes float64
	// CPUs (with a storm), Memory and Disk of all nodes together.
	CPUs, Memory, Disk float64
	// Nodes in Clusters of about the same size, and what needs most of them.
	Nodes, Clusters int
	For             string
	// Connections to all vendors together.
	Connections int
}

const day = 86_400

// CPU seconds that a number of events costs on all nodes together.
func (c Costs) CPU(nodes, stream, calls, decisions, pushes float64) float64 {
	one := stream*c.Stream + calls*c.Call + decisions*c.Decision + pushes*c.Push
	if nodes < c.Replicas {
		return one
	}
	return one * c.Replicate
}

// For devices with a load on machines.
func For(devices float64, l Load, c Costs, m Machine) Plan {
	rate := func(perDay float64) float64 { return devices * perDay * l.Peak / day }
	p := Plan{Devices: devices, Events: rate(l.Stream + l.Calls), Decisions: rate(l.Decisions), Pushes: rate(l.Pushes)}
	busy := c.CPU(c.Replicas, rate(l.Stream), rate(l.Calls), rate(l.Decisions), rate(l.Pushes))
	busy += c.CPU(c.Replicas, 2*l.Storm*devices/60, 0, 0, 0)
	memory := devices * c.Active
	p.Disk = devices * c.Replicas * c.DiskSlack * (c.Device + c.Outcome*c.KeptDays*l.Decisions)
	needs := []struct {
		nodes float64
		what  string
	}{
		{c.Replicas, "replicas"}, {1 + busy/(m.CPUs*m.Busy-c.Idle), "CPU"}, {1 + memory/(m.Memory*m.Busy-c.Base), "memory"}, {1 + p.Disk/m.Disk, "disk"},
	}
	for _, n := range needs {
		if nodes := int(math.Ceil(n.nodes)); nodes > p.Nodes {
			p.Nodes, p.For = nodes, n.what
		}
	}
	p.Clusters = int(math.Ceil(float64(p.Nodes) / maxNodes))
	p.CPUs, p.Memory = busy+float64(p.Nodes)*c.Idle, memory+float64(p.Nodes)*c.Base
	// Each node has a connection for each of nine credentials at least.
	const credentials = 9
	p.Connections = max(p.Nodes*credentials, int(math.Ceil(p.Pushes/c.PerConnection)))
	return p
}
