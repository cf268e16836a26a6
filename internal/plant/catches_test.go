//go:build plant

package plant_test

// catches say which tests must find which fault.
var catches = []tests{
	{"cluster/replica", "^(TestProposalNamesItsTerm|TestLeaderHasAppliedWhatCameBefore|TestStaleLeaderCannotCommit|TestStaleLeaderConfirmsNothing|TestSnapshotUnderLoad|TestStandstill)$", []string{
		"fence-off", "ack-before-commit", "barrier-skipped", "snapshot-without-a-key", "read-unconfirmed", "standstill-unnoticed",
	}},
	{"cluster/replica", "^(TestHeartbeatOfAFormerLife|TestRemovedReplicaRemembersItsVote|TestLogIsKeptWhileASnapshotIsUnderWay)$", []string{
		"commit-beyond-log", "vote-forgotten", "log-cut-under-snapshot",
	}},
	{"actors/shard", "^(TestDecidedTooLate|TestCommitFailure|TestOutcomesAreNeverMissing|TestPendingPushesSurvive|TestTokenMovesToItsNewUser|TestQueuedPushesMove|TestTokenMovesBetweenNodes|TestWebhookIsWokenAfterTheCommit|TestPowerLoss|TestRepeatComesLate|TestWithdrawnInFlightStaysWithdrawn|TestClaimsOfWhoGuesses)$", []string{
		"epoch-not-checked", "outbox-not-redispatched", "claim-not-repeated", "former-owner-keeps-it", "webhook-before-commit",
		"outcome-dropped", "repeat-gets-new-id", "command-done-twice", "withdrawal-forgotten", "guess-is-final",
	}},
	{"internal/lease", "^(TestLeaseLivesForOneTTLAfterTheLastSignOfLife|TestNewLeaderGivesOneTTL|TestRestartGivesEveryNodeOneTTL)$", []string{
		"lease-never-expires", "lease-lost-on-failover",
	}},
	{"internal/quota", "^(TestNeverMoreThanTheLimit|TestSharesAreWithinTheLimit|TestUseOutlivesARestart)$", []string{
		"quota-lost-on-failover", "share-over-granted", "grant-outlives-share",
	}},
	{"actors/user", "^(TestAgainstOracle|TestAgainstModel|TestCountsAreExact|TestTokenInvalid|TestDeviceReturns)$", []string{
		"double-count", "repeat-counted-twice", "return-cancels-none", "stale-presence-wins", "badge-reset-too-early",
		"recall-ignored", "read-not-uncounted", "quiet-window-in-utc", "muted-group-pushed", "newer-token-dropped",
	}},
	{"actors/lane", "^(TestCancel|TestVerdicts|TestExpiryNamesTheObstacle|TestOrderWithinBinding|TestCollapse|TestForgetDropsWithoutAnEnd|TestLaneKeepsItsPromises)$", []string{
		"lost-cancel", "drop-token-on-refusal", "retry-after-ttl", "binding-order-broken", "collapse-keeps-both",
		"rejected-push-retried", "hand-over-keeps-pushing",
	}},
	{"internal/app", "^TestCanary$", []string{"token-logged"}},
}
