// Package storage is a node's durable state: one Pebble store that is written
// in group commits. What Propose acknowledged survives kill -9 and power loss.
//
// # Keys
//
// A key is a family letter, the shard as a big-endian u16, and the family's
// own fields; all integers are big-endian. Shard 0 is the meta group; users
// live in shards 1..Shards.
//
//	e shard day(u16 unix day) app 0 msg 0 user  steps of the decision of a message for a user, expired a day at a time
//	m name                                      node-local: format, node id, shard count
//	u shard app 0 user                          user record
//	u shard 0                                   numbers of the last users' erasures, for a minute
//	o shard due(u64 unix ms) app 0 user 0 msg   outbox: pushes of one message not ended
//	r shard day(u16 unix day) app 0 user 0 msg  outcome record, expired a day at a time
//	s shard app 0 user 0 kind(u8) conversation  settings of a user for one conversation
//	t shard sum(16 bytes)                       owner of a push token
//	w shard app 0 at(u64 unix ms) stage(u8) user 0 msg 0 device 0 notifier
//	                                            event that a webhook is to be told
//	x shard kind(u8) sum(16 bytes)              intent towards another shard, until acknowledged
//	c 0 kind(u8) part 0 part 0 ...              catalogue: apps, credentials, API keys, leases, quotas
//	l group index(u64)                          record of a replicated log; the group is named by its shard
//	g group kind(u8)                            state of a group's replica on this node, see StateKind
//
// Names hold no control characters, so app, user and msg stand in the key as
// they are. To stay injective for any input the builders write byte 0 as 1 1
// and byte 1 as 1 2; order is kept.
//
// # Writes
//
// Propose is the only way to write a key of a shard. Its entries carry
// evaluated mutations and never operations to run again, so they can be
// replicated as they are. By itself the store commits them at once; after
// Replicate it hands them to the replicated log of their shard, whose replica
// brings them back in a Batch. The m family is written while opening only; l
// and g are written by the replica and belong to this node alone.
//
// An Ingest collects a group's keys in tables beside the store and swaps them in
// for all that the store had of the group, in one step.
//
// # Failure
//
// The store is crash-only: when Pebble can no longer write its log the process
// ends, and opening again recovers all that was acknowledged. Writable tells
// the intake to stop before the disk is full.
package storage
