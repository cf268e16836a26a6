package scenarios

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"slices"
	"strings"

	"go.yaml.in/yaml/v4"
)

//go:embed *.yaml
var shipped embed.FS

// maxFile bounds a scenario, in bytes.
const maxFile = 256 << 10

// Names of the shipped scenarios, sorted.
func Names() []string {
	files, _ := fs.Glob(shipped, "*.yaml")
	for i, f := range files {
		files[i] = strings.TrimSuffix(f, path.Ext(f))
	}
	slices.Sort(files)
	return files
}

// Load a shipped scenario.
func Load(name string) (*Scenario, error) {
	text, err := shipped.ReadFile(name + ".yaml")
	if err != nil {
		return nil, fmt.Errorf("there is no scenario %q; shipped are %s", name, strings.Join(Names(), ", "))
	}
	return Parse(name+".yaml", text)
}

// Parse a scenario; file is for messages only. It is valid, or there is an error
// that lists all that is wrong.
func Parse(file string, text []byte) (*Scenario, error) {
	s := &Scenario{}
	if err := s.overlay(file, text, nil); err != nil {
		return nil, err
	}
	if err := s.Validate(); err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return s, nil
}

// overlay reads the scenario that this one is like, and then this one over it.
func (s *Scenario) overlay(file string, text []byte, after []string) error {
	if len(text) > maxFile {
		return fmt.Errorf("%s: %d bytes, at most %d", file, len(text), maxFile)
	}
	var head struct {
		Like string `yaml:"like"`
	}
	if err := yaml.Unmarshal(text, &head); err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	if like := head.Like; like != "" {
		if slices.Contains(after, like) {
			return fmt.Errorf("%s: like: %s goes in a circle", file, strings.Join(append(after, like), ", "))
		}
		parent, err := shipped.ReadFile(like + ".yaml")
		if err != nil {
			return fmt.Errorf("%s: like: there is no scenario %q; shipped are %s", file, like, strings.Join(Names(), ", "))
		}
		if err := s.overlay(like+".yaml", parent, append(after, like)); err != nil {
			return err
		}
	}
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(s); err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: %w", file, err)
	}
	if err := d.Decode(&yaml.Node{}); !errors.Is(err, io.EOF) {
		return fmt.Errorf("%s: it holds more than one document", file)
	}
	return nil
}
