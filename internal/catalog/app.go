package catalog

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/storage"
)

// App is an app at one moment; it and all that it gives out never change.
type App struct {
	info        *rousev1.App
	credentials map[string]*rousev1.Credential
	previous    map[string]*Previous
	templates   map[string]*rousev1.Template
	webhooks    *rousev1.Webhooks
}

// ID names the app.
func (a *App) ID() string { return a.info.GetAppId() }

// Info is the app as the API shows it, with the settings as they were given.
// It must not be changed.
func (a *App) Info() *rousev1.App { return a.info }

// Settings are never nil; zero fields mean the defaults named in the API.
func (a *App) Settings() *rousev1.AppSettings { return a.info.GetSettings() }

// Credential finds a credential by name, with its secrets; it must not be changed.
func (a *App) Credential(name string) (*rousev1.Credential, bool) {
	cred, ok := a.credentials[name]
	return cred, ok
}

// CredentialNames are the names of all credentials, sorted.
func (a *App) CredentialNames() []string { return sortedKeys(a.credentials) }

// App finds an app. It takes no lock.
func (c *Catalog) App(id string) (*App, bool) {
	v, ok := c.apps.Load(id)
	if !ok {
		return nil, false
	}
	return v.(*App), true
}

// Apps lists all apps by id.
func (c *Catalog) Apps() []*App {
	var all []*App
	c.apps.Range(func(_, v any) bool {
		all = append(all, v.(*App))
		return true
	})
	slices.SortFunc(all, func(a, b *App) int { return strings.Compare(a.ID(), b.ID()) })
	return all
}

// CreateApp makes a new app; settings may be nil.
func (c *Catalog) CreateApp(id, displayName string, settings *rousev1.AppSettings, now time.Time) (*App, error) {
	defer c.begin()()
	if id == "" {
		return nil, fmt.Errorf("an empty app id is %w", ErrInvalid)
	}
	if _, ok := c.App(id); ok {
		return nil, fmt.Errorf("app %q is %w", id, ErrExists)
	}
	if c.countApps() >= MaxApps {
		return nil, fmt.Errorf("%w apps; at most %d can be kept", ErrLimit, MaxApps)
	}
	return c.putApp(&rousev1.App{
		AppId: id, DisplayName: displayName, Settings: settings, CreatedAt: timestamppb.New(now),
	})
}

// UpdateApp replaces the name for people and the settings of an app.
func (c *Catalog) UpdateApp(id, displayName string, settings *rousev1.AppSettings) (*App, error) {
	defer c.begin()()
	old, err := c.known(id)
	if err != nil {
		return nil, err
	}
	return c.putApp(&rousev1.App{
		AppId: id, DisplayName: displayName, Settings: settings, CreatedAt: old.info.GetCreatedAt(),
	})
}

// putApp stores info; the rest of the app stays.
func (c *Catalog) putApp(info *rousev1.App) (*App, error) {
	if zone := info.GetSettings().GetTimeZone(); zone != "" {
		if _, err := time.LoadLocation(zone); err != nil {
			return nil, fmt.Errorf("settings.time_zone: %q is no IANA zone such as Asia/Shanghai: %w", zone, ErrInvalid)
		}
	}
	info = proto.CloneOf(info)
	if info.Settings == nil {
		info.Settings = &rousev1.AppSettings{}
	}
	m, err := set(storage.AppendCatalogueKey(nil, kindApp, info.GetAppId()), nil, info)
	if err != nil {
		return nil, err
	}
	if err := c.write(m); err != nil {
		return nil, err
	}
	return c.known(info.GetAppId())
}

func (c *Catalog) countApps() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.appCount
}

// setApp takes a stored app in.
func (e *edit) setApp(names []string, value []byte) error {
	info := &rousev1.App{}
	if err := proto.Unmarshal(value, info); err != nil {
		return err
	}
	app, err := e.app(names[0])
	if err != nil {
		app = newApp()
		e.apps[names[0]] = app
	}
	app.info = info
	return nil
}

func (c *Catalog) known(id string) (*App, error) {
	app, ok := c.App(id)
	if !ok {
		return nil, fmt.Errorf("app %q is %w", id, ErrNotFound)
	}
	return app, nil
}
