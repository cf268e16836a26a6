package cluster

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

	"github.com/hashicorp/memberlist"

	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
)

const (
	// maxKeys is one to send with and one that comes or goes. With no more than
	// two, memberlist's ring never moves keys that are being read.
	maxKeys = 2
	// maxKeyFile bounds what is read of a keyring's file, bytes.
	maxKeyFile = 4096
)

// Print names a key without telling it: the first 8 bytes of its SHA-256.
type Print uint64

// PrintOf is the print of a key.
func PrintOf(key []byte) Print {
	sum := sha256.Sum256(key)
	return Print(binary.BigEndian.Uint64(sum[:8]))
}

func (p Print) String() string { return fmt.Sprintf("%016x", uint64(p)) }

// Keyring holds the keys of all gossip. The first is sent with.
type Keyring struct {
	mu   sync.Mutex
	path string // empty = only in memory
	ring *memberlist.Keyring
}

// LoadKeyring reads a file with one key in base64 on each line, the one to send
// with first. Changes are written back to it.
func LoadKeyring(path string) (*Keyring, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("cluster: gossip keys: %w", err)
	}
	if len(b) > maxKeyFile {
		return nil, fmt.Errorf("cluster: %s has %d bytes, a file of gossip keys has at most %d", path, len(b), maxKeyFile)
	}
	var keys [][]byte
	for i, line := range strings.Split(string(b), "\n") {
		if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
			continue
		}
		key, err := base64.StdEncoding.DecodeString(line)
		if err != nil {
			return nil, fmt.Errorf("cluster: %s line %d is not base64", path, i+1) // the error would tell of the key
		}
		keys = append(keys, key)
	}
	k, err := NewKeyring(keys...)
	if err != nil {
		return nil, fmt.Errorf("%w (in %s)", err, path)
	}
	k.path = path
	return k, nil
}

// NewKeyring holds keys of 16, 24 or 32 bytes in memory, the one to send with first.
func NewKeyring(keys ...[]byte) (*Keyring, error) {
	if len(keys) == 0 || len(keys) > maxKeys {
		return nil, fmt.Errorf("cluster: %d gossip keys; there must be one, or two while one replaces the other", len(keys))
	}
	for i, key := range keys {
		if memberlist.ValidateKey(key) != nil {
			return nil, fmt.Errorf("cluster: gossip key %d has %d bytes; it must have 16, 24 or 32", i+1, len(key))
		}
	}
	ring, err := memberlist.NewKeyring(keys, keys[0])
	if err != nil {
		return nil, fmt.Errorf("cluster: gossip keys: %w", err)
	}
	return &Keyring{ring: ring}, nil
}

// Prints names the keys; the first is sent with.
func (k *Keyring) Prints() []Print {
	k.mu.Lock()
	defer k.mu.Unlock()
	var prints []Print
	for _, key := range k.ring.GetKeys() {
		prints = append(prints, PrintOf(key))
	}
	return prints
}

// step changes the ring, first on the disk. What is done already stays done.
func (k *Keyring) step(step actorv1.KeyOrder_Step, key []byte, p Print) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	keys := k.ring.GetKeys()
	next, err := stepKeys(keys, step, key, p)
	if err != nil || sameKeys(keys, next) {
		return err
	}
	if err := k.save(next); err != nil {
		return err
	}
	switch step {
	case actorv1.KeyOrder_STEP_INSTALL:
		return k.ring.AddKey(key)
	case actorv1.KeyOrder_STEP_USE:
		return k.ring.UseKey(next[0])
	default:
		return k.ring.RemoveKey(keys[1])
	}
}

// stepKeys says which keys there are after a step.
func stepKeys(keys [][]byte, step actorv1.KeyOrder_Step, key []byte, p Print) ([][]byte, error) {
	at := -1
	for i, k := range keys {
		if PrintOf(k) == p {
			at = i
		}
	}
	switch step {
	case actorv1.KeyOrder_STEP_LIST:
		return keys, nil
	case actorv1.KeyOrder_STEP_INSTALL:
		if at >= 0 {
			return keys, nil
		}
		if memberlist.ValidateKey(key) != nil {
			return nil, fmt.Errorf("the key has %d bytes; it must have 16, 24 or 32", len(key))
		}
		if len(keys) >= maxKeys {
			return nil, errors.New("there are two keys already; remove the one that is not used first")
		}
		return [][]byte{keys[0], key}, nil
	case actorv1.KeyOrder_STEP_USE:
		if at < 0 {
			return nil, fmt.Errorf("key %v is not installed", p)
		}
		if at == 0 {
			return keys, nil
		}
		return [][]byte{keys[at], keys[0]}, nil
	case actorv1.KeyOrder_STEP_REMOVE:
		if at == 0 {
			return nil, fmt.Errorf("key %v is in use", p)
		}
		if at < 0 {
			return keys, nil
		}
		return keys[:1], nil
	}
	return nil, fmt.Errorf("step %v is not known here; this node runs an older release", step)
}

func sameKeys(a, b [][]byte) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range a {
		if !bytes.Equal(a[i], b[i]) {
			return false
		}
	}
	return true
}

// save replaces the file as a whole. Several nodes of one machine may share it:
// each step leaves the same keys in it whoever is last.
func (k *Keyring) save(keys [][]byte) (err error) {
	if k.path == "" {
		return nil
	}
	var b strings.Builder
	for _, key := range keys {
		b.WriteString(base64.StdEncoding.EncodeToString(key))
		b.WriteByte('\n')
	}
	dir := filepath.Dir(k.path)
	f, err := os.CreateTemp(dir, ".gossip-*") // 0600
	if err != nil {
		return fmt.Errorf("gossip keys not saved: %w", err)
	}
	_, err = f.WriteString(b.String())
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), k.path)
	}
	if err != nil {
		return fmt.Errorf("gossip keys not saved: %w", errors.Join(err, os.Remove(f.Name())))
	}
	d, err := os.Open(dir)
	if err != nil {
		return fmt.Errorf("gossip keys not saved: %w", err)
	}
	if err := errors.Join(d.Sync(), d.Close()); err != nil {
		return fmt.Errorf("gossip keys may not be on the disk: %w", err)
	}
	return nil
}
