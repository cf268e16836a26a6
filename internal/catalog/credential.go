package catalog

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/descriptorpb"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/storage"
)

// Put says how PutCredential replaces one.
type Put struct {
	// Keep is how long the secrets that are replaced help out; 0 = not at all.
	Keep time.Duration
	Now  time.Time
	// MayBan: whoever puts it may set a ban, or clear one.
	MayBan bool
}

// PutCredential creates or replaces a credential, after Check has taken it.
func (c *Catalog) PutCredential(app string, credential *rousev1.Credential, put Put) error {
	credential = proto.CloneOf(credential)
	name := credential.GetName()
	if name == "" {
		return fmt.Errorf("a credential without a name is %w", ErrInvalid)
	}
	if c.Check != nil {
		if err := c.Check(credential); err != nil {
			return fmt.Errorf("%q: %w: %w", name, ErrInvalidCredential, err)
		}
	}
	defer c.settle()
	defer c.begin()()
	old, err := c.known(app)
	if err != nil {
		return err
	}
	if _, ok := old.credentials[name]; !ok && len(old.credentials) >= MaxCredentials {
		return fmt.Errorf("%w credentials in app %q; at most %d can be kept", ErrLimit, app, MaxCredentials)
	}
	if old.credentials[name].GetBanned() != credential.GetBanned() && !put.MayBan {
		return errBan(name)
	}
	previous, err := old.replaced(credential, put)
	if err != nil {
		return err
	}
	ms := make([]storage.Mutation, 2)
	if ms[0], err = c.sealed(kindCredential, app, name, nil, credential); err != nil {
		return err
	}
	if ms[1], err = c.storePrevious(app, name, previous); err != nil {
		return err
	}
	return c.write(ms...)
}

// sealed is the mutation that stores a credential, head before it.
func (c *Catalog) sealed(kind byte, app, name string, head []byte, credential *rousev1.Credential) (storage.Mutation, error) {
	m, err := set(storage.AppendCatalogueKey(nil, kind, app, name), head, credential)
	if err != nil {
		return m, err
	}
	plain := m.Value
	m.Value = c.Ring.Seal(nil, credentialAAD(kind, app, name), plain)
	clear(plain)
	return m, nil
}

func errBan(name string) error {
	return fmt.Errorf("credential %q: setting or clearing a ban is %w", name, ErrForbidden)
}

// DeleteCredential removes a credential. Without mayBan a banned one is kept:
// to delete it would clear its ban.
func (c *Catalog) DeleteCredential(app, name string, mayBan bool) error {
	defer c.settle()
	defer c.begin()()
	old, err := c.known(app)
	if err != nil {
		return err
	}
	credential, ok := old.credentials[name]
	switch {
	case !ok:
		return fmt.Errorf("credential %q of app %q is %w", name, app, ErrNotFound)
	case credential.GetBanned() && !mayBan:
		return errBan(name)
	}
	return c.write(
		storage.Mutation{Op: storage.Delete, Key: storage.AppendCatalogueKey(nil, kindCredential, app, name)},
		storage.Mutation{Op: storage.Delete, Key: storage.AppendCatalogueKey(nil, kindPrevious, app, name)},
	)
}

// setCredential takes a stored credential in.
func (e *edit) setCredential(names []string, value []byte) error {
	app, err := e.app(names[0])
	if err != nil {
		return err
	}
	plain, err := e.ring.Open(nil, credentialAAD(kindCredential, names[0], names[1]), value)
	if err != nil {
		return fmt.Errorf("credential %q of app %q: %w", names[1], names[0], err)
	}
	defer clear(plain)
	credential := &rousev1.Credential{}
	if err := proto.Unmarshal(plain, credential); err != nil {
		return err
	}
	app.credentials[names[1]] = credential
	e.changed[credentialName{names[0], names[1]}] = true
	return nil
}

func (e *edit) dropCredential(names []string) {
	if app, err := e.app(names[0]); err == nil && app.credentials[names[1]] != nil {
		delete(app.credentials, names[1])
		e.changed[credentialName{names[0], names[1]}] = true
	}
}

// credentialAAD binds a sealed credential to its place. App ids hold no '|'.
func credentialAAD(kind byte, app, name string) []byte {
	if kind == kindPrevious {
		return []byte("previous|" + app + "|" + name)
	}
	return []byte("credential|" + app + "|" + name)
}

// Redacted is a credential or webhooks without their secrets, which the
// contract marks with debug_redact.
func Redacted[M proto.Message](m M) M {
	m = proto.CloneOf(m)
	dropSecrets(m.ProtoReflect())
	m.ProtoReflect().Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
		if field.Message() != nil && !field.IsList() && !field.IsMap() {
			dropSecrets(value.Message())
		}
		return true
	})
	return m
}

func dropSecrets(m protoreflect.Message) {
	m.Range(func(field protoreflect.FieldDescriptor, _ protoreflect.Value) bool {
		if isSecret(field) {
			m.Clear(field)
		}
		return true
	})
}

func isSecret(field protoreflect.FieldDescriptor) bool {
	return field.Options().(*descriptorpb.FieldOptions).GetDebugRedact()
}

// Secrets are the values of a credential that Redacted leaves out.
func Secrets(c *rousev1.Credential) (all []string) {
	var gather func(m protoreflect.Message)
	gather = func(m protoreflect.Message) {
		m.Range(func(field protoreflect.FieldDescriptor, value protoreflect.Value) bool {
			switch {
			case isSecret(field) && field.Kind() == protoreflect.BytesKind:
				all = append(all, string(value.Bytes()))
			case isSecret(field):
				all = append(all, value.String())
			case field.Message() != nil && !field.IsList() && !field.IsMap():
				gather(value.Message())
			}
			return true
		})
	}
	gather(c.ProtoReflect())
	return all
}
