package app

import (
	"sync"

	"github.com/rouse-im/rouse/actors/user"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/catalog"
)

// apps translates apps of the catalogue for the user actors, once per change.
type apps struct {
	catalog *catalog.Catalog
	cache   sync.Map // app id -> *translated
	// broken are credentials that no sender could be made of: (app, name).
	broken sync.Map
}

type translated struct {
	from *catalog.App // immutable: a change makes another
	to   *user.App
}

type credentialName struct{ app, name string }

func (a *apps) get(id string) *user.App {
	from, ok := a.catalog.App(id)
	if !ok {
		return nil
	}
	if t, ok := a.cache.Load(id); ok && t.(*translated).from == from {
		return t.(*translated).to
	}
	var credentials []*rousev1.Credential
	for _, name := range from.CredentialNames() {
		if c, ok := from.Credential(name); ok {
			credentials = append(credentials, c)
		}
	}
	to := user.NewApp(from.Settings(), credentials)
	for name, n := range to.Notifiers {
		if _, bad := a.broken.Load(credentialName{id, name}); bad {
			n.Invalid = true
			to.Notifiers[name] = n
		}
	}
	a.cache.Store(id, &translated{from: from, to: to})
	return to
}
