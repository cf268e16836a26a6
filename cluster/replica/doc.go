// Package replica keeps the replicated logs of a node's groups: each shard and
// the meta group is one Raft group, and all groups of a node share one loop, one
// writer and one store.
package replica

import _ "go.etcd.io/raft/v3"
