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

func (*Space) enter(*exec.Cmd) {}

func (*Space) dial(context.Context, string, string) (net.Conn, error) { return nil, ErrNoSpaces }
