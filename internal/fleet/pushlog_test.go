package fleet

import (
	"sync"
	"time"

	"github.com/rouse-im/rouse/vendors/fake"
)

// pushed is a message on a device.
type pushed struct{ token, message string }

// pushLog is what the vendor took: how often, by push id.
type pushLog struct {
	mu   sync.Mutex
	seen map[pushed]map[string]int
	at   []time.Time
}

func (l *pushLog) add(p fake.APNsPush) {
	l.mu.Lock()
	defer l.mu.Unlock()
	key := pushed{p.Token, p.MessageID}
	if l.seen[key] == nil {
		l.seen[key] = map[string]int{}
	}
	l.seen[key][p.ID]++
	l.at = append(l.at, p.At)
}

// of tells the push ids of a message, and how often it came in all.
func (l *pushLog) of(token, message string) (ids []string, times int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for id, n := range l.seen[pushed{token, message}] {
		ids = append(ids, id)
		times += n
	}
	return ids, times
}

// busiest is the most pushes in any second since a moment.
func (l *pushLog) busiest(since time.Time) (most, all int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var window []time.Time
	for _, at := range l.at {
		if at.Before(since) {
			continue
		}
		all++
		window = append(window, at)
		for at.Sub(window[0]) >= time.Second {
			window = window[1:]
		}
		most = max(most, len(window))
	}
	return most, all
}
