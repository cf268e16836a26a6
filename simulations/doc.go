// Package simulations replays the churn of phones against whole nodes, and
// checks what must always hold.
package simulations

import (
	_ "github.com/anishathalye/porcupine"
	_ "gonum.org/v1/plot"
	_ "gonum.org/v1/plot/plotter"
	_ "gonum.org/v1/plot/vg/vgsvg"
)
