package quiet

import (
	"sync"
	"time"
	_ "time/tzdata" // for machines that have no tables of zones
)

// maxZones bounds the names that are kept; there are some 600 real ones. Beyond
// it all are forgotten and read again.
const maxZones = 1024

// Zones keeps the time zones that were asked for. The zero value is ready; nil
// keeps none.
type Zones struct {
	mu    sync.RWMutex
	known map[string]*time.Location // nil: there is none of that name
}

// Find returns the IANA zone of that name, or nil. The empty name and "Local",
// which is the server's own zone, are none.
func (z *Zones) Find(name string) *time.Location {
	if name == "" || name == "Local" {
		return nil
	}
	if z == nil {
		return load(name)
	}
	z.mu.RLock()
	l, ok := z.known[name]
	z.mu.RUnlock()
	if ok {
		return l
	}
	l = load(name)
	z.mu.Lock()
	defer z.mu.Unlock()
	if z.known == nil || len(z.known) >= maxZones {
		z.known = map[string]*time.Location{}
	}
	z.known[name] = l
	return l
}

func load(name string) *time.Location {
	l, err := time.LoadLocation(name)
	if err != nil {
		return nil
	}
	return l
}
