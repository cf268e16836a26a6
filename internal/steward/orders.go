package steward

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"

	"github.com/rouse-im/rouse/actors"
	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/cluster/roster"
	"github.com/rouse-im/rouse/storage"
)

// Orders executes orders where the meta group is led. Their errors are
// *actors.Refusal, or those of the store: then the order was not executed, or
// that is unknown.
type Orders struct {
	Roster *roster.Roster
	// Leads tells whether this node leads the meta group.
	Leads func() (term uint64, ok bool)
	// Propose writes to the meta group under a term.
	Propose func(term uint64, ms []storage.Mutation, done func(error))
	// Preview is what would move, as placement.Planner tells.
	Preview func(now time.Time) map[uint16]roster.Placement
	// Led tells who leads which group, as far as nodes answer; it ends with ctx.
	Led func(ctx context.Context) map[uint16]uint64
	// Terms of admission.
	Terms  func(now time.Time) roster.Terms
	Logger *slog.Logger
}

// Execute carries out an order that a gateway has admitted, and returns the
// encoded response.
func (o *Orders) Execute(ctx context.Context, call *actorv1.AdminCall) ([]byte, error) {
	if rousev1.Role(call.GetRole()) != rousev1.Role_ROLE_OPERATOR {
		return nil, refuse(rousev1.ErrorCode_ERROR_CODE_PERMISSION_DENIED, "only an operator key may order about a cluster")
	}
	answer, err := o.execute(ctx, call)
	if err != nil {
		return nil, Refusal(err)
	}
	o.Logger.InfoContext(ctx, "cluster order was written", "method", call.GetMethod(), "key", call.GetKeyId())
	return proto.Marshal(answer)
}

func (o *Orders) execute(ctx context.Context, call *actorv1.AdminCall) (proto.Message, error) {
	switch call.GetMethod() {
	case rousev1.ClusterService_DrainNode_FullMethodName:
		r := &rousev1.DrainNodeRequest{}
		id, err := o.about(ctx, call, r, (*roster.View).Drain)
		return &rousev1.DrainNodeResponse{NodeId: id}, err
	case rousev1.ClusterService_UndrainNode_FullMethodName:
		r := &rousev1.UndrainNodeRequest{}
		id, err := o.about(ctx, call, r, (*roster.View).Undrain)
		return &rousev1.UndrainNodeResponse{NodeId: id}, err
	case rousev1.ClusterService_RemoveNode_FullMethodName:
		r := &rousev1.RemoveNodeRequest{}
		id, err := o.about(ctx, call, r, (*roster.View).Remove)
		return &rousev1.RemoveNodeResponse{NodeId: id}, err
	case rousev1.ClusterService_Rebalance_FullMethodName:
		moves := o.Moves(ctx, time.Now())
		err := o.update(ctx, func(v *roster.View) ([]storage.Mutation, error) { return v.Rebalance(), nil })
		return &rousev1.RebalanceResponse{Moves: moves}, err
	}
	return nil, refuse(rousev1.ErrorCode_ERROR_CODE_NOT_FOUND, "the leader of the cluster has no such order; are all nodes of the same version?")
}

// about executes an order about a node.
func (o *Orders) about(ctx context.Context, call *actorv1.AdminCall, r interface {
	proto.Message
	GetNode() string
}, do func(*roster.View, uint64) ([]storage.Mutation, error),
) (id string, err error) {
	if err := proto.Unmarshal(call.GetRequest(), r); err != nil {
		return "", fmt.Errorf("steward: an order from another node cannot be read: %w", err)
	}
	err = o.update(ctx, func(v *roster.View) ([]storage.Mutation, error) {
		m, err := v.Find(r.GetNode())
		if err != nil {
			return nil, err
		}
		id = roster.NodeID(m.GetNode())
		return do(v, m.GetNode())
	})
	return id, err
}

// Admit decides about a node that wants to be a member.
func (o *Orders) Admit(ctx context.Context, a *actorv1.Admit) (*actorv1.Admitted, error) {
	now, cluster := time.Now(), ""
	err := o.update(ctx, func(v *roster.View) ([]storage.Mutation, error) {
		cluster = v.Cluster()
		return v.Admit(a, o.Terms(now), now)
	})
	if err != nil {
		o.Logger.WarnContext(ctx, "a node was not admitted", "error", err)
		return nil, Refusal(err)
	}
	return &actorv1.Admitted{Cluster: cluster}, nil
}

func (o *Orders) update(ctx context.Context, build func(*roster.View) ([]storage.Mutation, error)) error {
	term, leads := o.Leads()
	if !leads {
		return storage.ErrNotLeader
	}
	return o.Roster.Update(ctx, func(ms []storage.Mutation, done func(error)) { o.Propose(term, ms, done) }, build)
}

// Moves are what would move, by group: replicas to where they shall be, and
// leaderships from those who have them.
func (o *Orders) Moves(ctx context.Context, now time.Time) (moves []*rousev1.PlannedMove) {
	after, led, v := o.Preview(now), o.Led(ctx), o.Roster.View()
	for _, group := range slices.Sorted(maps.Keys(v.Placements())) {
		was, _ := v.Placement(group)
		p, changes := after[group]
		if !changes {
			p = was
		}
		m := &rousev1.PlannedMove{
			Group:          uint32(group),
			VotersAddedIds: missing(p.Voters, was.Voters), VotersRemovedIds: missing(was.Voters, p.Voters),
			LearnersAddedIds: missing(p.Learners, was.Learners), LearnersRemovedIds: missing(was.Learners, p.Learners),
		}
		from := cmp.Or(led[group], was.Leader)
		if p.Leader != 0 && p.Leader != from {
			m.LeaderFromId, m.LeaderToId = nodeIDs([]uint64{from})[0], roster.NodeID(p.Leader)
		}
		if m.GetLeaderToId() != "" || !p.SameReplicas(was) {
			moves = append(moves, m)
		}
	}
	return moves
}

// Led is who leads which group, by the reports of all nodes.
func Led(reports map[uint64]*rousev1.NodeReport) map[uint16]uint64 {
	led, terms := make(map[uint16]uint64), make(map[uint16]uint64)
	for node, r := range reports {
		for _, g := range r.GetGroups() {
			if group := uint16(g.GetGroup()); g.GetTerm() > terms[group] {
				led[group], terms[group] = node, g.GetTerm()
			}
		}
	}
	return led
}

func missing(a, b []uint64) []string {
	return nodeIDs(slices.DeleteFunc(slices.Clone(a), func(id uint64) bool { return slices.Contains(b, id) }))
}

func refuse(code rousev1.ErrorCode, text string) error {
	return &actors.Refusal{Detail: &rousev1.Error{Code: code, Message: text, Temporary: code >= rousev1.ErrorCode_ERROR_CODE_OVERLOADED}}
}

// Refusal makes the roster's reasons errors of the contract, and leaves others.
func Refusal(err error) error {
	for _, r := range []struct {
		is   error
		code rousev1.ErrorCode
	}{
		{roster.ErrNotMember, rousev1.ErrorCode_ERROR_CODE_NOT_FOUND},
		{roster.ErrNameTaken, rousev1.ErrorCode_ERROR_CODE_ALREADY_EXISTS},
		{roster.ErrFull, rousev1.ErrorCode_ERROR_CODE_LIMIT_EXCEEDED},
		{roster.ErrNotFounded, rousev1.ErrorCode_ERROR_CODE_UNAVAILABLE},
		{roster.ErrAmbiguous, rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT},
		{roster.ErrInvalid, rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT},
		{roster.ErrLeaving, rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT},
		{roster.ErrLast, rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT},
		{roster.ErrOtherCluster, rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT},
		{roster.ErrOtherShards, rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT},
		{roster.ErrOtherSeal, rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT},
		{roster.ErrOtherStore, rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT},
		{roster.ErrRemoved, rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT},
	} {
		if errors.Is(err, r.is) {
			return refuse(r.code, err.Error())
		}
	}
	return err
}
