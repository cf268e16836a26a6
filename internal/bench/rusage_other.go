//go:build !unix

package bench

import "time"

// cpu is unknown here: costs are printed as 0.
func cpu() time.Duration { return 0 }

func cpuOfAll() time.Duration { return 0 }
