package seal

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

const (
	indexName = "index"
	// maxKeys and maxTextBytes bound a ring's text.
	maxKeys      = 1000
	maxTextBytes = 64 << 10
)

// ErrBadKeys is matched by every refusal of a ring's text; the message says
// which line and never shows key material.
var ErrBadKeys = errors.New("seal: bad key ring")

// material is a ring's text, parsed: the keys in the order of the text.
type material struct {
	index []byte
	keys  []key
}

type key struct {
	id     uint32
	secret []byte
}

// Parse builds a Ring from text, as it stands in a key file or in the value of
// an environment variable:
//
//	# comment
//	index:<32 bytes in base64>
//	2:<32 bytes in base64>
//	1:<32 bytes in base64>
//
// Entries are separated by newlines or commas. Ids are decimal, 1..2^32-1. The
// first id is the current key, with which values are sealed; the others open
// older values. There is exactly one index key; losing it orphans every token
// owner record.
func Parse(text string) (*Ring, error) {
	m, err := parse(text)
	if err != nil {
		return nil, err
	}
	return m.ring()
}

func parse(text string) (material, error) {
	var m material
	if len(text) > maxTextBytes {
		return m, fmt.Errorf("%w: more than %d bytes", ErrBadKeys, maxTextBytes)
	}
	for i, line := range strings.Split(text, "\n") {
		if strings.HasPrefix(strings.TrimSpace(line), "#") {
			continue
		}
		for entry := range strings.SplitSeq(line, ",") {
			if err := m.add(strings.TrimSpace(entry)); err != nil {
				return material{}, fmt.Errorf("%w: line %d: %w", ErrBadKeys, i+1, err)
			}
		}
	}
	if m.index == nil {
		return m, fmt.Errorf("%w: no index key; a line %q is missing", ErrBadKeys, indexName+":<base64>")
	}
	if len(m.keys) == 0 {
		return m, fmt.Errorf("%w: no sealing key; a line %q is missing", ErrBadKeys, "1:<base64>")
	}
	return m, nil
}

func (m *material) add(entry string) error {
	if entry == "" {
		return nil
	}
	name, encoded, ok := strings.Cut(entry, ":")
	if !ok {
		return errors.New("want <id>:<base64>")
	}
	secret, err := base64.StdEncoding.Strict().DecodeString(strings.TrimSpace(encoded))
	if err != nil || len(secret) != keyBytes {
		return fmt.Errorf("want %d bytes in standard base64", keyBytes)
	}
	if m.knows(secret) {
		return errors.New("the same key stands twice")
	}
	if name = strings.TrimSpace(name); name == indexName {
		if m.index != nil {
			return errors.New("a second index key")
		}
		m.index = secret
		return nil
	}
	id, err := strconv.ParseUint(name, 10, 32)
	if err != nil || id == 0 {
		return errors.New("want a key id of 1..4294967295")
	}
	if len(m.keys) == maxKeys {
		return fmt.Errorf("more than %d keys", maxKeys)
	}
	if slices.ContainsFunc(m.keys, func(k key) bool { return k.id == uint32(id) }) {
		return fmt.Errorf("a second key %d", id)
	}
	m.keys = append(m.keys, key{uint32(id), secret})
	return nil
}

func (m *material) knows(secret []byte) bool {
	return string(m.index) == string(secret) ||
		slices.ContainsFunc(m.keys, func(k key) bool { return string(k.secret) == string(secret) })
}

// rotated returns the material with a new current key, one id above the
// highest.
func (m material) rotated() (material, error) {
	var id uint32
	for _, k := range m.keys {
		id = max(id, k.id)
	}
	if id+1 == 0 || len(m.keys) == maxKeys {
		return material{}, fmt.Errorf("%w: no room for another key; remove one that seals nothing any more", ErrBadKeys)
	}
	m.keys = append([]key{{id + 1, newSecret()}}, m.keys...)
	return m, nil
}

func (m material) text() string {
	var b strings.Builder
	b.WriteString("# Key ring: the first numbered key seals, the others open older values.\n" +
		"# The index key must never change. Keep a copy of this file apart from the data.\n")
	line := func(name string, secret []byte) {
		fmt.Fprintf(&b, "%s:%s\n", name, base64.StdEncoding.EncodeToString(secret))
	}
	line(indexName, m.index)
	for _, k := range m.keys {
		line(strconv.FormatUint(uint64(k.id), 10), k.secret)
	}
	return b.String()
}

func newSecret() []byte {
	secret := make([]byte, keyBytes)
	rand.Read(secret) //nolint:errcheck // never fails, see crypto/rand
	return secret
}
