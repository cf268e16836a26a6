package demo

import (
	"cmp"
	"sync"
)

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

// token that a push was for; empty = it was not seen.
func (l *ledger) token(push string) string {
	l.mu.Lock()
	defer l.mu.Unlock()
	if s := l.pushes[push]; s != nil {
		return s.Token
	}
	return ""
}

// doubled counts the messages that came to a token under more than one id. A
// push that overwrites one is of another message, by its outcome.
func (p *played) doubled() (n int) {
	messages := map[string]string{} // by push id
	for _, list := range p.outcomes {
		for _, o := range list {
			messages[o.GetPushId()] = o.GetMessageId()
		}
	}
	type pair struct{ token, message string }
	ids := map[pair]int{}
	for id, s := range p.seen.pushes {
		of := pair{s.Token, cmp.Or(messages[id], s.Message)}
		if ids[of]++; ids[of] == 2 {
			n++
		}
	}
	return n
}
