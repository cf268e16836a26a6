package app

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/rouse-im/rouse/actors"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/cluster/replica"
	"github.com/rouse-im/rouse/internal/backup"
	"github.com/rouse-im/rouse/internal/steward"
)

const (
	// fetchTime is how long a backup waits for a node that leads a group, and has
	// time for it.
	fetchTime  = 20 * time.Second
	fetchPause = 250 * time.Millisecond
)

// backup writes an archive of all groups, each from the node that leads it.
func (n *Node) backup(ctx context.Context, w io.Writer) error {
	from := &gathering{n: n}
	_, err := backup.Write(w, n.store, backup.Options{
		Seal: backup.Fingerprint(n.ring), Now: time.Now(),
		Fetch: func(group uint16) (*replica.Fetched, error) { return from.fetch(ctx, group) },
	})
	if errors.Is(err, errNoGroup) || errors.Is(err, backup.ErrCut) {
		return &actors.Refusal{Detail: &rousev1.Error{Code: rousev1.ErrorCode_ERROR_CODE_UNAVAILABLE, Temporary: true, Message: err.Error()}}
	}
	return err
}

var errNoGroup = errors.New("no node gives the group away, so there is no backup; look at rouse cluster status, and take it again")

// gathering is a backup that is being taken.
type gathering struct {
	n   *Node
	led map[uint16]uint64 // who leads which group, as all nodes told last
}

// fetch asks the leader of a group for it, until it answers or the time is over;
// nil without an error = this node leads it.
func (g *gathering) fetch(ctx context.Context, group uint16) (*replica.Fetched, error) {
	for began := time.Now(); ; {
		if _, leads := g.n.engine.Leads(group); leads {
			return nil, nil
		}
		err := errors.New("nobody is known to lead it")
		if leader := g.leader(ctx, group); leader != 0 {
			var f *replica.Fetched
			if f, err = g.n.engine.Fetch(ctx, leader, group); err == nil {
				return f, nil
			}
			g.led = nil
		}
		if time.Since(began) > fetchTime || !pause(ctx, fetchPause) {
			return nil, fmt.Errorf("%w: %w", errNoGroup, err)
		}
	}
}

// leader is the other node that leads a group; 0 = none is known.
func (g *gathering) leader(ctx context.Context, group uint16) uint64 {
	if leader, _ := g.n.engine.Leader(group); leader != 0 {
		if leader == g.n.self {
			return 0 // it is not ready yet
		}
		return leader
	}
	if g.led[group] == 0 {
		ctx, cancel := context.WithTimeout(ctx, reportTime)
		defer cancel()
		g.led = steward.Led(g.n.askReports(ctx))
	}
	if leader := g.led[group]; leader != g.n.self {
		return leader
	}
	return 0
}
