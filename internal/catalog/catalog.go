// Package catalog keeps apps, their vendor credentials and their API keys. All
// of it is in memory and read without a lock; a change is committed to the meta
// group before it can be seen, and changes take turns.
//
// Credentials are sealed on disk, bound to their app and name. Of an API key
// only a keyed hash of its secret is stored.
package catalog

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"

	"google.golang.org/protobuf/proto"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/storage"
	"github.com/rouse-im/rouse/storage/seal"
)

// Bounds; what goes beyond is refused with ErrLimit.
const (
	MaxApps        = 10_000
	MaxCredentials = 256   // of one app
	MaxKeys        = 1_000 // of one app, and operator keys
	MaxTemplates   = 1_000 // of one app
)

// Kinds of keys in the catalogue family.
const (
	kindApp        = 'a' // app: rouse.v1.App
	kindCredential = 'c' // app, name: rouse.v1.Credential, sealed
	kindPrevious   = 'p' // app, name: end of its use, rouse.v1.Credential, sealed
	kindKey        = 'k' // key id: 32 bytes of hash, rouse.v1.ApiKey
	kindTemplate   = 't' // app, name: rouse.v1.Template
	kindWebhooks   = 'w' // app: rouse.v1.Webhooks, sealed
)

// Reasons of refusals; all messages say which object is meant.
var (
	ErrNotFound          = errors.New("not known")
	ErrExists            = errors.New("known already")
	ErrLimit             = errors.New("too many")
	ErrInvalid           = errors.New("not valid")
	ErrForbidden         = errors.New("for operator keys only")
	ErrInvalidCredential = errors.New("credential cannot be used")
	// ErrUnauthenticated is the one answer to every secret that is not of a key.
	ErrUnauthenticated = errors.New("unknown or revoked API key")
)

// Check tells why a vendor cannot use a credential. Its error holds no secret.
type Check func(*rousev1.Credential) error

// Options of a Catalog.
type Options struct {
	Store *storage.Store
	Ring  *seal.Ring
	// Check is asked before a credential is stored; nil takes all.
	Check Check
	// Leads is the term in which this node leads the meta group, and so may change
	// it; nil = the store is not replicated.
	Leads func() (term uint64, ok bool)
	// Propose writes an entry of the meta group in that term; nil with Leads.
	Propose func(term uint64, ms []storage.Mutation, done func(error))
	Logger  *slog.Logger
}

// Catalog is the set of all apps. Its methods may be called concurrently.
//
// What it shows are the committed entries of the meta group, whoever proposed
// them: a writer on this node proposes and waits until its entry has come back.
type Catalog struct {
	Options
	apps sync.Map // app id -> *App
	keys sync.Map // key id -> *key

	turn  sync.Mutex // held by a writer from its look at the state until what it wrote can be seen
	term  uint64     // in which the writer that has the turn began to lead
	leads bool

	mu sync.Mutex // held while committed entries are taken in; never while waiting for the disk
	// keysOf lists key ids by app; "" holds the operator keys.
	keysOf   map[string]map[string]*key
	appCount int
	telling  telling

	tellMu   sync.Mutex // held while watchers are told
	watchers []func(Change)
}

// Open reads the catalogue and follows it from then on. It fails when a
// credential cannot be unsealed.
func Open(o Options) (*Catalog, error) {
	c := &Catalog{Options: o, keysOf: make(map[string]map[string]*key)}
	c.telling.done.L = &c.mu
	// What is committed while it is read is taken in after it.
	o.Store.Watch(c.apply)
	if err := c.load(true); err != nil {
		return nil, err
	}
	return c, nil
}

// begin takes the turn, which end gives back. The term is read before the state:
// an entry that was decided by what an earlier leadership showed is refused.
func (c *Catalog) begin() (end func()) {
	c.turn.Lock()
	c.term, c.leads = 0, true
	if c.Leads != nil {
		c.term, c.leads = c.Leads()
	}
	return c.turn.Unlock
}

// write commits ms and waits until they can be seen. The caller has the turn.
func (c *Catalog) write(ms ...storage.Mutation) error {
	if !c.leads {
		return fmt.Errorf("catalog: %w", storage.ErrNotLeader)
	}
	stored := make(chan error, 1)
	done := func(err error) { stored <- err }
	if c.Propose == nil {
		c.Store.Propose(storage.MetaShard, ms, done)
	} else {
		c.Propose(c.term, ms, done)
	}
	if err := <-stored; err != nil {
		return fmt.Errorf("catalog: %w", err)
	}
	return nil
}

// set is the mutation that stores a record: head, then m.
func set(key, head []byte, m proto.Message) (storage.Mutation, error) {
	value, err := proto.MarshalOptions{Deterministic: true}.MarshalAppend(head, m)
	if err != nil {
		return storage.Mutation{}, fmt.Errorf("catalog: a %s cannot be stored: %w", m.ProtoReflect().Descriptor().Name(), err)
	}
	return storage.Mutation{Op: storage.Set, Key: key, Value: value}, nil
}

func sortedKeys[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for name := range m {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
