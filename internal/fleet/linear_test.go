package fleet

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/anishathalye/porcupine"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// A user is taken for two objects: a counter, which messages raise and the
// offline count tells, and a register, which holds the token of a phone.
type input struct {
	user  string
	write string // what is done; empty = a read
	token string // that is bound; with write "bind"
}

// output of a read; of a write nothing is known but that it ended.
type output struct {
	count int
	tail  string
}

const (
	sends, binds, unbinds = "send", "bind", "unbind"
	pauseOfClient         = 15 * time.Millisecond
)

var counterModel = porcupine.Model{
	Partition: byUser,
	Init:      func() any { return 0 },
	Step: func(state, in, out any) (bool, any) {
		if in.(input).write != "" {
			return true, state.(int) + 1
		}
		return out.(output).count == state.(int), state
	},
	DescribeOperation: describe,
}

var registerModel = porcupine.Model{
	Partition: byUser,
	Init:      func() any { return "" },
	Step: func(state, in, out any) (bool, any) {
		switch in := in.(input); in.write {
		case binds:
			return true, in.token[len(in.token)-6:]
		case unbinds:
			return true, ""
		default:
			return out.(output).tail == state.(string), state
		}
	},
	DescribeOperation: describe,
}

func describe(in, out any) string {
	i, o := in.(input), out.(output)
	if i.write != "" {
		return i.write + " " + i.token
	}
	return fmt.Sprintf("reads %d %q", o.count, o.tail)
}

func byUser(history []porcupine.Operation) (parts [][]porcupine.Operation) {
	place := map[string]int{}
	for _, op := range history {
		user := op.Input.(input).user
		if _, ok := place[user]; !ok {
			place[user] = len(parts)
			parts = append(parts, nil)
		}
		parts[place[user]] = append(parts[place[user]], op)
	}
	return parts
}

// historian notes what clients did and saw.
type historian struct {
	name  string // begins all users, messages and tokens: none has been there before
	began time.Time
	mu    sync.Mutex
	all   map[string][]porcupine.Operation // by kind: counter, register
	maybe int
}

var historians atomic.Int32

func newHistorian() *historian {
	return &historian{name: fmt.Sprintf("lin%d-", historians.Add(1)), began: time.Now(), all: map[string][]porcupine.Operation{}}
}

func (h *historian) now() int64 { return time.Since(h.began).Nanoseconds() }

// note adds an operation. A failed read says nothing; a write without an answer
// may come true at any time from then on, or never, which is after all else.
func (h *historian) note(kind string, client int, in input, out output, call int64, err error) {
	back := h.now()
	h.mu.Lock()
	defer h.mu.Unlock()
	if err != nil {
		if in.write == "" {
			return
		}
		h.maybe++
		back = math.MaxInt64
	}
	h.all[kind] = append(h.all[kind], porcupine.Operation{ClientId: client, Input: in, Output: out, Call: call, Return: back})
}

// count is one step of a client that counts.
func (h *historian) count(ctx context.Context, d *door, client, n int, user string) {
	in, call := input{user: user}, h.now()
	if rand.IntN(2) == 0 {
		in.write = sends
		r, err := d.intake.IngestBatch(ctx, &rousev1.IngestBatchRequest{Events: []*rousev1.Event{message(fmt.Sprintf("%s%d-%d", h.name, client, n), user)}})
		if err == nil && r.GetItems()[0].GetError() != nil {
			err = fmt.Errorf("%v", r.GetItems()[0].GetError())
		}
		h.note("counter", client, in, output{}, call, err)
		return
	}
	r, err := d.users.GetOfflineCount(ctx, &rousev1.GetOfflineCountRequest{UserId: user})
	h.note("counter", client, in, output{count: int(r.GetCount())}, call, err)
}

// turn is one step of a client that binds tokens.
func (h *historian) turn(ctx context.Context, d *door, client, n int, user string) {
	in, call := input{user: user}, h.now()
	switch rand.IntN(5) {
	case 0:
		in.write, in.token = binds, tokenOf(fmt.Sprint(h.name, client, "/", n))
		_, err := d.devices.BindToken(ctx, &rousev1.BindTokenRequest{UserId: user, DeviceId: phone, Notifier: notify, Token: in.token})
		h.note("register", client, in, output{}, call, err)
	case 1:
		in.write = unbinds
		_, err := d.devices.UnbindToken(ctx, &rousev1.UnbindTokenRequest{UserId: user, DeviceId: phone})
		h.note("register", client, in, output{}, call, err)
	default:
		r, err := d.devices.ListDevices(ctx, &rousev1.ListDevicesRequest{UserId: user})
		var out output
		for _, device := range r.GetDevices() {
			for _, b := range device.GetBindings() {
				out.tail = b.GetTokenTail()
			}
		}
		h.note("register", client, in, out, call, err)
	}
}

// clients use all doors at once until ctx ends.
func (h *historian) clients(ctx context.Context, doors []*door, counters, registers []string) *sync.WaitGroup {
	var work sync.WaitGroup
	for client := range 2 * len(doors) {
		work.Go(func() {
			d, tick := doors[client%len(doors)], time.NewTicker(pauseOfClient)
			defer tick.Stop()
			for n := 0; ctx.Err() == nil; n++ {
				// Long enough for a frozen node to answer when it goes on.
				call, cancel := context.WithTimeout(context.WithoutCancel(ctx), 3*time.Second)
				if client < len(doors) {
					h.count(call, d, client, n, counters[rand.IntN(len(counters))])
				} else {
					h.turn(call, d, client, n, registers[rand.IntN(len(registers))])
				}
				cancel()
				<-tick.C
			}
		})
	}
	return &work
}

// check fails the test if the history cannot be that of single objects.
func (h *historian) check(t *testing.T) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	for kind, model := range map[string]porcupine.Model{"counter": counterModel, "register": registerModel} {
		ops := h.all[kind]
		writes := 0
		for _, op := range ops {
			if op.Input.(input).write != "" {
				writes++
			}
		}
		for _, part := range byUser(ops) {
			result, _ := porcupine.CheckOperationsVerbose(model, part, 20*time.Second)
			if result == porcupine.Illegal {
				t.Errorf("%s of %s is not linearizable:\n%s", kind, part[0].Input.(input).user, tell(part))
			}
			if result == porcupine.Unknown {
				t.Logf("%s of %s: not decided in 20 s (%d operations)", kind, part[0].Input.(input).user, len(part))
			}
		}
		t.Logf("%s: %d operations, %d of them writes, are linearizable", kind, len(ops), writes)
	}
	t.Logf("%d writes had no answer", h.maybe)
}

// tell lists a history for people.
func tell(part []porcupine.Operation) string {
	slices.SortFunc(part, func(a, b porcupine.Operation) int { return cmp.Compare(a.Call, b.Call) })
	var s strings.Builder
	for _, op := range part {
		back := "never"
		if op.Return != math.MaxInt64 {
			back = time.Duration(op.Return).String()
		}
		fmt.Fprintf(&s, "%12s - %12s client %d: %s\n", time.Duration(op.Call), back, op.ClientId, describe(op.Input, op.Output))
	}
	return s.String()
}

// TestLinearizable has clients of all nodes count and bind while nodes die and
// freeze.
func TestLinearizable(t *testing.T) {
	t.Parallel()
	w := threeNodes(t)
	h := newHistorian()
	counters, registers := w.everywhere(h.name+"count", 1)[:6], w.everywhere(h.name+"bind", 1)[:6]
	until(t, 10*time.Second, "phones", func() error { return w.doors[0].offline(t.Context(), slices.Concat(counters, registers)) })
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	work := h.clients(ctx, w.doors, counters, registers)
	for round := range rounds(1) {
		victim := w.choose(t, round)
		h.more(t, 200)
		if err := victim.Freeze(); err != nil {
			t.Fatal(err)
		}
		w.served(t, w.others(victim)[0])
		h.more(t, 100)
		if err := victim.Thaw(); err != nil {
			t.Fatal(err)
		}
		h.more(t, 200)
		victim = w.choose(t, 1)
		if err := victim.Kill(); err != nil {
			t.Fatal(err)
		}
		h.more(t, 200)
		if err := victim.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
		h.more(t, 200)
	}
	cancel()
	work.Wait()
	h.check(t)
}

// more waits for so many more operations.
func (h *historian) more(t *testing.T, n int) {
	t.Helper()
	done := func() int {
		h.mu.Lock()
		defer h.mu.Unlock()
		return len(h.all["counter"]) + len(h.all["register"])
	}
	want := done() + n
	until(t, 30*time.Second, "clients go on", func() error {
		if done() < want {
			return errNotYet
		}
		return nil
	})
}
