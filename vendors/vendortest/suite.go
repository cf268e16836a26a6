// Package vendortest is the conformance suite of vendors.Sender: the same
// cases run against every vendor's client and its fake server, in fake time.
package vendortest

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/fake"
)

// enough is the least number of cases of a protocol.
const enough = 45

// testCase is one case; it is left out for protocols that lack what it needs.
type testCase struct {
	name  string
	needs Feature
	run   func(t *testing.T, p *probe)
}

// Run runs every case in its own bubble, and says how many there are.
func Run(t *testing.T, h Harness) {
	h.check(t)
	all := h.cases()
	for _, c := range all {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := start(t, &h)
				c.run(t, p)
				p.checkCanaries(t)
			})
		})
	}
	if len(all) < enough {
		t.Errorf("%d cases, want %d or more", len(all), enough)
	}
	_, _ = fmt.Fprintf(t.Output(), "vendortest: %s: %d cases, %d of them result codes\n", h.Protocol, len(all), len(h.Codes))
}

// check demands what every harness must say.
func (h *Harness) check(t *testing.T) {
	required := slices.Clone(Required)
	if h.has(Bearer) {
		required = append(required, BearerRefused)
	}
	for _, s := range required {
		if _, ok := h.Answers[s]; !ok {
			t.Errorf("the harness scripts no answer for %q", s)
		}
	}
	for _, class := range []vendors.Class{vendors.ClassCall, vendors.ClassIM, vendors.ClassSystem, vendors.ClassMarketing} {
		if h.Classes[class] == "" {
			t.Errorf("the harness does not say what class %d is to the vendor", class)
		}
	}
	if h.Protocol == "" || h.has(Batches) != (h.Batch != nil) {
		t.Error("the harness has no name, or does not say whether there are batches")
	}
}

// cases are those that apply to h, with names that are unique.
func (h *Harness) cases() []testCase {
	all := slices.Clone(cases)
	for s, answer := range h.Answers {
		all = append(all, testCase{"answer/" + string(s), 0, func(t *testing.T, p *probe) { p.answer(t, answer) }})
	}
	for _, code := range h.Codes {
		all = append(all, testCase{"code/" + code.Name, 0, func(t *testing.T, p *probe) { p.code(t, code) }})
	}
	for class, kind := range h.Classes {
		all = append(all, testCase{"class/" + classNames[class], 0, func(t *testing.T, p *probe) { p.kind(t, class, "", kind) }})
	}
	for own, kind := range h.Own {
		all = append(all, testCase{"category/" + own, 0, func(t *testing.T, p *probe) { p.kind(t, vendors.ClassIM, own, kind) }})
	}
	all = slices.DeleteFunc(all, func(c testCase) bool { return h.Lacks&c.needs != 0 })
	if !h.has(BadgeOnly) || !h.has(VoIP) {
		all = append(all, testCase{"a channel that the vendor has not", 0, testForeignChannel})
	}
	return all
}

var classNames = map[vendors.Class]string{
	vendors.ClassCall: "call", vendors.ClassIM: "im", vendors.ClassSystem: "system", vendors.ClassMarketing: "marketing",
}

var cases = []testCase{
	{"every field arrives", 0, testFields},
	{"a bare push", 0, testBare},
	{"a title alone", 0, testTitleAlone},
	{"a text alone", 0, testTextAlone},
	{"odd data", 0, testOddData},
	{"the system's sound", Sound, testSystemSound},
	{"silence", Sound, testSilence},
	{"badge", AbsoluteBadge, testBadge},
	{"badge cleared", AbsoluteBadge | BadgeClear, testBadgeClear},
	{"badge beyond the vendor's bound", AbsoluteBadge, testBadgeBound},
	{"badge that grows", AddBadge, testAddBadge},
	{"badge only", BadgeOnly, testBadgeOnly},
	{"longest collapse id", Collapse, testCollapse},
	{"expiry", TTL, testExpiry},
	{"a year until expiry", 0, testFarExpiry},
	{"expired already", TTL, testExpired},
	{"long text is cut between characters", 0, testLongText},
	{"one endless character", 0, testEndlessCharacter},
	{"text that grows in JSON", 0, testHostileText},
	{"too much data", 0, testHugeData},
	{"reserved data keys", 0, testReservedData},
	{"the notification is not changed", 0, testUnchanged},
	{"dead token", 0, testDeadToken},
	{"dead token that lives elsewhere goes on", 0, testDeadAmongLive},
	{"the id of a repeat", PushID, testRepeat},

	{"golden/full", 0, golden("full", func(n *vendors.Notification) { *n = goldenFull(n) })},
	{"golden/bare", 0, golden("bare", func(n *vendors.Notification) { n.Body, n.Data = "", nil })},
	{"golden/call", 0, golden("call", func(n *vendors.Notification) { n.Class = vendors.ClassCall })},
	{"golden/system", 0, golden("system", func(n *vendors.Notification) { n.Class = vendors.ClassSystem })},
	{"golden/marketing", 0, golden("marketing", func(n *vendors.Notification) { n.Class = vendors.ClassMarketing })},
	{"golden/override", 0, testOverride},
	{"golden/badge cleared", BadgeClear, golden("badge_cleared", func(n *vendors.Notification) { n.Badge = 0 })},
	{"golden/badge only", BadgeOnly, golden("badge_only", func(n *vendors.Notification) {
		n.Channel, n.Badge = vendors.ChannelBadge, 3
	})},

	{"slow vendor", 0, testSlow},
	{"no answer until the deadline", 0, testHang},
	{"cancelled before", 0, testCancelled},
	{"cancelled while under way", 0, testCancelledUnderWay},
	{"cancelled while waiting for a stream", 0, testCancelledWaiting},
	{"connection cut after the push was taken", 0, testCut},
	{"answer cut in its middle", 0, testAbort},
	{"reset without a reason", 0, testReset},
	{"push refused by the protocol", 0, testRefuse},
	{"pushes refused under load", 0, testRefuseUnderLoad},
	{"frozen connection", 0, testFreeze},
	{"goaway under load", Goaway, testGoaway},
	{"cold start of many", 0, testColdStart},
	{"a thousand at once", 0, testThousand},
	{"bound of pushes in flight", 0, testBound},
	{"close", 0, testClose},

	{"slow body", 0, testSlowBody},
	{"body without an end", 0, testEndlessBody},
	{"200 with half a JSON", 0, noSense(fake.HalfJSON(200))},
	{"200 with an empty body", 0, noSense(fake.Fault{Kind: fake.Answer, Status: 200})},
	{"200 with a portal's page", 0, noSense(fake.HTML(200))},
	{"200 with JSON of another kind", 0, noSense(fake.Fault{Kind: fake.Answer, Status: 200, Body: `[[1],{"a":null},"x"]`})},
	{"200 with JSON without end", 0, noSense(fake.Fault{Kind: fake.Answer, Status: 200, Body: deepJSON})},
	{"200 with text in GBK", 0, noSense(fake.GBK(200))},
	{"500 with text in GBK", 0, noSense(fake.GBK(500))},
	{"302 to elsewhere", 0, noSense(fake.Fault{
		Kind: fake.Answer, Status: 302, Header: map[string]string{"location": "https://elsewhere.test/steal"},
	})},
	{"204", 0, noSense(fake.Fault{Kind: fake.Answer, Status: 204})},
	{"200 with 10 MiB", 0, testHugeBody},
	{"400 that repeats what it got", 0, testEcho},
	{"429 with seconds", 0, testPause("7", 7)},
	{"429 with a date", 0, testPauseUntil},
	{"429 without a pause", 0, testPause("", 0)},
	{"429 with a pause beyond reason", 0, testPause("99999999999999", 0)},
	{"429 with a pause of words", 0, testPause("soon", 0)},
	{"a burst of 503", 0, testBurst},
	{"over the vendor's rate", 0, testRate},

	{"certificate of an unknown authority", 0, testUnknownCA},
	{"certificate of another host", 0, testWrongHost},
	{"certificate that has expired", 0, testExpiredCert},

	{"a credential is validated", 0, testValidate},
	{"replies are kept without secrets", 0, testReplies},
	{"expired bearer is renewed once", Bearer, testRenew},
	{"bearers over three hours", Bearer, testBearers},
	{"a storm of expired bearers", Bearer, testStorm},
	{"bearer: one request for many senders", Grant, testOneGrant},
	{"bearer: 503", Grant, noBearer(fake.HTML(503))},
	{"bearer: 200 with half a JSON", Grant, noBearer(fake.HalfJSON(200))},
	{"bearer: 200 with 10 MiB", Grant, noBearer(fake.Huge(200))},
	{"bearer: 429", Grant, noBearer(fake.Fault{Kind: fake.Answer, Status: 429, Header: map[string]string{"retry-after": "1"}})},
	{"bearer: cut", Grant, noBearer(fake.Fault{Kind: fake.Cut})},
	{"bearer: no answer until the deadline", Grant, testGrantHangs},

	{"batch/everybody once", Batches, testBatch},
	{"batch/of one", Batches, testBatchOfOne},
	{"batch/one dead", Batches, testBatchOneDead},
	{"batch/all dead", Batches, testBatchAllDead},
	{"batch/dead at both ends", Batches, testBatchEnds},
	{"batch/answer in another order", Batches, testBatchShuffled},
	{"batch/short answer", Batches, testBatchShort},
	{"batch/answer with strangers", Batches, testBatchStrangers},
	{"batch/answer with repeats", Batches, testBatchRepeats},
	{"batch/200 with half a JSON", Batches, batchNoSense(fake.HalfJSON(200))},
	{"batch/200 with a portal's page", Batches, batchNoSense(fake.HTML(200))},
	{"batch/refused", Batches, batchAnswer(BadRequest)},
	{"batch/throttled", Batches, batchAnswer(Throttled)},
	{"batch/503", Batches, batchAnswer(Unavailable)},
	{"batch/credential refused", Batches, batchAnswer(BadCredential)},
	{"batch/no answer until the deadline", Batches, testBatchHang},
	{"batch/cut", Batches, testBatchCut},
	{"batch/cancelled", Batches, testBatchCancelled},
	{"batch/expired bearer", Batches | Bearer, testBatchRenew},
	{"batch/several at once", Batches, testBatches},
	{"batch/long text", Batches, testBatchLongText},
	{"batch/too much data", Batches, testBatchHugeData},
}
