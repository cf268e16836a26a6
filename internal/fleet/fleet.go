// Package fleet runs real server processes as one cluster on this machine, on
// loopback or in network namespaces of its own, and does to them what machines
// and networks do: kill, freeze, restart, cut. Benchmarks, simulations and tests
// use it. It kills only what it started.
package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"sync"
)

// Options of a Fleet.
type Options struct {
	// Dir takes the data, logs and secrets of all nodes.
	Dir string
	// Nodes is how many there are, 1-9; none is started by New.
	Nodes int
	// Server makes the command of a server; flags are those of roused.
	Server func(flags ...string) *exec.Cmd
	// Env is added to the environment of every server, like ROUSE_LEASE_TTL=5s.
	Env []string
	// Spaces, if not nil, gives each node a network of its own.
	Spaces *Spaces
	// Log takes what the servers say, besides their files in Dir; nil = nothing.
	Log io.Writer
}

// Fleet is a set of servers that form one cluster.
type Fleet struct {
	o     Options
	nodes []*Node
}

// New lays out the nodes; the first founds the cluster.
func New(o Options) (*Fleet, error) {
	if o.Nodes < 1 || o.Nodes > 9 {
		return nil, fmt.Errorf("fleet: %d nodes; choose 1 to 9", o.Nodes)
	}
	if o.Log == nil {
		o.Log = io.Discard
	}
	f := &Fleet{o: o}
	for i := range o.Nodes {
		if _, err := f.Add(i); err != nil {
			return nil, err
		}
	}
	return f, nil
}

// Add lays out one more node, which is number i, and starts nothing.
func (f *Fleet) Add(i int) (*Node, error) {
	n := &Node{fleet: f, Name: "n" + strconv.Itoa(i+1), host: "127.0.0.1"}
	n.Dir = filepath.Join(f.o.Dir, n.Name)
	var err error
	if n.port, err = FreePorts(); err != nil { // also in a space: see Bridge
		return nil, err
	}
	if f.o.Spaces != nil {
		n.space = f.o.Spaces.nodes[i]
		n.host = n.space.IP
	}
	f.nodes = append(f.nodes, n)
	return n, nil
}

// Node is number i, from 0.
func (f *Fleet) Node(i int) *Node { return f.nodes[i] }

// Nodes are all nodes, also those that do not run.
func (f *Fleet) Nodes() []*Node { return f.nodes }

// Secrets is the directory with the cluster's certificates and keys.
func (f *Fleet) Secrets() string { return filepath.Join(f.o.Dir, "secrets") }

// StartAll starts the nodes one after the other, and waits until each serves.
func (f *Fleet) StartAll(ctx context.Context) error {
	for _, n := range f.nodes {
		if err := n.Start(ctx); err != nil {
			return err
		}
	}
	return nil
}

// OperatorKey is the key that the founding node made.
func (f *Fleet) OperatorKey() (string, error) {
	b, err := os.ReadFile(filepath.Join(f.nodes[0].Dir, "operator.key"))
	if err != nil {
		return "", fmt.Errorf("fleet: the operator's key: %w", err)
	}
	return string(trimNewline(b)), nil
}

// Close kills what still runs.
func (f *Fleet) Close() error {
	var errs []error
	var all sync.WaitGroup
	var mu sync.Mutex
	for _, n := range f.nodes {
		all.Go(func() {
			err := n.Kill()
			mu.Lock()
			defer mu.Unlock()
			errs = append(errs, err)
		})
	}
	all.Wait()
	return errors.Join(errs...)
}

func trimNewline(b []byte) []byte {
	for len(b) > 0 && b[len(b)-1] == '\n' {
		b = b[:len(b)-1]
	}
	return b
}

// ports are what one node needs, one after the other.
const ports = 5

var (
	portMu   sync.Mutex
	nextPort = firstPort + os.Getpid()%((lastPort-firstPort)/50)*50
	claims   []net.Listener // of rows, kept until the process ends
)

// Rows of ports lie below those that the system gives to callers.
const firstPort, lastPort = 20_000, 32_000

// FreePorts finds the first of a row of five ports that nobody uses now. The row
// stays this process's, also while the server that it is for is down.
func FreePorts() (int, error) {
	portMu.Lock()
	defer portMu.Unlock()
	for range 400 {
		first := nextPort
		if nextPort += ports; nextPort+ports > lastPort {
			nextPort = firstPort
		}
		if claim(first) && allFree(first) {
			return first, nil
		}
	}
	return 0, fmt.Errorf("fleet: no row of five free ports from %d to %d", firstPort, lastPort)
}

// claim keeps other processes like this one off a row, by a name that goes with
// the process where the system has such names; elsewhere they may meet.
func claim(first int) bool {
	if runtime.GOOS != "linux" {
		return true
	}
	l, err := net.Listen("unix", fmt.Sprint("@rouse-fleet-ports-", first))
	if err == nil {
		claims = append(claims, l)
	}
	return err == nil
}

func allFree(first int) bool {
	for i := range ports {
		l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(first+i)))
		if err != nil {
			return false
		}
		l.Close()
	}
	return true
}
