package main

import (
	"errors"
	"maps"
	"slices"
	"strings"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/reason"
	"github.com/rouse-im/rouse/internal/rpc"
)

type traceVerb struct {
	remote
	Message string `help:"A message; with --user for this recipient alone." placeholder:"ID"`
	Push    string `help:"A push, by the id that the vendor and the app on the device see." placeholder:"UUID"`
	User    string `help:"The newest messages of a user." placeholder:"USER"`
	Limit   uint32 `help:"How many (message, user) pairs, at most 1000." default:"50"`
}

// Help teaches by example.
func (*traceVerb) Help() string {
	return `What was decided for each device, step by step, what the vendor answered, and what it reported later.
Steps are kept for 7 days: always of what went wrong, and of a sample of the rest (trace_sample).

Examples:

    rouse trace --app chat --message m-1
    rouse trace --app chat --message m-1 --user ann
    rouse trace --app chat --user ann --limit 5
    rouse trace --app chat --push 3e2acb25-f6c9-8d45-841f-f47fb282df9a`
}

// Run shows what became of messages.
func (v *traceVerb) Run(c *call) error {
	q, err := v.request()
	if err != nil {
		return err
	}
	return ask(c, &v.remote, func(s *rpc.Services) (*rousev1.TraceResponse, error) { return s.Trace.Trace(c.ctx, q) }, c.traced)
}

func (v *traceVerb) request() (*rousev1.TraceRequest, error) {
	q := &rousev1.TraceRequest{Limit: v.Limit}
	switch {
	case v.Push != "" && v.Message == "" && v.User == "":
		q.By = &rousev1.TraceRequest_PushId{PushId: v.Push}
	case v.Push == "" && v.Message != "":
		q.By, q.Recipient = &rousev1.TraceRequest_MessageId{MessageId: v.Message}, v.User
	case v.Push == "" && v.User != "":
		q.By = &rousev1.TraceRequest_UserId{UserId: v.User}
	default:
		return nil, errors.New("set --message, --user, both of them, or --push")
	}
	return q, nil
}

func (c *call) traced(r *rousev1.TraceResponse) error {
	if len(r.GetTraces()) == 0 {
		return c.say("%s", c.speech.words[wordUntraced])
	}
	var err error
	for i, t := range r.GetTraces() {
		if i > 0 {
			err = errors.Join(err, c.say(""))
		}
		err = errors.Join(err, c.say("%s", strings.Join([]string{t.GetMessageId(), t.GetUserId(), at(t.GetDecidedAt())}, "  ")))
		switch {
		case !t.GetSampled():
			err = errors.Join(err, c.say("%s", c.speech.words[wordUnsampled]))
		case t.GetTruncated():
			err = errors.Join(err, c.say("%s", c.speech.words[wordTruncated]))
		}
		err = errors.Join(err, c.steps(t.GetSteps()), c.devices(t.GetDevices()))
	}
	return err
}

// devices shows each device, the reason in words, and its own steps.
func (c *call) devices(all []*rousev1.DeviceTrace) (err error) {
	for _, d := range all {
		o := d.GetOutcome()
		head := []string{dash(o.GetDeviceId()), rpc.Word(o.GetStatus()), rpc.Word(o.GetReason())}
		if o.GetNotifier() != "" {
			head = append(head, o.GetNotifier())
		}
		what, advice := d.GetExplanationEn(), d.GetAdviceEn()
		if c.speech.reasons == reason.Chinese {
			what, advice = d.GetExplanationZh(), d.GetAdviceZh()
		}
		err = errors.Join(err, c.say("\n%s", strings.Join(head, "  ")), c.say("%s %s", what, advice), c.steps(d.GetSteps()))
	}
	return err
}

// steps shows a step a line; what came after the decision has a time of its own.
func (c *call) steps(steps []*rousev1.TraceStep) error {
	var rows [][]string
	for _, s := range steps {
		var in []string
		if s.GetStep() >= rousev1.DecisionStep_DECISION_STEP_LANE && s.GetAt() != nil {
			in = append(in, at(s.GetAt()))
		}
		for _, name := range slices.Sorted(maps.Keys(s.GetInputs())) {
			in = append(in, name+"="+s.GetInputs()[name])
		}
		why := s.GetRule()
		if s.GetReason() != 0 {
			why = strings.Join(slices.DeleteFunc([]string{rpc.Word(s.GetReason()), why}, func(t string) bool { return t == "" }), ", ")
		}
		rows = append(rows, []string{c.speech.step(s.GetStep()), c.speech.verdict(s.GetVerdict()), dash(why), strings.Join(in, " ")})
	}
	return c.columns(rows)
}
