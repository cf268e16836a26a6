package shard

import (
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rouse-im/rouse/actors"
	"github.com/rouse-im/rouse/actors/user"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/storage"
	"github.com/rouse-im/rouse/vendors"
)

// traced starts an engine whose app keeps the steps of one in sample messages
// of which all went well.
func traced(t *testing.T, fs vfs.FS, sample uint32, edit func(*engine, *Options)) *engine {
	return startEngine(t, fs, func(e *engine, o *Options) {
		app := user.NewApp(&rousev1.AppSettings{TraceSample: sample}, []*rousev1.Credential{{Name: "apns", Vendor: &rousev1.Credential_Apns{Apns: &rousev1.ApnsCredential{}}}})
		o.User.App = func(string) *user.App { return app }
		if edit != nil {
			edit(e, o)
		}
	})
}

const never = 1_000_000 // of no message that these tests send

func (e *engine) traces(who string) map[string]*rousev1.MessageTrace {
	e.t.Helper()
	all := map[string]*rousev1.MessageTrace{}
	for _, tr := range e.must(who, &rousev1.TraceRequest{By: &rousev1.TraceRequest_UserId{UserId: who}}).Response.(*rousev1.TraceResponse).GetTraces() {
		all[tr.GetMessageId()] = tr
	}
	return all
}

// path is the steps of a device in short: the last of the decision, and what followed.
func path(d *rousev1.DeviceTrace) string {
	var b strings.Builder
	for _, s := range d.GetSteps() {
		fmt.Fprintf(&b, "%s %s", s.GetStep().String()[len("DECISION_STEP_"):], s.GetVerdict().String()[len("STEP_VERDICT_"):])
		if s.GetReason() != 0 {
			b.WriteString(" " + s.GetReason().String()[len("REASON_"):])
		}
		b.WriteString("; ")
	}
	return b.String()
}

// kept counts the records of steps in the store.
func (e *engine) kept() (n int) {
	e.t.Helper()
	for shard := uint16(1); shard <= e.store.Shards(); shard++ {
		if err := e.store.Scan(storage.TraceDays(shard, 0, 1<<16-1), func(_, _ []byte) bool { n++; return true }); err != nil {
			e.t.Fatal(err)
		}
	}
	return n
}

func rejects(*vendors.Notification) (vendors.Result, error) {
	return vendors.Result{Outcome: vendors.Rejected, Code: "PayloadEmpty"}, nil
}

// What went wrong keeps its steps and what went well does not, unless it is of
// the sample; a push under way has them until it ends, through restarts.
func TestTracesOverRestarts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem()
		e := traced(t, fs, never, nil)
		e.session("ann", "phone", disconnected, 1)
		e.bind("ann", "phone", "aa")
		e.must("ann", event("well"))
		synctest.Wait()
		if n := e.kept(); n != 0 {
			t.Errorf("%d records of steps for a message that went well", n)
		}
		e.vendor.script(rejects)
		e.must("ann", event("refused"))
		synctest.Wait()
		quiet := event("ignored")
		quiet.IgnorePush = true
		e.must("ann", quiet)
		e.vendor.script(func(*vendors.Notification) (vendors.Result, error) { return vendors.Result{}, errHang })
		e.must("ann", event("waits"))
		synctest.Wait()
		if n := e.kept(); n != 2 {
			t.Errorf("%d records of steps, want those of two messages", n)
		}
		e.stop()

		e = traced(t, fs, never, func(e *engine, _ *Options) {
			e.vendor.script(func(*vendors.Notification) (vendors.Result, error) { return vendors.Result{}, errHang })
		})
		const decided = "PRESENCE PASS; FILTER PASS; BINDING PASS; CREDENTIAL PASS; CONTENT PASS; BADGE PASS; LIFETIME PASS; "
		all := e.traces("ann")
		for message, want := range map[string]struct {
			sampled bool
			steps   int // of the message
			path    string
		}{
			"well":    {false, 0, "LANE PASS; VENDOR PASS; "},
			"refused": {true, 12, decided + "LANE PASS; VENDOR STOP PAYLOAD_REJECTED; "},
			"ignored": {true, 8, ""},
			"waits":   {true, 12, decided + "LANE WAIT QUEUED; "},
		} {
			tr := all[message]
			if len(tr.GetDevices()) != 1 || tr.GetUserId() != "ann" || tr.GetTruncated() {
				t.Errorf("%s: %v", message, tr)
				continue
			}
			if got := path(tr.GetDevices()[0]); tr.GetSampled() != want.sampled || len(tr.GetSteps()) != want.steps || got != want.path {
				t.Errorf("%s: sampled %v, %d steps, %s", message, tr.GetSampled(), len(tr.GetSteps()), got)
			}
		}
		if s := all["refused"].GetDevices()[0].GetSteps()[8]; s.GetInputs()["code"] != "PayloadEmpty" {
			t.Errorf("the vendor's step: %v", s)
		}
		if s := all["ignored"].GetSteps(); len(s) != 8 || s[7].GetReason() != rousev1.Reason_REASON_IGNORED_BY_SENDER {
			t.Errorf("ignored: %v", s)
		}
		// It goes wrong now, in a process that did not decide it.
		e.must("ann", &rousev1.ReadEvent{MessageIds: []string{"waits"}})
		<-time.After(2 * time.Minute) // the call under way ends, and no other follows
		if n := e.kept(); n != 3 {
			t.Errorf("%d records of steps, want those of three messages", n)
		}
		e.stop()
		e = traced(t, fs, never, nil)
		if d := e.traces("ann")["waits"].GetDevices()[0]; !strings.HasPrefix(path(d), decided+"LANE STOP") {
			t.Errorf("waits: %v %s", d.GetOutcome(), path(d))
		}
		one := e.must("ann", &rousev1.TraceRequest{By: &rousev1.TraceRequest_MessageId{MessageId: "ignored"}, Recipient: "ann"}).Response.(*rousev1.TraceResponse)
		if len(one.GetTraces()) != 1 || one.GetTraces()[0].GetMessageId() != "ignored" {
			t.Errorf("one message: %v", one)
		}
		e.stop()
	})
}

func TestSampledTraces(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := traced(t, vfs.NewMem(), 4, nil)
		const users, messages = 3, 64
		for u := range users {
			who := fmt.Sprint("u", u)
			e.session(who, "phone", disconnected, 1)
			e.bind(who, "phone", fmt.Sprintf("%02x", u))
			for m := range messages {
				e.must(who, event(fmt.Sprint("m", m)))
			}
		}
		synctest.Wait()
		of := map[string]int{}
		for u := range users {
			who := fmt.Sprint("u", u)
			for _, tr := range e.must(who, &rousev1.TraceRequest{By: &rousev1.TraceRequest_UserId{UserId: who}, Limit: messages}).Response.(*rousev1.TraceResponse).GetTraces() {
				if tr.GetSampled() != (len(tr.GetSteps()) > 0) {
					t.Errorf("%v", tr)
				}
				if tr.GetSampled() {
					of[tr.GetMessageId()]++
				}
			}
		}
		if len(of) < messages/8 || len(of) > messages/2 || e.kept() != len(of)*users {
			t.Errorf("%d of %d messages are of the sample, with %d records", len(of), messages, e.kept())
		}
		for m, n := range of {
			if n != users {
				t.Errorf("%s is of the sample for %d of %d users", m, n, users)
			}
		}
		e.stop()
	})
}

// Steps end with the outcomes: after 7 days, or when the user is erased, even
// before they are durable.
func TestTracesEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := traced(t, vfs.NewMem(), 1, func(_ *engine, o *Options) {
			o.IdleAfter = time.Hour // days pass faster with a sweep each minute
		})
		ann, long := strings.Repeat("a", 120), strings.Repeat("m", 120)
		e.session(ann, "phone", disconnected, 1)
		e.session("bob", "phone", disconnected, 1)
		// More than the store takes in one entry: 4500 keys of 255 bytes.
		const many = 4500
		for i := range many {
			e.must(ann, event(fmt.Sprint(long, i)))
		}
		e.must("bob", event("of bob"))
		if n := e.kept(); n != many+1 {
			t.Fatalf("%d records of steps, want %d", n, many+1)
		}
		last := make(chan actors.Reply, 1)
		e.set.Route(&actors.Envelope{App: "app", User: ann, Command: event("last"), Done: func(actors.Reply) {}})
		e.set.Route(&actors.Envelope{App: "app", User: ann, Command: &rousev1.EraseUserRequest{UserId: ann}, Done: func(r actors.Reply) { last <- r }})
		if r := <-last; r.Err != nil {
			t.Fatal(r.Err)
		}
		if n := e.kept(); n != 1 {
			t.Errorf("%d records of steps are left, want bob's", n)
		}
		if got := e.traces(ann); len(got) != 0 {
			t.Errorf("of an erased user: %v", got)
		}
		<-time.After((user.OutcomeDays - 1) * 24 * time.Hour)
		if got := e.traces("bob"); len(got) != 1 || !got["of bob"].GetSampled() {
			t.Errorf("after 6 days: %v", got)
		}
		<-time.After(3 * 24 * time.Hour)
		if n := e.kept(); n != 0 {
			t.Errorf("%d records of steps after 9 days", n)
		}
		if got := e.traces("bob"); len(got) != 0 {
			t.Errorf("after 9 days: %v", got)
		}
		e.stop()
	})
}
