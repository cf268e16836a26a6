package demo

import "sync"

// ledger keeps what the fakes took, by push id. The day bounds it.
type ledger struct {
	mu     sync.Mutex
	pushes map[string]*sighting
	last   map[string]string // by token: id of the last push
	taken  int
}

// sighting is one push id as a vendor saw it.
type sighting struct {
	Pushed
	times int
}

func newLedger() *ledger {
	return &ledger{pushes: map[string]*sighting{}, last: map[string]string{}}
}

func (l *ledger) push(p Pushed) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.taken++
	l.last[p.Token] = p.ID
	s := l.pushes[p.ID]
	if s == nil {
		s = &sighting{Pushed: p}
		l.pushes[p.ID] = s
	}
	s.times++
}

// doubled counts the (token, message) pairs that came under more than one id.
func (l *ledger) doubled() int {
	type pair struct{ token, message string }
	ids := map[pair]int{}
	n := 0
	for _, s := range l.pushes {
		p := pair{s.Token, s.Message}
		if ids[p]++; ids[p] == 2 {
			n++
		}
	}
	return n
}
