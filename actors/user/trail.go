package user

import (
	"encoding/binary"

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

// Trail keeps the steps that a decision took, in their order, in the form in
// which they are stored. A nil Trail keeps none; its memory is used again.
// Nothing in it is personal text or a token.
//
//	trail: version · entry*          version u8; its highest bit: steps are missing
//	entry: 0 text                    the device of the steps that follow; before the first they are the message's
//	     | step u8 · marks u8 · [reason uvarint] · [rule text] · input*
//	marks: verdict (3 bits) · number of inputs (2 bits) · hasReason · hasRule
//	input: name u8 (a word) · form u8 · number varint, or text
//	text:  uvarint: 2 * word + 1, or 2 * length and the bytes
type Trail struct {
	buf    []byte
	device string // whose the last step was; empty: the message's
	start  int    // where its steps begin
}

const (
	trailVersion = 1
	trailCut     = 0x80

	maxInputs = 3 // of one step

	// What is longer loses its last steps, and says so.
	maxDeviceTrail  = 1 << 10
	maxMessageTrail = 4 << 10
)

// Marks of a step.
const (
	verdictMask = 1<<3 - 1
	inputShift  = 3
	inputMask   = 1<<2 - 1
	hasReason   = 1 << 5
	hasRule     = 1 << 6
)

// form of an input's value.
type form uint8

const (
	formText form = iota
	formNumber
	formNo
	formYes
	formEnum // and above: formEnum + enumeration
)

// input is something that a step looked at.
type input struct {
	name word
	form form
	n    int64
	text string
}

func text(name word, value string) input { return input{name: name, form: formText, text: value} }

func num[T ~int | ~int32 | ~uint32 | ~int64](name word, n T) input {
	return input{name: name, form: formNumber, n: int64(n)}
}

func enum[E ~int32](name word, of enumeration, e E) input {
	return input{name: name, form: formEnum + form(of), n: int64(e)}
}

func yes(name word, b bool) input {
	if b {
		return input{name: name, form: formYes}
	}
	return input{name: name, form: formNo}
}

// reset forgets all steps.
func (t *Trail) reset() {
	if t != nil {
		t.buf, t.device, t.start = append(t.buf[:0], trailVersion), "", 0
	}
}

// String is what was kept.
func (t *Trail) String() string {
	if t == nil {
		return ""
	}
	return string(t.buf)
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

// note appends a step. One for which there is no room is left out, and the
// trail marked. The steps of a device follow each other.
func (t *Trail) note(device string, step rousev1.DecisionStep, v rousev1.StepVerdict, r rousev1.Reason, rule string, in []input) {
	if len(t.buf) == 0 {
		t.reset()
	}
	b, start := t.buf, t.start
	if device != t.device {
		start = len(b)
		b = appendText(append(b, 0), device)
	}
	in = in[:min(len(in), maxInputs)]
	marks := byte(v) | byte(len(in))<<inputShift
	if r != 0 {
		marks |= hasReason
	}
	if rule != "" {
		marks |= hasRule
	}
	b = append(b, byte(step), marks)
	if r != 0 {
		b = binary.AppendUvarint(b, uint64(r))
	}
	if rule != "" {
		b = appendText(b, rule)
	}
	for i := range in {
		b = in[i].append(b)
	}
	if len(b) > maxMessageTrail || len(b)-start > maxDeviceTrail {
		t.buf[0] |= trailCut
		return
	}
	t.buf, t.device, t.start = b, device, start
}

func (i *input) append(b []byte) []byte {
	b = append(b, byte(i.name), byte(i.form))
	switch i.form {
	case formNo, formYes:
		return b
	case formText:
		return appendText(b, i.text)
	}
	return binary.AppendVarint(b, i.n)
}

func appendText(b []byte, s string) []byte {
	if w, ok := spelled[s]; ok {
		return binary.AppendUvarint(b, uint64(w)<<1|1)
	}
	return append(binary.AppendUvarint(b, uint64(len(s))<<1), s...)
}
