// Package plant holds faults that are put into the engine on purpose, so that
// the tests can be tested: each has a name, and a site where the real mistake
// would be made. They exist only in programs built with the tag plant, which
// read from the environment (ROUSE_PLANT) which one to make; in all others On is
// a constant and the sites cost nothing. make plants runs the tests that must
// find each of them.
package plant

// Name of a fault.
type Name string

// Faults of replication and of shards.
const (
	FenceOff             Name = "fence-off"               // a proposal of a former leadership is taken
	AckBeforeCommit      Name = "ack-before-commit"       // a proposal is answered before most nodes have it
	StandstillUnnoticed  Name = "standstill-unnoticed"    // a node that stood still pushes for users who are led elsewhere by now
	ReadUnconfirmed      Name = "read-unconfirmed"        // a leader answers reads without asking whether it still leads
	BarrierSkipped       Name = "barrier-skipped"         // a leader works before it has applied what came before
	SnapshotWithoutKey   Name = "snapshot-without-a-key"  // some keys are not sent to a new replica
	CommitBeyondLog      Name = "commit-beyond-log"       // a follower believes that entries which it lacks are committed
	VoteForgotten        Name = "vote-forgotten"          // a removed replica forgets how it voted
	LogCutUnderSnapshot  Name = "log-cut-under-snapshot"  // what follows on a snapshot under way is cut off the log
	EpochNotChecked      Name = "epoch-not-checked"       // a step decided before a failed commit is taken
	OutboxNotDispatched  Name = "outbox-not-redispatched" // pushes that a former leader left are not sent
	ClaimNotRepeated     Name = "claim-not-repeated"      // a token's claim that got no answer is given up
	GuessIsFinal         Name = "guess-is-final"          // a claim that reaches a node which does not lead is not passed on
	FormerOwnerKeepsIt   Name = "former-owner-keeps-it"   // a token that another user bound is not taken away
	WebhookBeforeCommit  Name = "webhook-before-commit"   // the webhook is woken before its events are on disk
	LeaseNeverExpires    Name = "lease-never-expires"     // sessions of a dead IM node stay online
	LeaseLostOnFailover  Name = "lease-lost-on-failover"  // a new meta leader ends the leases of living IM nodes
	QuotaLostOnFailover  Name = "quota-lost-on-failover"  // a new meta leader counts the day from zero
	ShareOverGranted     Name = "share-over-granted"      // a rate is given to a node while another may still use it
	GrantOutlivesShare   Name = "grant-outlives-share"    // a node uses its share beyond the end of the lease
	HandOverKeepsPushing Name = "hand-over-keeps-pushing" // a lane keeps the pushes of a shard that is led elsewhere
)

// Faults of users and lanes.
const (
	DoubleCount         Name = "double-count"          // a message raises the offline count by two
	RepeatCountedTwice  Name = "repeat-counted-twice"  // a repeated message is decided again
	LostCancel          Name = "lost-cancel"           // a lane does not withdraw a push that waits
	WithdrawalForgotten Name = "withdrawal-forgotten"  // the next leader does not know that a push in flight was withdrawn
	ReturnCancelsNone   Name = "return-cancels-none"   // pushes go on to a device that is back
	StalePresenceWins   Name = "stale-presence-wins"   // an event that comes late overwrites a later one
	BadgeResetTooEarly  Name = "badge-reset-too-early" // a lost connection resets the count
	RecallIgnored       Name = "recall-ignored"        // a withdrawn message is sent all the same
	ReadNotUncounted    Name = "read-not-uncounted"    // what was read elsewhere stays in the badge
	QuietInUTC          Name = "quiet-window-in-utc"   // quiet windows go by the clock of Greenwich
	MutedGroupPushed    Name = "muted-group-pushed"    // settings of a group are not heeded
	OutcomeDropped      Name = "outcome-dropped"       // a sent push leaves no outcome
	RepeatGetsNewPushID Name = "repeat-gets-new-id"    // a push that is sent again after a restart has another id
	DropTokenOnRefusal  Name = "drop-token-on-refusal" // a push refused for its content costs the token
	RetryAfterTTL       Name = "retry-after-ttl"       // an expired push is sent
	BindingOrderBroken  Name = "binding-order-broken"  // a push that is repeated goes behind later ones to the same device
	CollapseKeepsBoth   Name = "collapse-keeps-both"   // a push does not take the place of the one that it replaces
	RefusedPushRetried  Name = "rejected-push-retried" // what the vendor refused for good is sent again
	NewerTokenDropped   Name = "newer-token-dropped"   // a late verdict on an old token drops the new one
	CommandDoneTwice    Name = "command-done-twice"    // a repeat that comes late undoes what others did since
	TokenLogged         Name = "token-logged"          // a token that its vendor calls invalid gets into the log
)
