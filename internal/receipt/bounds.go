package receipt

import "context"

// Bounds of the node. One credential may take a quarter of each, so that a flood
// at one address leaves room at the others.
const (
	maxRequests = 64  // being read and worked on, of at most maxBody each
	maxReceipts = 256 // on their way to users; each takes a place in a mailbox
)

// bounds counts requests and receipts under way.
type bounds struct{ requests, receipts chan struct{} }

func newBounds(requests, receipts int) bounds {
	return bounds{make(chan struct{}, requests), make(chan struct{}, receipts)}
}

// enter takes room for a request, or returns nil at once when there is none.
func enter(all ...bounds) (leave func()) {
	for i, b := range all {
		select {
		case b.requests <- struct{}{}:
		default:
			release(all[:i])
			return nil
		}
	}
	return func() { release(all) }
}

func release(all []bounds) {
	for _, b := range all {
		<-b.requests
	}
}

// take waits for room for a receipt; false = ctx ended first.
func (b bounds) take(ctx context.Context) bool {
	select {
	case b.receipts <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (b bounds) give() { <-b.receipts }
