package catalog

import (
	"context"
	"encoding/binary"
	"fmt"
	"slices"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/storage"
)

// MaxKeep is the longest that the secrets of a replaced credential help out.
const MaxKeep = 30 * 24 * time.Hour

// dropEvery is how often previous credentials are looked through.
const dropEvery = time.Minute

// Previous is a replaced credential that helps out while the vendor refuses the
// one in its place. Whoever uses it looks at Until; it never changes.
type Previous struct {
	Credential *rousev1.Credential
	Until      time.Time
}

// Previous is what the credential of that name replaced and still helps out, or
// was to until a moment ago; nil for none.
func (a *App) Previous(name string) *Previous { return a.previous[name] }

// replaced is what becomes the previous credential of the new one: at most one,
// so that no more than two secrets are in use. When the secrets are the same,
// as in a repeat of the put, it stays the one before.
func (a *App) replaced(by *rousev1.Credential, put Put) (*Previous, error) {
	current := a.credentials[by.GetName()]
	if put.Keep <= 0 || current == nil {
		return nil, nil
	}
	if Vendor(current) != Vendor(by) {
		return nil, fmt.Errorf("credential %q: keep_previous needs a credential of the same vendor, what it replaces is of %s: %w", by.GetName(), Vendor(current), ErrInvalid)
	}
	if slices.Equal(Secrets(current), Secrets(by)) {
		before := a.previous[by.GetName()]
		if before == nil {
			return nil, nil
		}
		current = before.Credential
	}
	return &Previous{Credential: current, Until: put.Now.Add(min(put.Keep, MaxKeep))}, nil
}

// Vendor names the vendor of a credential as the contract does: "apns", "fcm" and so on.
func Vendor(c *rousev1.Credential) protoreflect.Name {
	m := c.ProtoReflect()
	if kind := m.WhichOneof(m.Descriptor().Oneofs().ByName("vendor")); kind != nil {
		return kind.Name()
	}
	return ""
}

// storePrevious stores p beside the credential, or that there is none: 8 bytes of
// Unix milliseconds, big endian, and the credential, sealed together.
func (c *Catalog) storePrevious(app, name string, p *Previous) (storage.Mutation, error) {
	if p == nil {
		return storage.Mutation{Op: storage.Delete, Key: storage.AppendCatalogueKey(nil, kindPrevious, app, name)}, nil
	}
	return c.sealed(kindPrevious, app, name, binary.BigEndian.AppendUint64(nil, uint64(p.Until.UnixMilli())), p.Credential)
}

// setPrevious takes a stored previous credential in.
func (e *edit) setPrevious(names []string, value []byte) error {
	app, err := e.app(names[0])
	if err != nil {
		return err
	}
	plain, err := e.ring.Open(nil, credentialAAD(kindPrevious, names[0], names[1]), value)
	if err != nil {
		return fmt.Errorf("previous credential %q of app %q: %w", names[1], names[0], err)
	}
	defer clear(plain)
	p := &Previous{Credential: &rousev1.Credential{}}
	if len(plain) < 8 {
		return fmt.Errorf("previous credential %q of app %q: cut short", names[1], names[0])
	}
	p.Until = time.UnixMilli(int64(binary.BigEndian.Uint64(plain)))
	if err := proto.Unmarshal(plain[8:], p.Credential); err != nil {
		return err
	}
	app.previous[names[1]] = p
	e.changed[credentialName{names[0], names[1]}] = true
	return nil
}

func (e *edit) dropPrevious(names []string) {
	if app, err := e.app(names[0]); err == nil && app.previous[names[1]] != nil {
		delete(app.previous, names[1])
		e.changed[credentialName{names[0], names[1]}] = true
	}
}

// Run drops previous credentials soon after their time, until ctx ends.
func (c *Catalog) Run(ctx context.Context) {
	again := time.NewTicker(dropEvery)
	defer again.Stop()
	for {
		if c.mayWrite() {
			if err := c.forgetPrevious(time.Now()); err != nil {
				c.Logger.Error("a replaced credential whose time is over cannot be removed; trying again", "error", err)
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-again.C:
		}
	}
}

func (c *Catalog) mayWrite() bool {
	if c.Leads == nil {
		return true
	}
	_, ok := c.Leads()
	return ok
}

func (c *Catalog) forgetPrevious(now time.Time) error {
	defer c.settle()
	defer c.begin()()
	for _, app := range c.Apps() {
		for _, name := range sortedKeys(app.previous) {
			if now.Before(app.previous[name].Until) {
				continue
			}
			m, err := c.storePrevious(app.ID(), name, nil)
			if err == nil {
				err = c.write(m)
			}
			if err != nil {
				return err
			}
		}
	}
	return nil
}
