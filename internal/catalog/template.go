package catalog

import (
	"fmt"
	"maps"

	"google.golang.org/protobuf/proto"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/storage"
)

// Template finds a template that was put; built-in ones are not among them.
func (a *App) Template(name string) (*rousev1.Template, bool) {
	t, ok := a.templates[name]
	return t, ok
}

// TemplateNames are the names of all templates that were put, sorted.
func (a *App) TemplateNames() []string { return sortedKeys(a.templates) }

// PutTemplate creates or replaces a template.
func (c *Catalog) PutTemplate(app string, template *rousev1.Template) error {
	template = proto.CloneOf(template)
	name := template.GetName()
	if name == "" {
		return fmt.Errorf("a template without a name is %w", ErrInvalid)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	old, err := c.known(app)
	if err != nil {
		return err
	}
	if _, ok := old.templates[name]; !ok && len(old.templates) >= MaxTemplates {
		return fmt.Errorf("%w templates in app %q; at most %d can be kept", ErrLimit, app, MaxTemplates)
	}
	m, err := set(storage.AppendCatalogueKey(nil, kindTemplate, app, name), nil, template)
	if err != nil {
		return err
	}
	if err := c.write(m); err != nil {
		return err
	}
	next := *old
	next.templates = maps.Clone(old.templates)
	if next.templates == nil {
		next.templates = make(map[string]*rousev1.Template)
	}
	next.templates[name] = template
	c.apps.Store(app, &next)
	return nil
}

// DeleteTemplate removes a template that was put.
func (c *Catalog) DeleteTemplate(app, name string) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	old, err := c.known(app)
	if err != nil {
		return err
	}
	if _, ok := old.templates[name]; !ok {
		return fmt.Errorf("template %q of app %q is %w", name, app, ErrNotFound)
	}
	if err := c.write(storage.Mutation{
		Op: storage.Delete, Key: storage.AppendCatalogueKey(nil, kindTemplate, app, name),
	}); err != nil {
		return err
	}
	next := *old
	next.templates = maps.Clone(old.templates)
	delete(next.templates, name)
	c.apps.Store(app, &next)
	return nil
}

func (c *Catalog) loadTemplate(key, value []byte) error {
	names, template := make([]string, 2), &rousev1.Template{}
	if err := parse(key, value, names, template); err != nil {
		return err
	}
	app, err := c.known(names[0])
	if err != nil {
		return err
	}
	if app.templates == nil {
		app.templates = make(map[string]*rousev1.Template)
	}
	app.templates[names[1]] = template // nobody else sees the app yet
	return nil
}
