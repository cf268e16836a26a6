package fleet

import (
	"errors"
	"sync/atomic"
)

// ErrNoSpaces means that network namespaces cannot be made here.
var ErrNoSpaces = errors.New("no network namespaces")

var serial atomic.Int64

// Link is what one node sends to another, and the share of it that is lost:
// 1 = all, 0 = nothing.
type Link struct {
	From, To int
	Loss     float64
}
