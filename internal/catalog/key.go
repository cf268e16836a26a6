package catalog

import (
	"crypto/hmac"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/storage"
)

// Principal is who calls.
type Principal struct {
	KeyID string
	// App of the key; empty for an operator.
	App  string
	Role rousev1.Role
}

// key is a stored API key; it never changes.
type key struct {
	info *rousev1.ApiKey
	sum  [sumBytes]byte
}

// Authenticate finds the key that a secret belongs to, or ErrUnauthenticated.
// It takes no lock.
func (c *Catalog) Authenticate(secret string) (Principal, error) {
	id, ok := keyID(secret)
	if !ok {
		return Principal{}, ErrUnauthenticated
	}
	v, ok := c.keys.Load(id)
	if !ok {
		return Principal{}, ErrUnauthenticated
	}
	k := v.(*key)
	sum := c.sum(secret)
	if !hmac.Equal(sum[:], k.sum[:]) {
		return Principal{}, ErrUnauthenticated
	}
	return Principal{KeyID: id, App: k.info.GetAppId(), Role: k.info.GetRole()}, nil
}

// Active tells whether a key that was authenticated is still not revoked. It
// takes no lock.
func (c *Catalog) Active(keyID string) bool {
	_, ok := c.keys.Load(keyID)
	return ok
}

// CreateKey makes a key of an app, or an operator key when app is empty, and
// returns the secret, which is not kept.
func (c *Catalog) CreateKey(app string, role rousev1.Role, note string, now time.Time) (*rousev1.ApiKey, string, error) {
	defer c.begin()()
	if (app == "") != (role == rousev1.Role_ROLE_OPERATOR) {
		return nil, "", fmt.Errorf("a key of role %s for app %q is %w; operator keys belong to no app, all others to one", role, app, ErrInvalid)
	}
	if app != "" {
		if _, err := c.known(app); err != nil {
			return nil, "", err
		}
	}
	secret := newSecret()
	info, err := c.putKey(secret, app, role, note, now)
	if err != nil {
		return nil, "", err
	}
	return info, secret, nil
}

// Bootstrap makes an operator key when there is none, as at the very first
// start, and tells whether it did. keep must store the secret in a safe place:
// it is called before the key takes effect, so that a crash between the two
// leaves a useless secret, and not a key that nobody can use.
func (c *Catalog) Bootstrap(now time.Time, keep func(secret string) error) (bool, error) {
	defer c.begin()()
	if c.countKeys("") > 0 {
		return false, nil
	}
	secret := newSecret()
	if err := keep(secret); err != nil {
		return false, fmt.Errorf("catalog: keeping the first operator key: %w", err)
	}
	_, err := c.putKey(secret, "", rousev1.Role_ROLE_OPERATOR, "made at the first start", now)
	return err == nil, err
}

func (c *Catalog) putKey(secret, app string, role rousev1.Role, note string, now time.Time) (*rousev1.ApiKey, error) {
	if c.countKeys(app) >= MaxKeys {
		return nil, fmt.Errorf("%w API keys of app %q; at most %d can be kept, revoke one", ErrLimit, app, MaxKeys)
	}
	id, _ := keyID(secret)
	k := &key{sum: c.sum(secret), info: &rousev1.ApiKey{
		KeyId: id, AppId: app, Role: role, Note: note, CreatedAt: timestamppb.New(now),
	}}
	m, err := set(storage.AppendCatalogueKey(nil, kindKey, id), k.sum[:], k.info)
	if err != nil {
		return nil, err
	}
	if err := c.write(m); err != nil {
		return nil, err
	}
	return k.info, nil
}

func (c *Catalog) countKeys(app string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.keysOf[app])
}

// RevokeKey ends a key of the app, or an operator key when app is empty. The
// last operator key stays: without it nobody could make another.
func (c *Catalog) RevokeKey(app, id string) error {
	defer c.begin()()
	if k, ok := c.keys.Load(id); !ok || k.(*key).info.GetAppId() != app {
		return fmt.Errorf("API key %q of app %q is %w", id, app, ErrNotFound)
	}
	if app == "" && c.countKeys(app) == 1 {
		return fmt.Errorf("revoking the last operator key is %w; create another one first", ErrInvalid)
	}
	return c.write(storage.Mutation{Op: storage.Delete, Key: storage.AppendCatalogueKey(nil, kindKey, id)})
}

// ListKeys lists the keys of an app, or the operator keys, the oldest first.
func (c *Catalog) ListKeys(app string) []*rousev1.ApiKey {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]*rousev1.ApiKey, 0, len(c.keysOf[app]))
	for _, k := range c.keysOf[app] {
		all = append(all, k.info)
	}
	slices.SortFunc(all, func(a, b *rousev1.ApiKey) int {
		if n := a.GetCreatedAt().AsTime().Compare(b.GetCreatedAt().AsTime()); n != 0 {
			return n
		}
		return strings.Compare(a.GetKeyId(), b.GetKeyId())
	})
	return all
}

// showKey makes a key usable; the caller holds mu.
func (c *Catalog) showKey(k *key) {
	c.hideKey(k.info.GetKeyId())
	app := k.info.GetAppId()
	if c.keysOf[app] == nil {
		c.keysOf[app] = make(map[string]*key)
	}
	c.keysOf[app][k.info.GetKeyId()] = k
	c.keys.Store(k.info.GetKeyId(), k)
}

// hideKey ends a key; the caller holds mu.
func (c *Catalog) hideKey(id string) {
	if old, ok := c.keys.LoadAndDelete(id); ok {
		delete(c.keysOf[old.(*key).info.GetAppId()], id)
	}
}

// setKey takes a stored key in.
func (e *edit) setKey(names []string, value []byte) error {
	if len(value) < sumBytes {
		return errors.New("the record is too short")
	}
	k := &key{sum: [sumBytes]byte(value), info: &rousev1.ApiKey{}}
	if err := proto.Unmarshal(value[sumBytes:], k.info); err != nil {
		return err
	}
	e.keys[names[0]] = k
	return nil
}

func (e *edit) dropKey(names []string) { e.keys[names[0]] = nil }
