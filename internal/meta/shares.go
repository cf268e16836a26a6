package meta

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"time"

	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	"github.com/rouse-im/rouse/internal/quota"
)

const (
	// shareEvery is how often shares are renewed, and how soon there may be lanes
	// where there were none; shareSoon is how soon after a failure.
	shareEvery = time.Second
	shareSoon  = 200 * time.Millisecond
	// shareTime bounds one question; after that the next one is of more use.
	shareTime = 2 * time.Second
)

// SharedLane is a lane of this node whose rate is shared.
type SharedLane struct {
	Key quota.Key
	// Demand is what it would send in a second without a limit.
	Demand float64
	// Set gives it its part of the rate; it must not block.
	Set func(perSecond float64, until time.Time)
}

// Shares renews the shares of a node's lanes with the leader of the meta group.
type Shares struct {
	Asker *Asker
	// Node is the node's Raft id.
	Node uint64
	// Lanes are those with a rate, each account once.
	Lanes func(now time.Time) []SharedLane
	// Pace is how many times less often they are renewed; 0 = 1. It is for simulations
	// of days, in which the leader's leases are as many times longer.
	Pace int
	// Now is the clock of the lanes.
	Now    func() time.Time
	Logger *slog.Logger
}

// Run renews until ctx ends; what the lanes hold then runs out.
func (s *Shares) Run(ctx context.Context) {
	holder := quota.NewHolder(s.Node, rand.Uint64()) //nolint:gosec // not a secret
	failed := false
	for {
		next := time.Now().Add(shareEvery)
		lanes := s.Lanes(s.Now())
		if len(lanes) > 0 {
			next = time.Now().Add(time.Duration(max(1, s.Pace)) * shareEvery)
		}
		err := s.renew(ctx, holder, lanes)
		if err != nil {
			next = time.Now().Add(shareSoon)
		}
		if (err != nil) != failed && ctx.Err() == nil {
			failed = !failed
			if failed {
				s.Logger.Warn("shares of rates cannot be renewed; lanes with a rate pause in some seconds", "error", err)
			} else {
				s.Logger.Info("shares of rates are renewed again")
			}
		}
		if !sleep(ctx, time.Until(next)) {
			return
		}
	}
}

// renew asks once and gives the lanes what was granted.
func (s *Shares) renew(ctx context.Context, holder *quota.Holder, lanes []SharedLane) error {
	now := s.Now()
	if len(lanes) == 0 {
		return nil
	}
	demand := make(map[quota.Key]uint64, len(lanes))
	for _, l := range lanes {
		demand[l.Key] = uint64(min(max(l.Demand, 0), 1e9) * 1000)
	}
	ctx, cancel := context.WithTimeout(ctx, shareTime)
	defer cancel()
	answer, err := s.Asker.Ask(ctx, &actorv1.MetaAsk{Body: &actorv1.MetaAsk_Shares{Shares: requestOf(holder.Ask(demand, now))}})
	if err != nil {
		return err
	}
	m := answer.GetShares()
	grants := make([]quota.Grant, 0, len(m.GetShares()))
	for _, g := range m.GetShares() {
		grants = append(grants, quota.Grant{Key: keyOf(g.GetAccount()), Rate: g.GetRate()})
	}
	if !holder.Take(m.GetRun(), m.GetSeq(), m.GetEpoch(), time.Duration(m.GetLeaseMs())*time.Millisecond, grants) {
		return errSuperseded
	}
	for _, l := range lanes {
		if held := holder.Held(l.Key); !held.Until.IsZero() {
			l.Set(float64(held.Rate)/1000, held.Until)
		}
	}
	return nil
}

func requestOf(q quota.Question) *actorv1.ShareRequest {
	m := &actorv1.ShareRequest{Node: q.Node, Run: q.Run, Seq: q.Seq, Epoch: q.Epoch}
	for _, w := range q.Wishes {
		m.Wishes = append(m.Wishes, &actorv1.ShareWish{Account: accountOf(w.Key), Demand: w.Demand, Holds: w.Holds})
	}
	return m
}
