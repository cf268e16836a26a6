// Package cluster knows which nodes are alive, and brings actor messages to
// them. What it says of the living may be wrong for as long as a failure takes
// to be noticed, about two seconds, and longer behind a partition; who may
// decide about a user is settled by cluster/replica.
//
// Nodes tell each other by hashicorp/memberlist. Its callbacks run under its own
// lock, so they only copy and wake one goroutine, which makes the list of
// members and tells whoever asked to know.
package cluster
