package catalog

import (
	"fmt"

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
	defer c.begin()()
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
	return c.write(m)
}

// DeleteTemplate removes a template that was put.
func (c *Catalog) DeleteTemplate(app, name string) error {
	defer c.begin()()
	old, err := c.known(app)
	if err != nil {
		return err
	}
	if _, ok := old.templates[name]; !ok {
		return fmt.Errorf("template %q of app %q is %w", name, app, ErrNotFound)
	}
	return c.write(storage.Mutation{
		Op: storage.Delete, Key: storage.AppendCatalogueKey(nil, kindTemplate, app, name),
	})
}

// setTemplate takes a stored template in.
func (e *edit) setTemplate(names []string, value []byte) error {
	app, err := e.app(names[0])
	if err != nil {
		return err
	}
	template := &rousev1.Template{}
	if err := proto.Unmarshal(value, template); err != nil {
		return err
	}
	app.templates[names[1]] = template
	return nil
}

func (e *edit) dropTemplate(names []string) {
	if app, err := e.app(names[0]); err == nil {
		delete(app.templates, names[1])
	}
}
