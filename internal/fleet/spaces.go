package fleet

import (
	"errors"
	"sync/atomic"
)

// ErrNoSpaces means that network namespaces cannot be made here.
var ErrNoSpaces = errors.New("no network namespaces")

var serial atomic.Int64
