package bubble

import (
	"fmt"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/rouse-im/rouse/actors"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/simulations"
	"github.com/rouse-im/rouse/simulations/checker"
)

// registers are users beside those of the script, whose quiet window some clients
// set and read at any nodes while nodes are disturbed. What they see must fit an
// order in which each call takes place between question and answer.
type registers struct {
	e *Engine
	// began is when the last fault of nodes began, restless is until when they disturb.
	began, restless atomic.Int64
	end             chan struct{}
	work            sync.WaitGroup

	mu     sync.Mutex
	values uint32
	all    []checker.Register
}

const (
	registerUsers   = 2
	registerClients = 3 // of each
	// haste is how long after the beginning of a fault clients hurry: two nodes may
	// take themselves for the leader then.
	haste = 4 * time.Second
	// writeOneIn makes some 40 writes to a user in haste and one a second afterwards,
	// so that his record still knows the numbers of all commands that lie in the links
	// when a cut of 25 s ends: 64.
	writeOneIn = 6
	// aftermath is how long after a fault clients still look.
	aftermath = 3 * time.Second
)

func (e *Engine) openRegisters() *registers {
	s := &registers{e: e, end: make(chan struct{})}
	for user := range registerUsers {
		for client := range registerClients {
			r := rand.New(rand.NewPCG(e.o.Seed, uint64(0x4e6_0000+registerClients*user+client)))
			s.work.Go(func() { s.use(fmt.Sprint("register-", user), client, r) })
		}
	}
	return s
}

// disturbed by a fault that begins now.
func (s *registers) disturbed(f *simulations.Fault) {
	if f.Vendor == "" {
		s.began.Store(int64(f.At))
		s.restless.Store(max(s.restless.Load(), int64(f.At+f.For+simulations.At(aftermath))))
	}
}

// close and tell what clients saw.
func (s *registers) close() []checker.Register {
	close(s.end)
	s.work.Wait()
	return s.all
}

// use a register until the end.
func (s *registers) use(user string, client int, r *rand.Rand) {
	for {
		pause := 200 + r.Int64N(800)
		if int64(s.e.now()) < s.began.Load()+haste.Milliseconds() {
			pause /= 10
		}
		timer := time.NewTimer(time.Duration(pause) * time.Millisecond)
		select {
		case <-timer.C:
		case <-s.end:
			timer.Stop()
			return
		case <-s.e.over:
			timer.Stop()
			return
		}
		if int64(s.e.now()) > s.restless.Load() {
			continue
		}
		if r.IntN(writeOneIn) == 0 {
			s.write(user, client, r)
		} else {
			s.read(user, client, r)
		}
	}
}

func (s *registers) read(user string, client int, r *rand.Rand) {
	op := checker.Register{Key: user, Client: client, Call: s.e.now()}
	reply, ok := s.e.clients.ask(&actors.Envelope{App: appID, User: user, Command: &rousev1.GetUserSettingsRequest{UserId: user}}, r)
	if !ok || reply.Err != nil {
		return // it says nothing
	}
	for _, w := range reply.Response.(*rousev1.GetUserSettingsResponse).GetSettings().GetWindows() {
		op.Value = fmt.Sprint(w.GetStartMinute(), "-", w.GetEndMinute())
	}
	s.note(op)
}

// write a value that nobody else writes.
func (s *registers) write(user string, client int, r *rand.Rand) {
	s.mu.Lock()
	s.values++
	w := &rousev1.QuietWindow{StartMinute: s.values / 700, EndMinute: 700 + s.values%700}
	s.mu.Unlock()
	op := checker.Register{Key: user, Client: client, Write: true, Value: fmt.Sprint(w.GetStartMinute(), "-", w.GetEndMinute()), Call: s.e.now()}
	reply, ok := s.e.clients.ask(&actors.Envelope{App: appID, User: user, Command: &rousev1.SetUserSettingsRequest{UserId: user, Settings: &rousev1.UserSettings{Windows: []*rousev1.QuietWindow{w}}}}, r)
	op.Unknown = !ok || reply.Err != nil
	s.note(op)
}

func (s *registers) note(op checker.Register) {
	op.Return = s.e.now()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, op)
}
