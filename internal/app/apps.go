package app

import (
	"sync"

	"github.com/rouse-im/rouse/actors/user"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/catalog"
	"github.com/rouse-im/rouse/internal/content"
)

// apps translates apps of the catalogue for the user actors, once per change.
type apps struct {
	catalog *catalog.Catalog
	cache   sync.Map // app id -> *translated
	// broken are credentials that no sender could be made of: (app, name).
	broken sync.Map
	// rotations are the *rotation of credentials that something helps out.
	rotations sync.Map
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
	for _, c := range credentials {
		_, broken := a.broken.Load(credentialName{id, c.GetName()})
		to.Notifiers[c.GetName()] = notifierOf(c, to.Notifiers[c.GetName()], broken)
	}
	if !to.AdvancedOff {
		to.Templates = templatesOf(from)
	}
	hooks := from.Webhooks()
	to.Telling = user.Telling{Outcomes: hooks.GetOutcomeUrl() != "", Accepted: hooks.GetAccepted(), Receipts: hooks.GetOutcomeUrl() != "" && hooks.GetReceipts()}
	a.cache.Store(id, &translated{from: from, to: to})
	return to
}

func templatesOf(a *catalog.App) *content.Templates {
	var put []*rousev1.Template
	for _, name := range a.TemplateNames() {
		t, _ := a.Template(name)
		put = append(put, t)
	}
	return content.NewTemplates(put)
}

// hooks are the webhooks of an app; nil when there is no such app.
func (a *apps) hooks(id string) *rousev1.Webhooks {
	app, ok := a.catalog.App(id)
	if !ok {
		return nil
	}
	return app.Webhooks()
}

func (a *apps) ids() (all []string) {
	for _, app := range a.catalog.Apps() {
		all = append(all, app.ID())
	}
	return all
}

// channel is the vendor of a credential in the words of Easemob's callback.
func (a *apps) channel(app, notifier string) string {
	from, ok := a.catalog.App(app)
	if !ok {
		return ""
	}
	c, _ := from.Credential(notifier)
	switch c.GetVendor().(type) {
	case *rousev1.Credential_Apns:
		return "APNS"
	case *rousev1.Credential_Fcm:
		return "ANDROID"
	case *rousev1.Credential_Huawei:
		return "HUAWEI"
	case *rousev1.Credential_Harmony:
		return "HARMONY"
	case *rousev1.Credential_Xiaomi:
		return "XIAOMI"
	case *rousev1.Credential_Oppo:
		return "OPPO"
	case *rousev1.Credential_Honor:
		return "HONOR"
	case *rousev1.Credential_Vivo:
		return "VIVO"
	case *rousev1.Credential_Meizu:
		return "MEIZU"
	}
	return ""
}

// notifierOf adds to a notifier what its vendor documents.
func notifierOf(c *rousev1.Credential, n user.Notifier, broken bool) user.Notifier {
	n.Invalid, n.Zone = broken, zoneOf(c)
	if n.MarketingCap == 0 {
		n.MarketingCap = limitsOf(c).marketing
	}
	return n
}
