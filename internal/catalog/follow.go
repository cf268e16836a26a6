package catalog

import (
	"errors"
	"fmt"
	"maps"

	"google.golang.org/protobuf/proto"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/storage"
	"github.com/rouse-im/rouse/storage/seal"
)

// record is one kind of records and how it changes what is shown. Kinds are
// read in this order: an app before what belongs to it.
type record struct {
	what  string
	all   storage.Range
	parts int // of its key
	set   func(e *edit, names []string, value []byte) error
	drop  func(e *edit, names []string)
}

var records = []record{
	{what: "app", all: storage.CatalogueRange(kindApp), parts: 1, set: (*edit).setApp, drop: func(*edit, []string) {}}, // apps are never deleted
	{what: "credential", all: storage.CatalogueRange(kindCredential), parts: 2, set: (*edit).setCredential, drop: (*edit).dropCredential},
	{what: "replaced credential", all: storage.CatalogueRange(kindPrevious), parts: 2, set: (*edit).setPrevious, drop: (*edit).dropPrevious},
	{what: "template", all: storage.CatalogueRange(kindTemplate), parts: 2, set: (*edit).setTemplate, drop: (*edit).dropTemplate},
	{what: "webhook", all: storage.CatalogueRange(kindWebhooks), parts: 1, set: (*edit).setWebhooks, drop: func(*edit, []string) {}}, // they are replaced by empty ones
	{what: "API key", all: storage.CatalogueRange(kindKey), parts: 1, set: (*edit).setKey, drop: (*edit).dropKey},
}

// edit gathers changes of what is shown. Apps in it are copies that nobody else
// sees; what is left of a copy is shown by show.
type edit struct {
	ring *seal.Ring
	// shown finds an app that is not in apps yet; nil = there are no others.
	shown   func(id string) (*App, bool)
	apps    map[string]*App
	keys    map[string]*key // nil = it is gone
	changed map[credentialName]bool
}

type credentialName struct{ app, name string }

func (c *Catalog) newEdit(shown func(string) (*App, bool)) *edit {
	return &edit{ring: c.Ring, shown: shown, apps: map[string]*App{}, keys: map[string]*key{}, changed: map[credentialName]bool{}}
}

// app is the copy of an app to change.
func (e *edit) app(id string) (*App, error) {
	app := e.apps[id]
	if app == nil && e.shown != nil {
		if old, ok := e.shown(id); ok {
			app = newApp()
			app.info, app.webhooks = old.info, old.webhooks
			maps.Copy(app.credentials, old.credentials)
			maps.Copy(app.previous, old.previous)
			maps.Copy(app.templates, old.templates)
			e.apps[id] = app
		}
	}
	if app == nil {
		return nil, fmt.Errorf("app %q is %w", id, ErrNotFound)
	}
	return app, nil
}

func newApp() *App {
	return &App{
		webhooks: &rousev1.Webhooks{}, credentials: map[string]*rousev1.Credential{},
		previous: map[string]*Previous{}, templates: map[string]*rousev1.Template{},
	}
}

// apply takes committed entries of the meta group in. It runs on the writer of
// the store: nothing in it waits. A record that cannot be read, as under a
// sealing key that this node lacks, is left out until the next start.
func (c *Catalog) apply(ms []storage.Mutation) {
	if ms == nil {
		c.reload()
		return
	}
	e := c.newEdit(c.App)
	for i := range ms {
		m := &ms[i]
		for j := range records {
			r := &records[j]
			if !r.all.Contains(m.Key) {
				continue
			}
			if err := e.take(r, m.Op, m.Key, m.Value); err != nil {
				c.Logger.Error("a committed record cannot be used on this node; give it the sealing keys of the others and restart it", "record", r.what, "error", err)
			}
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.show(e)
}

// take changes the copies as one mutation does.
func (e *edit) take(r *record, op storage.Op, key, value []byte) error {
	names := make([]string, r.parts)
	if _, err := storage.ParseCatalogueKey(key, names); err != nil {
		return err
	}
	switch op {
	case storage.Set:
		return r.set(e, names, value)
	case storage.Delete:
		r.drop(e, names)
	case storage.DeleteRange: // nobody proposes one for the catalogue
		return errors.New("a range of records was deleted")
	}
	return nil
}

// show makes an edit visible; the caller holds mu.
func (c *Catalog) show(e *edit) {
	for id, app := range e.apps {
		if _, was := c.apps.Swap(id, app); !was {
			c.appCount++
		}
	}
	for id, k := range e.keys {
		if k == nil {
			c.hideKey(id)
		} else {
			c.showKey(k)
		}
	}
	c.tell(e.changed)
}

// load shows what is stored instead of what is shown, and tells what differs
// unless it is the first.
func (c *Catalog) load(first bool) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.newEdit(nil)
	for i := range records {
		r := &records[i]
		var bad error
		err := c.Store.Scan(r.all, func(key, value []byte) bool {
			bad = e.take(r, storage.Set, key, value)
			return bad == nil
		})
		if err := errors.Join(err, bad); err != nil {
			return fmt.Errorf("catalog: reading a stored %s: %w", r.what, err)
		}
	}
	if first {
		clear(e.changed)
	}
	c.replace(e)
	return nil
}

// reload follows a snapshot of the meta group that took the place of its records.
func (c *Catalog) reload() {
	if err := c.load(false); err != nil {
		c.Logger.Error("the catalogue cannot be read after a snapshot; this node goes on with what it knew; restart it", "error", err)
	}
}

// replace shows what e has and nothing else; the caller holds mu.
func (c *Catalog) replace(e *edit) {
	for _, old := range c.Apps() {
		app := e.apps[old.ID()]
		if app == nil {
			c.apps.Delete(old.ID())
			c.appCount--
			app = &App{}
		}
		for name, credential := range old.credentials {
			at := credentialName{old.ID(), name}
			if proto.Equal(credential, app.credentials[name]) && old.previous[name] == nil && app.previous[name] == nil {
				delete(e.changed, at)
			} else {
				e.changed[at] = true
			}
		}
	}
	c.keys.Range(func(id, _ any) bool {
		if e.keys[id.(string)] == nil {
			e.keys[id.(string)] = nil
		}
		return true
	})
	c.show(e)
}
