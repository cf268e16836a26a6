package user

import (
	"strconv"
	"time"

	"google.golang.org/protobuf/types/known/timestamppb"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// Steps of the decision procedure, in short.
const (
	stepRepeat       = rousev1.DecisionStep_DECISION_STEP_REPEAT
	stepConversation = rousev1.DecisionStep_DECISION_STEP_CONVERSATION
	stepKind         = rousev1.DecisionStep_DECISION_STEP_KIND
	stepGroupSize    = rousev1.DecisionStep_DECISION_STEP_GROUP_SIZE
	stepAge          = rousev1.DecisionStep_DECISION_STEP_AGE
	stepCount        = rousev1.DecisionStep_DECISION_STEP_COUNT
	stepUser         = rousev1.DecisionStep_DECISION_STEP_USER
	stepIgnore       = rousev1.DecisionStep_DECISION_STEP_IGNORE
	stepForce        = rousev1.DecisionStep_DECISION_STEP_FORCE
	stepQuiet        = rousev1.DecisionStep_DECISION_STEP_QUIET
	stepMode         = rousev1.DecisionStep_DECISION_STEP_MODE
	stepPolicy       = rousev1.DecisionStep_DECISION_STEP_POLICY
	stepPresence     = rousev1.DecisionStep_DECISION_STEP_PRESENCE
	stepFilter       = rousev1.DecisionStep_DECISION_STEP_FILTER
	stepBinding      = rousev1.DecisionStep_DECISION_STEP_BINDING
	stepCredential   = rousev1.DecisionStep_DECISION_STEP_CREDENTIAL
	stepCap          = rousev1.DecisionStep_DECISION_STEP_CAP
	stepContent      = rousev1.DecisionStep_DECISION_STEP_CONTENT
	stepBadge        = rousev1.DecisionStep_DECISION_STEP_BADGE
	stepLifetime     = rousev1.DecisionStep_DECISION_STEP_LIFETIME
)

const (
	verdictPass = rousev1.StepVerdict_STEP_VERDICT_PASS
	verdictStop = rousev1.StepVerdict_STEP_VERDICT_STOP
	verdictWait = rousev1.StepVerdict_STEP_VERDICT_WAIT
	verdictSkip = rousev1.StepVerdict_STEP_VERDICT_SKIP
)

// Trail keeps the steps that a decision took, in their order. A nil Trail keeps
// none; where inputs cost something, look first whether there is one. Its memory
// is used again; what a step says is put into words only by Steps. Nothing in it
// is personal text or a token.
type Trail struct{ steps []taken }

// maxInputs of one step.
const maxInputs = 3

type taken struct {
	device  string // empty: of the message
	step    rousev1.DecisionStep
	verdict rousev1.StepVerdict
	reason  rousev1.Reason
	rule    string
	inputs  [maxInputs]input
}

// input is something that a step looked at: a text, a number, or a value of an
// enum, whose names are given.
type input struct {
	name, text string
	n          int64
	names      map[int32]string
}

func text(name, value string) input { return input{name: name, text: value} }

func num[T ~int | ~int32 | ~uint32 | ~int64](name string, n T) input {
	return input{name: name, n: int64(n)}
}

func enum[E ~int32](name string, names map[int32]string, e E) input {
	return input{name: name, n: int64(e), names: names}
}

func yes(name string, b bool) input {
	if b {
		return input{name: name, text: "true"}
	}
	return input{name: name, text: "false"}
}

func (i *input) value() string {
	switch {
	case i.names != nil:
		return i.names[int32(i.n)]
	case i.text != "":
		return i.text
	}
	return strconv.FormatInt(i.n, 10)
}

// reset forgets all steps.
func (t *Trail) reset() {
	if t != nil {
		t.steps = t.steps[:0]
	}
}

// look notes a step of the message that stops it with r or, when r is 0, lets
// it pass; it returns r.
func (t *Trail) look(step rousev1.DecisionStep, r rousev1.Reason, rule string, in ...input) rousev1.Reason {
	return t.lookAt("", step, r, rule, in...)
}

// lookAt is look for a step of one device.
func (t *Trail) lookAt(device string, step rousev1.DecisionStep, r rousev1.Reason, rule string, in ...input) rousev1.Reason {
	if t != nil {
		v := verdictPass
		if r != 0 {
			v = verdictStop
		}
		t.note(device, step, v, r, rule, in)
	}
	return r
}

// skip notes a step of the message that was not looked at.
func (t *Trail) skip(step rousev1.DecisionStep, rule string) {
	if t != nil {
		t.note("", step, verdictSkip, 0, rule, nil)
	}
}

// wait notes a step of a device whose push is put off.
func (t *Trail) wait(device string, step rousev1.DecisionStep, r rousev1.Reason, rule string, in ...input) {
	if t != nil {
		t.note(device, step, verdictWait, r, rule, in)
	}
}

func (t *Trail) note(device string, step rousev1.DecisionStep, v rousev1.StepVerdict, r rousev1.Reason, rule string, in []input) {
	t.steps = grow(t.steps)
	s := &t.steps[len(t.steps)-1]
	s.device, s.step, s.verdict, s.reason, s.rule = device, step, v, r, rule
	clear(s.inputs[copy(s.inputs[:], in):])
}

// Steps tells the steps of one device, or with an empty name those of the
// message, in the words of the contract.
func (t *Trail) Steps(device string, at time.Time) []*rousev1.TraceStep {
	if t == nil {
		return nil
	}
	var list []*rousev1.TraceStep
	for i := range t.steps {
		s := &t.steps[i]
		if s.device != device {
			continue
		}
		p := &rousev1.TraceStep{Step: s.step, Verdict: s.verdict, Reason: s.reason, Rule: s.rule, At: timestamppb.New(at)}
		for j := range s.inputs {
			if in := &s.inputs[j]; in.name != "" {
				if p.Inputs == nil {
					p.Inputs = make(map[string]string, maxInputs)
				}
				p.Inputs[in.name] = in.value()
			}
		}
		list = append(list, p)
	}
	return list
}
