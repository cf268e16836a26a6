package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"go.yaml.in/yaml/v4"
)

// maxFile bounds the configuration file, in bytes.
const maxFile = 1 << 20

// Load reads the file at path (none when path is empty), applies the overrides
// in env ("KEY=value", as os.Environ gives them) and checks the result. The
// error joins all faults; those of the file carry its name and line.
func Load(path string, env []string) (Config, error) {
	c := Default()
	var faults []error
	if path != "" {
		text, err := read(path)
		if err != nil {
			return Config{}, fmt.Errorf("reading the configuration: %w", err)
		}
		faults = append(faults, overlay(&c, path, text)...)
	}
	faults = append(faults, overrides(&c, env)...)
	if len(faults) == 0 {
		faults = append(faults, c.Validate())
	}
	if err := errors.Join(faults...); err != nil {
		return Config{}, err
	}
	return c, nil
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close() //nolint:errcheck // opened for reading
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%s is larger than %s", path, Size(maxFile))
	}
	return text, err
}

// overlay lays the file's keys over c.
func overlay(c *Config, path string, text []byte) []error {
	var doc yaml.Node
	if err := yaml.NewDecoder(bytes.NewReader(text)).Decode(&doc); err != nil {
		if errors.Is(err, io.EOF) { // nothing but comments
			return nil
		}
		return []error{fmt.Errorf("%s: %w", path, err)}
	}
	if len(doc.Content) == 0 || isNull(doc.Content[0]) {
		return nil
	}
	all := sections(c)
	names := make([]string, len(all))
	for i, s := range all {
		names[i] = s.name
	}
	var faults []error
	pairs(path, "the file", doc.Content[0], &faults, func(key, value *yaml.Node) {
		for _, s := range all {
			if s.name == key.Value {
				s.fill(path, value, &faults)
				return
			}
		}
		faults = append(faults, unknown(path, "section", key, names))
	})
	return faults
}

// fill sets the fields of one section.
func (s section) fill(path string, block *yaml.Node, faults *[]error) {
	if isNull(block) {
		return
	}
	names := make([]string, len(s.fields))
	for i, f := range s.fields {
		names[i] = f.key
	}
	pairs(path, s.name, block, faults, func(key, value *yaml.Node) {
		for _, f := range s.fields {
			if f.key != key.Value {
				continue
			}
			if value.Kind != yaml.ScalarNode {
				*faults = append(*faults, fmt.Errorf("%s:%d: %s takes one value, not a list or a block", path, value.Line, f.path()))
			} else if err := set(f.value, value.Value); err != nil {
				*faults = append(*faults, fmt.Errorf("%s:%d: %s %w", path, value.Line, f.path(), err))
			}
			return
		}
		*faults = append(*faults, unknown(path, "key of "+s.name, key, names))
	})
}

// pairs calls do for each key of a mapping; a key given twice is a fault.
func pairs(path, what string, node *yaml.Node, faults *[]error, do func(key, value *yaml.Node)) {
	if node.Kind != yaml.MappingNode {
		*faults = append(*faults, fmt.Errorf("%s:%d: %s must be a block of keys", path, node.Line, what))
		return
	}
	seen := make(map[string]int)
	for i := 0; i+1 < len(node.Content); i += 2 {
		key, value := node.Content[i], node.Content[i+1]
		if line, twice := seen[key.Value]; twice {
			*faults = append(*faults, fmt.Errorf("%s:%d: %q stands in line %d already", path, key.Line, key.Value, line))
			continue
		}
		seen[key.Value] = key.Line
		do(key, value)
	}
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// unknown tells of a name that is not in the list, and which one was meant.
func unknown(path, what string, key *yaml.Node, names []string) error {
	if m := meant(key.Value, names); m != "" {
		return fmt.Errorf("%s:%d: unknown %s %q; did you mean %q?", path, key.Line, what, key.Value, m)
	}
	return fmt.Errorf("%s:%d: unknown %s %q; known are %s", path, key.Line, what, key.Value, strings.Join(names, ", "))
}

// overrides lays the environment over c. A variable that only looks like a
// misspelt override is a fault; other ROUSE_ variables are not ours (Kubernetes
// sets ROUSE_PORT for a service named rouse).
func overrides(c *Config, env []string) []error {
	byName := make(map[string]field)
	var names []string
	for _, s := range sections(c) {
		for _, f := range s.fields {
			byName[f.env()] = f
			names = append(names, f.env())
		}
	}
	var faults []error
	for _, pair := range env {
		name, value, _ := strings.Cut(pair, "=")
		if !strings.HasPrefix(name, "ROUSE_") {
			continue
		}
		f, ok := byName[name]
		if !ok {
			if m := meant(name, names); m != "" {
				faults = append(faults, fmt.Errorf("environment: unknown variable %s; did you mean %s?", name, m))
			}
			continue
		}
		if err := set(f.value, value); err != nil {
			faults = append(faults, fmt.Errorf("environment: %s %w", name, err))
		}
	}
	return faults
}
