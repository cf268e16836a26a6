package checker

// Checks lists the invariants.
var Checks = []Check{
	{1, "acked-is-stored", "What was acknowledged is in the store after any restart.", ackedIsStored},
	{2, "one-outcome", "Each message has exactly one terminal outcome for each device, and the counters agree.", oneOutcome},
	{3, "one-push-id", "A vendor sees at most one push id for a message and device, again only after an unknown result.", onePushID},
	{4, "none-after-online", "Nothing is sent to a device that was acknowledged as online, nor of a message that was read, withdrawn or replaced, or has expired.", noneAfterOnline},
	{5, "no-removed-token", "Nothing is sent to a removed token, no live one is removed by an older answer, and none is with two devices.", noRemovedToken},
	{6, "one-writer", "No two nodes lead a shard or commit for it in one epoch, epochs rise, none but leaders send, and registers are linearizable.", oneWriter},
	{7, "within-limits", "Vendors' rates, daily quotas and retry-after are respected, after a fail-over too.", withinLimits},
	{8, "bulkheads", "A fault of one vendor leaves the latency of the others within twice its quiet value.", bulkheads},
	{9, "bounded", "Memory and queues stay within their bounds.", bounded},
	{10, "quiet-times", "Nobody is woken in his quiet window.", quietTimes},
	{11, "bad-input", "Bad input gets a typed error and is counted; it hangs, crashes and changes nothing.", badInput},
	{12, "orderly-stop", "A node that is asked to stop does so in time.", orderlyStop},
	{13, "clock-back", "A clock that goes back loses and repeats no deferred push.", clockBack},
	{14, "tenants", "No app reads or affects what belongs to another.", tenants},
	{15, "secrets", "No token, text or key gets into logs, metrics or traces.", secrets},
	{16, "erased", "Nothing of an erased user is left in the data.", erased},
	{17, "audited", "Each write in the console has one audit record.", audited},
	{18, "drains", "After the last fault backlogs fall to zero in time.", drains},
	{19, "in-order", "A push that is sent again goes before later ones to the same token.", inOrder},
}
