package vendortest

import "testing"

// testCase is one case; it is left out for vendors that lack what it needs.
type testCase struct {
	name  string
	needs Feature
	run   func(t *testing.T, p *probe)
}

var cases = []testCase{
	{"every field arrives", 0, testFields},
	{"a bare push", 0, testBare},
	{"badge", AbsoluteBadge, testBadge},
	{"badge cleared", AbsoluteBadge | BadgeClear, testBadgeClear},
	{"badge only", BadgeOnly, testBadgeOnly},
	{"longest collapse id", Collapse, testCollapse},
	{"expiry", TTL, testExpiry},
	{"expired already", TTL, testExpired},
	{"long text is cut between characters", 0, testLongText},
	{"text that grows in JSON", 0, testHostileText},
	{"too much data", 0, testHugeData},
	{"reserved data keys", 0, testReservedData},
	{"the notification is not changed", 0, testUnchanged},
	{"dead token", 0, testDeadToken},
	{"the id of a repeat", PushID, testRepeat},

	{"slow vendor", 0, testSlow},
	{"no answer until the deadline", 0, testHang},
	{"cancelled before", 0, testCancelled},
	{"cancelled while waiting for a stream", 0, testCancelledWaiting},
	{"connection cut after the push was taken", 0, testCut},
	{"answer cut in its middle", 0, testAbort},
	{"push refused by the protocol", 0, testRefuse},
	{"frozen connection", 0, testFreeze},
	{"goaway under load", Goaway, testGoaway},
	{"cold start of many", 0, testColdStart},
	{"bound of pushes in flight", 0, testBound},
	{"close", 0, testClose},

	{"a credential is validated", 0, testValidate},
	{"replies are kept without secrets", 0, testReplies},
	{"expired bearer is renewed once", 0, testRenew},
	{"bearers over three hours", 0, testBearers},
}
