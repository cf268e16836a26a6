package user

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/timestamppb"
	"pgregory.net/rapid"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// Stored numbers keep their meaning.
func TestTrailBytes(t *testing.T) {
	tr := &Trail{}
	tr.look(stepPolicy, 0, "app policy", enum(wordPolicy, ofPolicy, rousev1.MultiDevicePolicy_MULTI_DEVICE_POLICY_ANY_OFFLINE), yes(wordStops, true), yes(wordDelays, false))
	tr.lookAt("phone", stepCredential, rousev1.Reason_REASON_NOTIFIER_DISABLED, "", text(wordNewest, "apns"))
	tr.wait("phone", stepLane, rousev1.Reason_REASON_DELAYED, "away delay", num(wordDelay, 30))
	const want = "\x01" +
		"\x09\x59\x53\x1d\x07\x04\x24\x03\x0a\x02" +
		"\x00\x0aphone" +
		"\x17\x2a\x2a\x18\x00\x08apns" +
		"\x1e\x6b\x03\x5f\x09\x01\x3c"
	got := tr.String()
	if len(got) == 0 || got != want {
		t.Errorf("the stored form changed:\n got %q\nwant %q", got, want)
	}
}

func TestVocabulary(t *testing.T) {
	for w, text := range vocabulary {
		if w > 0 && (text == "" || spelled[text] != word(w)) {
			t.Errorf("word %d is %q, which is spelled %d", w, text, spelled[text])
		}
	}
	for of, names := range enumerations {
		if len(names) == 0 {
			t.Errorf("enumeration %d has no names", of)
		}
	}
}

// What was noted is told, for any texts and numbers.
func TestTrailRoundTrip(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		tr := &Trail{}
		at := timestamppb.New(t0)
		want := &steps{devices: map[string][]*rousev1.TraceStep{}}
		someText := rapid.OneOf(rapid.StringN(0, 20, 40), rapid.SampledFrom(vocabulary[:]))
		for _, device := range []string{"", "phone", rapid.StringN(1, 20, 60).Draw(t, "device") + "x"} {
			for range rapid.IntRange(0, 8).Draw(t, "steps") {
				p := &rousev1.TraceStep{
					Step:    rousev1.DecisionStep(rapid.IntRange(1, 127).Draw(t, "step")),
					Verdict: rousev1.StepVerdict(rapid.IntRange(0, 7).Draw(t, "verdict")),
					Reason:  rousev1.Reason(rapid.IntRange(0, 1<<20).Draw(t, "reason")),
					Rule:    someText.Draw(t, "rule"), At: at,
				}
				var in []input
				for _, name := range rapid.SliceOfNDistinct(rapid.IntRange(1, len(vocabulary)-1), 0, maxInputs, rapid.ID).Draw(t, "names") {
					if p.Inputs == nil {
						p.Inputs = map[string]string{}
					}
					switch rapid.IntRange(0, 2).Draw(t, "form") {
					case 0:
						v := someText.Draw(t, "text")
						in, p.Inputs[vocabulary[name]] = append(in, text(word(name), v)), v
					case 1:
						v := rapid.Bool().Draw(t, "bool")
						in, p.Inputs[vocabulary[name]] = append(in, yes(word(name), v)), map[bool]string{true: "true", false: "false"}[v]
					case 2:
						in, p.Inputs[vocabulary[name]] = append(in, enum(word(name), ofForce, rousev1.ForceScope_FORCE_SCOPE_ALL)), "FORCE_SCOPE_ALL"
					}
				}
				tr.note(device, p.GetStep(), p.GetVerdict(), p.GetReason(), p.GetRule(), in)
				if device == "" {
					want.message = append(want.message, p)
				} else {
					want.devices[device] = append(want.devices[device], p)
				}
			}
		}
		got, err := decodeSteps(tr.String(), at)
		if err != nil || got.cut {
			t.Fatalf("%+v, %v", got, err)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(steps{}), protocmp.Transform()); diff != "" {
			t.Fatal(diff)
		}
	})
}

// A device cannot take the room of others, and all of them have an end.
func TestTrailIsBounded(t *testing.T) {
	tr := &Trail{}
	for range 1000 {
		tr.lookAt("greedy", stepFilter, 0, strings.Repeat("x", 60))
	}
	tr.lookAt("modest", stepFilter, 0, "")
	got, err := decodeSteps(tr.String(), nil)
	if err != nil || !got.cut || len(got.devices["greedy"]) == 0 || len(tr.buf) > maxDeviceTrail+50 || len(got.devices["modest"]) != 1 {
		t.Errorf("%d bytes: %v, cut %v, %d and %d steps", len(tr.buf), err, got.cut, len(got.devices["greedy"]), len(got.devices["modest"]))
	}
	for i := range MaxDevices {
		for range 1000 {
			tr.lookAt(strings.Repeat("d", i+1), stepFilter, 0, strings.Repeat("x", 60))
		}
	}
	if len(tr.buf) > maxMessageTrail {
		t.Errorf("%d bytes", len(tr.buf))
	}
	if tr.reset(); len(tr.buf) != 1 {
		t.Errorf("%q is left", tr.buf)
	}
	tr.look(stepKind, 0, "")
	if got, err := decodeSteps(tr.String(), nil); err != nil || got.cut || len(got.message) != 1 {
		t.Errorf("used again: %+v, %v", got, err)
	}
}

// FuzzSteps: stored steps of any form end no actor's turn, and what is read can
// be sent.
func FuzzSteps(f *testing.F) {
	tr := &Trail{}
	tr.look(stepPolicy, 0, "app policy", num(wordPolicy, -3), yes(wordStops, true), text(wordDelays, "x"))
	tr.lookAt("phone", stepFilter, rousev1.Reason_REASON_DEVICE_FILTERED, "")
	f.Add(tr.String())
	f.Add("")
	f.Add("\x81")
	f.Add("\x01\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01")
	f.Fuzz(func(t *testing.T, trail string) {
		got, err := decodeSteps(trail, timestamppb.New(t0))
		if got == nil {
			t.Fatalf("nothing, %v", err)
		}
		for _, p := range got.message {
			proto.Size(p)
		}
	})
}

// The same messages are of the sample for every user and after every restart,
// and about one in N are.
func TestSample(t *testing.T) {
	n := 0
	for i := range 16_000 {
		if sampled(fmt.Sprint("m", i), 16) {
			n++
		}
	}
	if n < 800 || n > 1200 {
		t.Errorf("%d of 16000 are sampled, want about 1000", n)
	}
	if !sampled("m", 1) || sampled("m1", 1<<30) {
		t.Error("the ends of the sample are off")
	}
}
