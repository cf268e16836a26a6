package placement

import "github.com/rouse-im/rouse/cluster/replica"

// StatusOf is what a leader's replica tells, as Next takes it. The size is not
// known to replicas.
func StatusOf(s replica.Status) Status {
	progress := make(map[uint64]Progress, len(s.Peers))
	for _, p := range s.Peers {
		progress[p.ID] = Progress{Match: p.Match, Snapshot: p.Snapshot}
	}
	return Status{
		Term: s.Term, Commit: s.Commit, Progress: progress,
		Conf: Configuration{Voters: s.Voters, Learners: s.Learners, Outgoing: s.Outgoing},
	}
}
