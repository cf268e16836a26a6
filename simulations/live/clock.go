package live

import (
	"time"

	"github.com/rouse-im/rouse/simulations"
)

// pace turns times of life into times of the run.
type pace struct{ speed float64 }

// at is when something of the scenario comes in the run.
func (p pace) at(o simulations.Offset) simulations.Offset {
	return simulations.Offset(float64(o) / p.speed)
}

// shortest is how long a fault lasts at least, unless it is shorter in life: an
// engine whose clocks run as ever needs that long to show what it does then.
const shortest = 5 * time.Second

// lasting is how long a fault lasts in the run.
func (p pace) lasting(life simulations.Offset) simulations.Offset {
	return max(p.at(life), min(life, simulations.At(shortest)))
}

// event as it happens in the run; it shares the lists of e.
func (p pace) event(e *simulations.Event) *simulations.Event {
	c := *e
	c.At = p.at(e.At)
	return &c
}

// fault as it happens in the run.
func (p pace) fault(f simulations.Fault) simulations.Fault {
	f.At, f.For = p.at(f.At), p.lasting(f.For)
	return f
}
