package bubble

import (
	"bytes"
	"fmt"
	"maps"
	"slices"

	"github.com/rouse-im/rouse/simulations"
	"github.com/rouse-im/rouse/simulations/checker"
)

// erasedAt are the users who were erased, and when the last erasure was answered.
func (e *Engine) erasedAt() map[string]simulations.Offset {
	all := map[string]simulations.Offset{}
	for _, t := range e.clients.told {
		if t.Event.Kind == simulations.Erase {
			all[t.User] = max(all[t.User], t.Answered)
		}
	}
	return all
}

// forgotten are the messages, by user, that were told before he was erased, and may
// have been decided before it.
func (e *Engine) forgotten() map[[2]string]bool {
	erased, all := e.erasedAt(), map[[2]string]bool{}
	for _, t := range e.clients.told {
		if at, ok := erased[t.User]; ok && t.Event.Kind == simulations.Message && t.Sent <= at {
			all[[2]string{t.User, t.Event.Message}] = true
		}
	}
	return all
}

// search the stores of all nodes for the devices of erased users that nothing was
// told of since.
func (e *Engine) search(h *checker.History) error {
	erased, gone, back := e.erasedAt(), map[string]string{}, map[string]bool{}
	for _, t := range e.clients.told {
		if t.Event.Device == "" {
			continue
		}
		if at, ok := erased[t.User]; ok && t.Answered < at {
			gone[t.Event.Device] = t.User
		} else {
			back[t.Event.Device] = true // or it is a guest's, too
		}
	}
	maps.DeleteFunc(gone, func(device, _ string) bool { return back[device] })
	if len(gone) == 0 {
		return nil
	}
	for _, m := range e.machines {
		node := m.run.Load().node
		bytes, found := int64(0), map[string]int{}
		for group := range uint16(e.o.Shards + 1) {
			if !node.Holds(group) {
				continue
			}
			all, err := contents(node.Store(), group)
			if err != nil {
				return err
			}
			for _, pair := range all {
				for _, text := range pair {
					bytes += int64(len(text))
					for device := range gone {
						found[device] += named(text, device)
					}
				}
			}
		}
		for _, device := range slices.Sorted(maps.Keys(gone)) {
			h.Canaries = append(h.Canaries, checker.Canary{
				What: fmt.Sprintf("device %s", device), Where: "the store of " + m.name, Bytes: bytes, Found: found[device], Erased: gone[device],
			})
		}
	}
	return nil
}

// named counts how often a name is in a text, and not only the begin of another.
func named(text []byte, name string) (n int) {
	for {
		at := bytes.Index(text, []byte(name))
		if at < 0 {
			return n
		}
		if text = text[at+len(name):]; len(text) == 0 || text[0] < '0' || text[0] > '9' {
			n++
		}
	}
}
