package catalog

import (
	"sync"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// Change tells that a credential is new or different, or gone.
type Change struct {
	App, Name string
	// Credential with its secrets; nil when it was deleted. It must not be changed.
	Credential *rousev1.Credential
	// Previous is what it replaced and still helps out; nil for none.
	Previous *Previous
}

// telling is what watchers are still to be told: names, so that a credential
// that changes faster than they listen is told once, as it is then.
type telling struct {
	waiting map[credentialName]bool
	order   []credentialName // of waiting
	running bool
	// queued counts the changes so far, told those that all watchers know.
	queued, told uint64
	done         sync.Cond // told has risen; its lock is Catalog.mu
}

// Watch calls fn for every credential there is, and from then on after each
// change that can be seen, on whichever node it was made. Calls come one after
// the other; of changes of one credential that come quickly fn may see the last
// alone. fn must not change the catalogue. Changes made on this node return
// after fn did.
func (c *Catalog) Watch(fn func(Change)) {
	c.tellMu.Lock()
	defer c.tellMu.Unlock()
	c.watchers = append(c.watchers, fn)
	for _, app := range c.Apps() {
		for _, name := range app.CredentialNames() {
			fn(app.change(name))
		}
	}
}

func (a *App) change(name string) Change {
	return Change{App: a.ID(), Name: name, Credential: a.credentials[name], Previous: a.previous[name]}
}

// tell hands changed credentials to the watchers; the caller holds mu.
func (c *Catalog) tell(changed map[credentialName]bool) {
	t := &c.telling
	for at := range changed {
		t.queued++
		if t.waiting[at] {
			continue
		}
		if t.waiting == nil {
			t.waiting = make(map[credentialName]bool)
		}
		t.waiting[at] = true
		t.order = append(t.order, at)
	}
	if len(t.order) > 0 && !t.running {
		t.running = true
		go c.tellAll()
	}
}

// tellAll tells until nothing is left.
func (c *Catalog) tellAll() {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := &c.telling
	for len(t.order) > 0 {
		order, upTo := t.order, t.queued
		t.order, t.waiting = nil, nil
		c.mu.Unlock()
		c.tellEach(order)
		c.mu.Lock()
		t.told = upTo
		t.done.Broadcast()
	}
	t.running = false
}

func (c *Catalog) tellEach(order []credentialName) {
	c.tellMu.Lock()
	defer c.tellMu.Unlock()
	for _, at := range order {
		change := Change{App: at.app, Name: at.name}
		if app, ok := c.App(at.app); ok {
			change = app.change(at.name)
		}
		c.Logger.Info("credential changed", "app", at.app, "credential", at.name, "deleted", change.Credential == nil)
		for _, fn := range c.watchers {
			fn(change)
		}
	}
}

// settle waits until the watchers know all changes that can be seen now.
func (c *Catalog) settle() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for upTo := c.telling.queued; c.telling.told < upTo; {
		c.telling.done.Wait()
	}
}
