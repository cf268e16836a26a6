package main

import (
	"fmt"

	"github.com/rouse-im/rouse/simulations/plan"
)

// size tells what devices need.
func (v *simVerb) size(c *call) error {
	rows := [][]string{}
	for _, devices := range v.Devices {
		if devices < 1 || devices > 1e11 {
			return fmt.Errorf("--devices: %g; 1 to 1e11", devices)
		}
		p := plan.For(devices, plan.CityDay, plan.Measured, plan.Usual)
		nodes := fmt.Sprint(p.Nodes)
		if p.Clusters > 1 {
			nodes += fmt.Sprintf(" in %d clusters", p.Clusters)
		}
		rows = append(rows, []string{
			metric(devices), metric(p.Events) + "/s", metric(p.Decisions) + "/s", metric(p.Pushes) + "/s", nodes, p.For,
			fmt.Sprintf("%.3g", p.CPUs), binary(p.Memory), binary(p.Disk), fmt.Sprint(p.Connections),
		})
	}
	if err := c.table([]string{"DEVICES", "EVENTS", "DECISIONS", "PUSHES", "NODES", "FOR", "CPUS", "MEMORY", "DISK", "VENDOR CONNECTIONS"}, rows); err != nil {
		return err
	}
	m := plan.Usual
	return c.say("At the peak of a day like city-day, three replicas, nodes of %.0f CPUs, %s and %s that are half busy; docs/capacity.md has all assumptions.", m.CPUs, binary(m.Memory), binary(m.Disk))
}

// metric is a number with three digits: 1.25 M.
func metric(v float64) string {
	for _, unit := range []string{"", " k", " M", " G"} {
		if v < 1000 || unit == " G" {
			return fmt.Sprintf("%.3g%s", v, unit)
		}
		v /= 1000
	}
	return ""
}

// binary is a number of bytes.
func binary(v float64) string {
	for _, unit := range []string{"B", "KiB", "MiB", "GiB", "TiB"} {
		if v < 1024 || unit == "TiB" {
			return fmt.Sprintf("%.4g %s", v, unit)
		}
		v /= 1024
	}
	return ""
}
