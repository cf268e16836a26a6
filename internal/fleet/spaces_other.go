//go:build !linux

package fleet

import (
	"context"
	"fmt"
	"net"
	"os/exec"
	"runtime"
)

// Spaces needs Linux.
type Spaces struct{ nodes []*Space }

// Space needs Linux.
type Space struct{ IP string }

// NewSpaces tells that this system has none.
func NewSpaces(int) (*Spaces, error) {
	return nil, fmt.Errorf("%w on %s", ErrNoSpaces, runtime.GOOS)
}

// Close has nothing to do.
func (*Spaces) Close() error { return nil }

// Break cannot be done.
func (*Spaces) Break([]Link) error { return ErrNoSpaces }

func (*Space) enter(*exec.Cmd) {}

func (*Space) listen(string) (net.Listener, error) { return nil, ErrNoSpaces }

func (*Space) dial(context.Context, string, string) (net.Conn, error) { return nil, ErrNoSpaces }
