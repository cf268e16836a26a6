package catalog

import (
	"fmt"

	"google.golang.org/protobuf/proto"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/storage"
)

// Webhooks of the app, with their secret; never nil, and not to be changed.
func (a *App) Webhooks() *rousev1.Webhooks { return a.webhooks }

// PutWebhooks replaces the webhooks of an app. An empty secret keeps the old one.
func (c *Catalog) PutWebhooks(app string, hooks *rousev1.Webhooks) error {
	defer c.begin()()
	old, err := c.known(app)
	if err != nil {
		return err
	}
	hooks = proto.CloneOf(hooks)
	if hooks.GetSecret() == "" {
		hooks.Secret = old.webhooks.GetSecret()
	}
	m, err := set(storage.AppendCatalogueKey(nil, kindWebhooks, app), nil, hooks)
	if err != nil {
		return err
	}
	plain := m.Value
	m.Value = c.Ring.Seal(nil, webhooksAAD(app), plain)
	clear(plain)
	return c.write(m)
}

// setWebhooks takes stored webhooks in.
func (e *edit) setWebhooks(names []string, value []byte) error {
	app, err := e.app(names[0])
	if err != nil {
		return err
	}
	plain, err := e.ring.Open(nil, webhooksAAD(names[0]), value)
	if err != nil {
		return fmt.Errorf("webhooks of app %q: %w", names[0], err)
	}
	defer clear(plain)
	hooks := &rousev1.Webhooks{}
	if err := proto.Unmarshal(plain, hooks); err != nil {
		return err
	}
	app.webhooks = hooks
	return nil
}

// webhooksAAD binds sealed webhooks to their place.
func webhooksAAD(app string) []byte { return []byte("webhooks|" + app) }
