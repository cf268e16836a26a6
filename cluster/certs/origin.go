package certs

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// originFile, in the directory of secrets, tells that a cluster was founded with
// them: whoever comes with an empty store must not found another beside it.
const originFile = "founded"

// Origin is what the directory knows of its cluster.
type Origin struct {
	// Store is the id of the store that began the cluster, or that joined it with
	// this directory.
	Store string
	// Founder tells which of the two.
	Founder bool
}

// CheckOrigin reads what a directory knows of its cluster; nil = nothing.
func CheckOrigin(dir string) (*Origin, error) {
	path := filepath.Join(dir, originFile)
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("certs: %w", err)
	}
	words := strings.Fields(string(text))
	if len(words) < 2 || words[0] != "founder" && words[0] != "member" {
		return nil, fmt.Errorf("certs: %s does not say who founded the cluster; put the file of another node in its place", path)
	}
	return &Origin{Store: words[1], Founder: words[0] == "founder"}, nil
}

// NoteOrigin writes what CheckOrigin reads, unless there is something, and answers
// what there is then. Of several processes the first wins. With anew it replaces.
func NoteOrigin(dir string, o Origin, anew bool) (*Origin, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("certs: %w", err)
	}
	what := "member"
	if o.Founder {
		what = "founder"
	}
	put := create
	if anew {
		put = replace
	}
	if known, err := CheckOrigin(dir); err != nil || known != nil && (!anew || *known == o) {
		return known, err
	}
	if err := put(filepath.Join(dir, originFile), []byte(what+" "+o.Store+"\n")); err != nil {
		return nil, err
	}
	return CheckOrigin(dir)
}
