// Package replica keeps the replicated logs of a node's groups: each shard and
// the meta group is one Raft group, and all groups of a node share one loop, one
// writer and one store.
//
// # Goroutines
//
// The loop owns everything about Raft: it steps messages, ticks and proposals
// into the groups, sends what they say, and applies committed entries, unsynced,
// together with the applied index. The writer makes durable what the loop hands
// it, of all groups in one synced batch, and then says what may be said. A quiet
// group costs its tick and nothing else.
//
// # One voter
//
// While this node is the only voter of a group, an entry is committed by being
// durable. The writer then applies it in the batch that makes it durable, and
// there is no log on disk at all: the applied index is the end of the log, and
// recovery takes it for that. From the entry that changes the configuration on,
// entries are records of the log again, until the change is applied and this
// node is the only voter and all records are applied.
//
// # Reads
//
// A leader that was cut off does not know it for up to two election timeouts.
// Confirm asks the voters (Raft's ReadIndex, without a clock): one round is under
// way in a group at a time, and all that come meanwhile share the next one.
//
// # On disk
//
// A record without its predecessor never stands in the log: the truncated index
// is written with the first record of a log, and with each cut. The hard state
// is written with every record, so that a follower that has a second change of
// the configuration also has the commit of the first; a commit index alone is
// not worth a write, and recovery takes the applied index if that is higher.
//
// # Losses
//
// What disks have lost of logs is found out and made good, as far as it can be: see
// lost.go.
//
// # Failure
//
// It is crash-only, as the store is: after a commit that failed, or an entry
// that cannot be read, Options.Fatal is called and nothing more is answered
// with success.
package replica
