package certs

import (
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

const (
	keySize = 32 // AES-256
	maxKeys = 16
)

// ReadKeyring answers the keys of gossip; the first is the one in use.
func ReadKeyring(dir string) ([][]byte, error) {
	path := filepath.Join(dir, "gossip.key")
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("certs: keyring of gossip: %w", err)
	}
	var keys [][]byte
	n := 0
	for line := range strings.Lines(string(text)) {
		n++
		if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		key, err := base64.StdEncoding.DecodeString(line)
		if err != nil || len(key) != keySize {
			return nil, fmt.Errorf("certs: %s, line %d: not a key of %d bytes in base64", path, n, keySize)
		}
		keys = append(keys, key)
	}
	return keys, checkKeys(path, keys)
}

func checkKeys(path string, keys [][]byte) error {
	if len(keys) == 0 || len(keys) > maxKeys {
		return fmt.Errorf("certs: %s holds %d keys; it takes 1 to %d", path, len(keys), maxKeys)
	}
	for i, k := range keys {
		for _, other := range keys[:i] {
			if bytes.Equal(k, other) {
				return fmt.Errorf("certs: %s holds a key twice", path)
			}
		}
	}
	return nil
}

// WriteKeyring replaces the keys of gossip; the first is the one to use.
func WriteKeyring(dir string, keys [][]byte) error {
	path := filepath.Join(dir, "gossip.key")
	if err := checkKeys(path, keys); err != nil {
		return err
	}
	var text []byte
	for _, k := range keys {
		if len(k) != keySize {
			return fmt.Errorf("certs: a key of gossip has %d bytes, not %d", len(k), keySize)
		}
		text = append(base64.StdEncoding.AppendEncode(text, k), '\n')
	}
	return replace(path, text)
}

func newKeyring() []byte {
	key := make([]byte, keySize)
	_, _ = rand.Read(key) // never fails
	return append(base64.StdEncoding.AppendEncode(nil, key), '\n')
}
