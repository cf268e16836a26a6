package roster

import (
	"context"

	"github.com/rouse-im/rouse/storage"
)

// Propose writes an entry of the meta group if this node still leads it as it
// did when the Update began, and calls done when it is applied, or will not be
// or may not be.
type Propose func(ms []storage.Mutation, done func(error))

// Update makes one change: build answers it for the present state, and propose
// writes it. Changes of one node take turns, so that build sees what those
// before it have done. Without mutations nothing is written. When ctx ends
// first, the change may yet happen.
func (r *Roster) Update(ctx context.Context, propose Propose, build func(*View) ([]storage.Mutation, error)) error {
	select {
	case r.turn <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	ms, err := build(r.View())
	if err != nil || len(ms) == 0 {
		<-r.turn
		return err
	}
	written := make(chan error, 1)
	propose(ms, func(err error) {
		<-r.turn
		written <- err
	})
	select {
	case err := <-written:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
