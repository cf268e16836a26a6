package replica

import (
	"errors"
	"fmt"
	"slices"

	pb "go.etcd.io/raft/v3/raftpb"

	"github.com/rouse-im/rouse/storage"
)

// Survivor is a replica as a node has it on disk, after the others were lost.
type Survivor struct {
	Group uint16
	// Voters are those of the last known configuration, ascending.
	Voters []uint64
	// Learner is set for a replica that did not vote: it may lack more.
	Learner bool
	// Applied is where the state stands, Last the end of the log. What is above
	// may have been acknowledged or not; what others had above Last is lost.
	Applied, Last uint64
	// Lacks is up to where the log is known to have been once; 0 = no further than Last.
	Lacks uint64
}

// Survivors reads the replicas of a store that no engine has open.
func Survivors(s *storage.Store, self uint64) ([]Survivor, error) {
	ids, err := s.Replicas()
	if err != nil {
		return nil, err
	}
	var all []Survivor
	for _, id := range ids {
		r, err := readRemains(s, id)
		if err != nil {
			return nil, err
		}
		voters := slices.Concat(r.conf.GetVoters(), r.conf.GetVotersOutgoing())
		slices.Sort(voters)
		all = append(all, Survivor{
			Group: id, Voters: slices.Compact(voters), Learner: !slices.Contains(voters, self), Applied: r.applied.index, Last: r.last().index,
			Lacks: r.lacks(),
		})
	}
	return all, nil
}

// Survive makes self the only voter of a group of a store that no engine has
// open, and applies the whole log that it has, committed or not. It may be
// repeated. The other former voters must never come back to this cluster: they
// may have another end of the log.
func Survive(s *storage.Store, group uint16, self uint64) error {
	r, err := readRemains(s, group)
	if err != nil {
		return err
	}
	batch, last := s.NewBatch(), r.last()
	for _, x := range r.records {
		if isData(x) && x.GetIndex() > r.applied.index {
			if err := batch.Apply(group, x.GetData()); err != nil {
				return err
			}
		}
	}
	batch.DeleteLogs(group, 0, last.index+1)
	hard := hardState{term: max(r.hard.term, last.term) + 1, commit: last.index}
	batch.SetState(group, storage.HardState, hard.append(nil))
	batch.SetState(group, storage.ConfState, appendConf(nil, &pb.ConfState{Voters: []uint64{self}}))
	batch.SetState(group, storage.TruncatedState, last.append(nil))
	batch.SetState(group, storage.AppliedState, last.append(nil))
	return batch.Commit(true)
}

// remains are what a store has of a replica.
type remains struct {
	hard    hardState
	conf    *pb.ConfState
	applied position
	records []*pb.Entry
}

func (r *remains) last() position {
	if n := len(r.records); n > 0 {
		if end := at(r.records[n-1]); end.index > r.applied.index {
			return end
		}
	}
	return r.applied
}

// lacks tells of entries that this replica had acknowledged and has lost, if it knows.
func (r *remains) lacks() uint64 {
	if c := r.hard.commit; c > r.last().index {
		return c
	}
	return 0
}

func readRemains(s *storage.Store, group uint16) (*remains, error) {
	r := &remains{conf: &pb.ConfState{}}
	for kind, read := range map[storage.StateKind]func([]byte) (err error){
		storage.HardState:    func(b []byte) (err error) { r.hard, err = readHardState(b); return },
		storage.AppliedState: func(b []byte) (err error) { r.applied, err = readPosition(b); return },
		storage.ConfState:    func(b []byte) (err error) { r.conf, err = readConf(b); return },
	} {
		b, err := s.State(group, kind)
		if err == nil {
			err = read(b)
		}
		if err != nil && !errors.Is(err, storage.ErrNotFound) {
			return nil, fmt.Errorf("replica: group %d: %w", group, err)
		}
	}
	records, err := recordsOf(s, group)
	if err != nil {
		return nil, fmt.Errorf("replica: group %d: %w", group, err)
	}
	r.records = records
	return r, nil
}

// AppliedIn returns the index of the entry up to which a view has a group; 0 for
// a group that has no replica.
func AppliedIn(v *storage.View, group uint16) (uint64, error) {
	b, err := v.State(group, storage.AppliedState)
	if errors.Is(err, storage.ErrNotFound) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	p, err := readPosition(b)
	return p.index, err
}
