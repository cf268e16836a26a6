package demo

import (
	"slices"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// counter follows the day for the number that each push must show: the messages
// that its device has not fetched, without those that were read or recalled.
type counter struct {
	devices map[string][]*counted // by user
	// badges of pushes that show a message for the first time.
	badges map[wanted]int
	sent   map[string]bool
}

// counted is a device, and the messages that it has not fetched.
type counted struct {
	name, node string
	online     bool
	session    uint64
	unfetched  []string
}

// badges says what the pushes of each message must show on each device that
// was offline when it came.
func badges(lines []Line, verdicts []rousev1.ItemStatus) map[wanted]int {
	c := counter{devices: map[string][]*counted{}, badges: map[wanted]int{}, sent: map[string]bool{}}
	for i := range lines {
		c.follow(&lines[i], verdicts[i])
	}
	return c.badges
}

func (c *counter) follow(l *Line, verdict rousev1.ItemStatus) {
	switch l.Do {
	case Presence:
		if verdict == rousev1.ItemStatus_ITEM_STATUS_ACCEPTED {
			c.presence(l)
		}
	case Fetched:
		c.device(l).unfetched = nil
	case Read:
		c.forget(l.User, l.Messages)
	case Recall:
		if l.Text != "" {
			return
		}
		for _, u := range l.To {
			c.forget(u, []string{l.ID})
		}
	case Crash:
		for _, all := range c.devices {
			for _, d := range all {
				d.online = d.online && d.node != l.Node
			}
		}
	case Message:
		c.message(l)
	}
}

// presence: who connects gets what he has missed.
func (c *counter) presence(l *Line) {
	d := c.device(l)
	up := l.State == "connected" || l.State == "background"
	if up && (!d.online || d.session != l.Session) {
		d.unfetched = nil
	}
	d.online, d.session, d.node = up, l.Session, l.Node
}

func (c *counter) device(l *Line) *counted {
	all := c.devices[l.User]
	if i := slices.IndexFunc(all, func(d *counted) bool { return d.name == l.Device }); i >= 0 {
		return all[i]
	}
	d := &counted{name: l.Device}
	c.devices[l.User] = append(all, d)
	return d
}

func (c *counter) forget(user string, messages []string) {
	for _, d := range c.devices[user] {
		d.unfetched = slices.DeleteFunc(d.unfetched, func(id string) bool { return slices.Contains(messages, id) })
	}
}

// message counts for devices that are offline, unless it is the user's own, or
// of a kind that nobody has to fetch.
func (c *counter) message(l *Line) {
	if c.sent[l.ID] {
		return
	}
	c.sent[l.ID] = true
	for _, u := range l.To {
		for _, d := range c.devices[u] {
			if d.online {
				continue
			}
			if u != l.From && l.Kind == "" && !l.NoCount {
				d.unfetched = append(d.unfetched, l.ID)
			}
			c.badges[wanted{u, d.name, l.ID}] = len(d.unfetched)
		}
	}
}
