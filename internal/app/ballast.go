package app

import (
	"os"
	"sync"
)

// ballastBytes keep the garbage collector from running for each few megabytes
// of a small heap, which would cost a sixth of the processor under load. The
// memory is never touched, so it is address space and not resident; what it
// costs is up to as much garbage between two collections.
const ballastBytes = 128 << 20

var ballast []byte //nolint:unused // held, never read

// loadBallast is left out when the operator tunes the collector himself.
var loadBallast = sync.OnceFunc(func() {
	if os.Getenv("GOGC") == "" && os.Getenv("GOMEMLIMIT") == "" {
		ballast = make([]byte, ballastBytes)
	}
})
