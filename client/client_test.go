package client

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

const (
	accepted  = rousev1.ItemStatus_ITEM_STATUS_ACCEPTED
	duplicate = rousev1.ItemStatus_ITEM_STATUS_DUPLICATE
	refused   = rousev1.ItemStatus_ITEM_STATUS_REFUSED
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestEventsAreBatchedAndAnswered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{}
		c := dial(t, serve(t, e))
		began := time.Now()
		var v verdicts
		const n = 5000
		for i := range n {
			v.send(t, c, message(fmt.Sprint("u", i%10), i))
		}
		v.all.Wait()
		if v.got[accepted] != n {
			t.Fatalf("verdicts %v, want %d accepted", v.got, n)
		}
		if most := slices.Max(e.batches); most > maxBatchEvents {
			t.Errorf("a batch of %d events", most)
		}
		if len(e.batches) > n/50 {
			t.Errorf("%d batches for %d events", len(e.batches), n)
		}
		if took := time.Since(began); took > 100*time.Millisecond {
			t.Errorf("took %v of linger", took)
		}
		if h := e.hellos[0]; h.GetName() != "im-1" || h.GetIncarnation() != 7 {
			t.Errorf("hello %v", h)
		}
		checkOrder(t, e.log)
	})
}

// checkOrder: the numbers of each user's messages rise.
func checkOrder(t *testing.T, log []string) {
	t.Helper()
	last := map[string]int{}
	for _, id := range log {
		user, number, _ := strings.Cut(id, "/")
		var n int
		_, _ = fmt.Sscan(number, &n)
		if n < last[user] {
			t.Fatalf("%s after %s/%d", id, user, last[user])
		}
		last[user] = n
	}
}

func TestWideEventsShareNoBatchBeyondTheBound(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{window: 1}
		e.onBatch = func(s serverStream, _ int, b *rousev1.Batch) error {
			n := 0
			for _, ev := range b.GetEvents() {
				n += len(ev.GetMessage().GetRecipients())
			}
			if n > maxBatchDeliveries {
				t.Errorf("a batch for %d recipients", n)
			}
			<-time.After(time.Second) // all events are there before the next batch is made
			return answerWith(s, b, e.apply(b))
		}
		c := dial(t, serve(t, e))
		var v verdicts
		for i := range 40 {
			ev := message("u", i)
			for len(ev.GetMessage().Recipients) < 1024 {
				ev.GetMessage().Recipients = append(ev.GetMessage().Recipients, "v")
			}
			v.send(t, c, ev)
		}
		v.all.Wait()
		if v.got[accepted] != 40 || len(e.batches) > 5 {
			t.Errorf("verdicts %v in %d batches", v.got, len(e.batches))
		}
	})
}

func TestIdleClientDoesNotLinger(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dial(t, serve(t, &engine{}))
		began := time.Now()
		r, err := c.SendWait(t.Context(), message("u", 1))
		if err != nil || r.GetStatus() != accepted {
			t.Fatal(r, err)
		}
		if took := time.Since(began); took != 0 {
			t.Errorf("one event took %v", took)
		}
	})
}

func TestLostStreamResendsTheSameBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{window: 3}
		e.onBatch = func(s serverStream, connection int, b *rousev1.Batch) error {
			items := e.apply(b)
			if connection < 3 && b.GetSeq() >= 2 {
				return status.Error(codes.Unavailable, "restarting") // applied, not answered
			}
			return answerWith(s, b, items)
		}
		c := dial(t, serve(t, e))
		var v verdicts
		const n = 2000
		for i := range n {
			v.send(t, c, message(fmt.Sprint("u", i%7), i))
		}
		v.all.Wait()
		if got := v.got[accepted] + v.got[duplicate]; got != n || len(e.log) != n {
			t.Fatalf("verdicts %v, %d applied, want %d", v.got, len(e.log), n)
		}
		if e.repeats == 0 || e.connections != 3 {
			t.Errorf("%d repeats, %d connections: the fault did not happen", e.repeats, e.connections)
		}
		if again := e.seqs[slices.Index(e.seqs, 2)+1:]; !slices.Contains(again, 2) {
			t.Errorf("batch 2 was not sent again under its number: %v", e.seqs)
		}
		checkOrder(t, e.log)
	})
}

func TestTemporaryRefusalIsRepeatedInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{window: 1}
		refusals := map[string]int{}
		e.onBatch = func(s serverStream, _ int, b *rousev1.Batch) error {
			var items []*rousev1.ItemResult
			for _, ev := range b.GetEvents() {
				if id := eventID(ev); strings.HasPrefix(id, "slow/") && refusals["slow"] < 40 {
					refusals["slow"]++
					items = append(items, overloaded())
					continue
				}
				items = append(items, e.apply(&rousev1.Batch{Events: []*rousev1.Event{ev}})...)
			}
			return answerWith(s, b, items)
		}
		c := dial(t, serve(t, e))
		var v verdicts
		for i := range 900 {
			v.send(t, c, message([]string{"slow", "a", "b"}[i%3], i))
			if i%100 == 99 {
				<-time.After(30 * time.Millisecond)
			}
		}
		v.all.Wait()
		if v.got[accepted] != 900 {
			t.Fatalf("verdicts %v", v.got)
		}
		if refusals["slow"] != 40 {
			t.Fatalf("%d refusals: the fault did not happen", refusals["slow"])
		}
		others := slices.DeleteFunc(slices.Clone(e.log), func(id string) bool { return strings.HasPrefix(id, "slow/") })
		checkOrder(t, others)
	})
}

func TestRefusalsEndAtTheDeadline(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{}
		e.onBatch = func(s serverStream, _ int, b *rousev1.Batch) error {
			return answerWith(s, b, slices.Repeat([]*rousev1.ItemResult{overloaded()}, len(b.GetEvents())))
		}
		c := dial(t, serve(t, e))
		began := time.Now()
		r, err := c.SendWait(t.Context(), message("u", 1))
		if err != nil || r.GetStatus() != refused || r.GetError().GetCode() != rousev1.ErrorCode_ERROR_CODE_OVERLOADED {
			t.Fatal(r, err)
		}
		if took := time.Since(began); took < 50*time.Second || took > 61*time.Second {
			t.Errorf("tried for %v", took)
		}
		if n := len(e.batches); n < 10 || n > 60 {
			t.Errorf("%d attempts in a minute", n)
		}
	})
}

// What the engine left without an answer in its time may have been applied, or not:
// it is sent again with the same ids.
func TestDeadlineOfTheEngineIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{}
		tries := 0
		e.onBatch = func(s serverStream, _ int, b *rousev1.Batch) error {
			if tries++; tries > 3 {
				return answerWith(s, b, e.apply(b))
			}
			if tries == 1 {
				e.apply(b)
			}
			return answerWith(s, b, []*rousev1.ItemResult{{Status: refused, Error: &rousev1.Error{Code: rousev1.ErrorCode_ERROR_CODE_DEADLINE, Temporary: true}}})
		}
		c := dial(t, serve(t, e))
		r, err := c.SendWait(t.Context(), message("u", 1))
		if err != nil || r.GetError() != nil || tries != 4 || len(e.log) != 1 {
			t.Fatal(r, err, tries, e.log)
		}
	})
}

func TestFinalRefusalIsNotRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{}
		e.onBatch = func(s serverStream, _ int, b *rousev1.Batch) error {
			return answerWith(s, b, []*rousev1.ItemResult{{Status: refused, Error: &rousev1.Error{Code: rousev1.ErrorCode_ERROR_CODE_CLOCK_SKEW}}})
		}
		c := dial(t, serve(t, e))
		r, err := c.SendWait(t.Context(), message("u", 1))
		if err != nil || r.GetError().GetCode() != rousev1.ErrorCode_ERROR_CODE_CLOCK_SKEW || len(e.batches) != 1 {
			t.Fatal(r, err, e.batches)
		}
	})
}

func TestSilentPeerIsLeftAndEventsAreGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{}
		e.onBatch = func(serverStream, int, *rousev1.Batch) error { return nil } // never answers
		o := serve(t, e)
		o.Deadline = 25 * time.Second
		c := dial(t, o)
		began := time.Now()
		r, err := c.SendWait(t.Context(), message("u", 1))
		if err != nil || r.GetError().GetCode() != rousev1.ErrorCode_ERROR_CODE_DEADLINE || !r.GetError().GetTemporary() {
			t.Fatal(r, err)
		}
		if took := time.Since(began); took < 25*time.Second || took > 26*time.Second {
			t.Errorf("given up after %v", took)
		}
		if e.connections != 3 {
			t.Errorf("%d connections, want one each 10 s", e.connections)
		}
		if !strings.Contains(r.GetError().GetMessage(), "no answer for 10s") {
			t.Errorf("message %q does not say why", r.GetError().GetMessage())
		}
	})
}

func TestFullBufferBlocksSend(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		e := &engine{window: 1}
		e.onBatch = func(s serverStream, _ int, b *rousev1.Batch) error {
			select {
			case <-release:
			case <-s.Context().Done():
			}
			return answerWith(s, b, e.apply(b))
		}
		o := serve(t, e)
		o.BufferBytes = 1 << 20
		c := dial(t, o)
		var v verdicts
		sent := 0
		big := strings.Repeat("x", 32<<10)
		next := func() *rousev1.Event {
			ev := message("u", sent)
			ev.GetMessage().Content = &rousev1.Content{Body: big}
			return ev
		}
		for sent = range 31 {
			v.send(t, c, next())
		}
		sent++
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.Send(ctx, next(), nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("a full buffer answers %v", err)
		}
		go func() { <-time.After(time.Second); close(release) }()
		began := time.Now()
		v.send(t, c, next())
		if waited := time.Since(began); waited < time.Second {
			t.Errorf("Send went through after %v", waited)
		}
		v.all.Wait()
		if v.got[accepted] != 32 {
			t.Errorf("verdicts %v", v.got)
		}
	})
}

func TestHeartbeatsKeepTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{lease: 9 * time.Second}
		c := dial(t, serve(t, e))
		if _, err := c.SendWait(t.Context(), message("u", 1)); err != nil {
			t.Fatal(err)
		}
		<-time.After(10*time.Minute + time.Millisecond)
		synctest.Wait()
		e.mu.Lock()
		defer e.mu.Unlock()
		if len(e.beats) != 200 || e.connections != 1 {
			t.Errorf("%d heartbeats in 10 min of a 9 s lease, %d connections", len(e.beats), e.connections)
		}
	})
}

func TestCloseFlushes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{window: 1}
		e.onBatch = func(s serverStream, _ int, b *rousev1.Batch) error {
			<-time.After(time.Second)
			return answerWith(s, b, e.apply(b))
		}
		c := dial(t, serve(t, e))
		var v verdicts
		for i := range 600 {
			v.send(t, c, message("u", i))
		}
		if err := c.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		v.all.Wait()
		if v.got[accepted] != 600 {
			t.Errorf("verdicts %v", v.got)
		}
		if err := c.Send(t.Context(), message("u", 1), nil); !errors.Is(err, ErrClosed) {
			t.Errorf("Send after Close: %v", err)
		}
		if err := c.Close(t.Context()); err != nil {
			t.Errorf("second Close: %v", err)
		}
	})
}

func TestCloseGivesUpWhenItsContextEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{}
		e.onBatch = func(serverStream, int, *rousev1.Batch) error { return nil }
		c := dial(t, serve(t, e))
		var v verdicts
		for i := range 3 {
			v.send(t, c, message("u", i))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.Close(ctx); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "3 events") {
			t.Errorf("Close: %v", err)
		}
		v.all.Wait()
		if v.got[refused] != 3 {
			t.Errorf("verdicts %v", v.got)
		}
	})
}

func TestProtocolFaultReconnects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := &engine{}
		e.onBatch = func(s serverStream, connection int, b *rousev1.Batch) error {
			if connection == 1 {
				return answerWith(s, b, nil) // too few results
			}
			return answerWith(s, b, e.apply(b))
		}
		c := dial(t, serve(t, e))
		if r, err := c.SendWait(t.Context(), message("u", 1)); err != nil || r.GetStatus() != accepted || e.connections != 2 {
			t.Fatal(r, err, e.connections)
		}
	})
}

func TestDial(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := serve(t, &engine{})
		o.APIKey = "wrong-key"
		_, err := Dial(t.Context(), o)
		if status.Code(err) != codes.Unauthenticated || strings.Contains(err.Error(), "wrong-key") {
			t.Errorf("wrong key: %v", err)
		}
		o.dial = func(context.Context, string) (net.Conn, error) { return nil, errors.New("connection refused") }
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if _, err = Dial(ctx, o); !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "connection refused") {
			t.Errorf("no engine: %v", err)
		}
	})
}

func TestOptionsAreChecked(t *testing.T) {
	good := Options{Target: "127.0.0.1:7701", APIKey: "k", Node: "im-1"}
	tests := []struct {
		name   string
		change func(*Options)
		want   string
	}{
		{"good", func(*Options) {}, ""},
		{"ipv6 loopback", func(o *Options) { o.Target = "[::1]:7700" }, ""},
		{"localhost", func(o *Options) { o.Target = "localhost:7700" }, ""},
		{"TLS elsewhere", func(o *Options) { o.Target, o.TLS = "push.example.org:7700", &tls.Config{} }, ""},
		{"plaintext elsewhere", func(o *Options) { o.Target = "10.0.0.1:7700" }, "not on loopback"},
		{"a name that starts like loopback", func(o *Options) { o.Target = "127.0.0.1.example.org:7700" }, "not on loopback"},
		{"no port", func(o *Options) { o.Target = "127.0.0.1" }, "not host:port"},
		{"no key", func(o *Options) { o.APIKey = "" }, "API key is empty"},
		{"bad node", func(o *Options) { o.Node = "im 1" }, "node name"},
		{"long linger", func(o *Options) { o.Linger = time.Second }, "linger of 1s"},
		{"small buffer", func(o *Options) { o.BufferBytes = 1 }, "buffer of 1 bytes"},
		{"short deadline", func(o *Options) { o.Deadline = time.Millisecond }, "deadline of 1ms"},
		{"two faults", func(o *Options) { o.APIKey, o.Linger = "", -1 }, "API key is empty: create one with the intake role\nclient: linger"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := good
			tt.change(&o)
			err := o.prepare(time.Unix(1, 0))
			if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
		})
	}
}

func TestSendRefusesWhatCannotTravel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := dial(t, serve(t, &engine{}))
		huge := message("u", 1)
		huge.GetMessage().Content = &rousev1.Content{Body: strings.Repeat("x", maxEventBytes)}
		for _, ev := range []*rousev1.Event{nil, {}, huge} {
			if err := c.Send(t.Context(), ev, nil); err == nil {
				t.Error("no error")
			}
		}
	})
}
