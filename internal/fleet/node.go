package fleet

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// Node is one server.
type Node struct {
	Name, Dir string

	fleet *Fleet
	space *Space // nil on loopback
	host  string // of the cluster's ports
	port  int

	mu    sync.Mutex
	cmd   *exec.Cmd
	ended chan struct{} // closed when the process is gone
	fate  error         // how it ended; after ended
	log   *os.File
}

const readyEvery = 10 * time.Millisecond

// HTTP is the address of the node's HTTP port, as seen by Dial.
func (n *Node) HTTP() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(n.port)) }

// GRPC is the address of the node's gRPC port, as seen by Dial.
func (n *Node) GRPC() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(n.port+1)) }

// Gossip is the address at which others can join the node.
func (n *Node) Gossip() string { return net.JoinHostPort(n.host, strconv.Itoa(n.port+4)) }

// Dial connects to a port of the node as a process on its machine would.
func (n *Node) Dial(ctx context.Context, network, address string) (net.Conn, error) {
	if n.space == nil {
		return new(net.Dialer).DialContext(ctx, network, address)
	}
	return n.space.dial(ctx, network, address)
}

// Client speaks HTTP to the node, without keeping connections.
func (n *Node) Client() *http.Client {
	return &http.Client{Transport: &http.Transport{DialContext: n.Dial, DisableKeepAlives: true}}
}

// Flags are the command line of the node.
func (n *Node) Flags() []string {
	flags := []string{"--data", n.Dir, "--name", n.Name, "--cluster", n.fleet.Secrets(), "--port", strconv.Itoa(n.port)}
	if n == n.fleet.nodes[0] && !n.hasData() {
		return flags // it founds the cluster
	}
	for _, other := range n.fleet.nodes {
		if other != n {
			flags = append(flags, "--join", other.Gossip())
		}
	}
	return flags
}

func (n *Node) hasData() bool {
	stored, _ := filepath.Glob(filepath.Join(n.Dir, "MANIFEST-*"))
	return len(stored) > 0
}

// Start runs the node and waits until it serves, or ctx ends.
func (n *Node) Start(ctx context.Context) error {
	if err := n.Launch(); err != nil {
		return err
	}
	return n.Ready(ctx)
}

// Launch runs the node and does not wait.
func (n *Node) Launch() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.running() {
		return fmt.Errorf("fleet: %s runs already", n.Name)
	}
	if err := os.MkdirAll(n.Dir, 0o700); err != nil {
		return err
	}
	log, err := os.OpenFile(n.LogFile(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	cmd := n.fleet.o.Server(n.Flags()...)
	if cmd.Env == nil {
		cmd.Env = os.Environ()
	}
	cmd.Env = append(cmd.Env, "ROUSE_DATA_MIN_FREE_DISK=64MiB")
	if n.space != nil {
		n.space.enter(cmd)
		for _, port := range []string{"PEERS", "ACTORS", "GOSSIP"} {
			cmd.Env = append(cmd.Env, "ROUSE_CLUSTER_"+port+"="+n.host+":0")
		}
	}
	cmd.Env = append(cmd.Env, n.fleet.o.Env...)
	out := io.MultiWriter(log, &prefixed{to: n.fleet.o.Log, prefix: n.Name + " "})
	cmd.Stdout, cmd.Stderr = out, out
	if err := cmd.Start(); err != nil {
		return errors.Join(fmt.Errorf("fleet: starting %s: %w", n.Name, err), log.Close())
	}
	ended := make(chan struct{})
	n.cmd, n.ended, n.log = cmd, ended, log
	go func() {
		err := cmd.Wait()
		n.mu.Lock()
		n.fate = err
		n.mu.Unlock()
		_ = log.Close() // its lines are written
		close(ended)
	}()
	return nil
}

// LogFile holds what the node says, over all its starts.
func (n *Node) LogFile() string { return filepath.Join(n.fleet.o.Dir, n.Name+".log") }

// running is asked with mu held.
func (n *Node) running() bool {
	if n.cmd == nil {
		return false
	}
	select {
	case <-n.ended:
		return false
	default:
		return true
	}
}

// Running tells whether the process lives, frozen or not.
func (n *Node) Running() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.running()
}

// Ready waits until the node serves.
func (n *Node) Ready(ctx context.Context) error {
	client := n.Client()
	tick := time.NewTicker(readyEvery)
	defer tick.Stop()
	for {
		if ok(ctx, client, "http://"+n.HTTP()+"/readyz") {
			return nil
		}
		select {
		case <-n.ended:
			return fmt.Errorf("fleet: %s ended before it served: %w; see %s", n.Name, n.how(), n.LogFile())
		case <-ctx.Done():
			return fmt.Errorf("fleet: %s does not serve: %w; see %s", n.Name, context.Cause(ctx), n.LogFile())
		case <-tick.C:
		}
	}
}

func ok(ctx context.Context, client *http.Client, url string) bool {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return false
	}
	response, err := client.Do(r)
	if err != nil {
		return false
	}
	defer response.Body.Close()
	return response.StatusCode == http.StatusOK
}

func (n *Node) how() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fate == nil {
		return errors.New("with code 0")
	}
	return n.fate
}

// Kill ends the process as a power cut of its machine's processor would; its
// disk keeps what was written. A node that does not run is none to kill.
func (n *Node) Kill() error { return n.end(syscall.SIGKILL, nil) }

// Stop asks the process to end in order and waits until it has, or ctx ends.
func (n *Node) Stop(ctx context.Context) error {
	if err := n.end(syscall.SIGTERM, ctx); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.fate != nil {
		return fmt.Errorf("fleet: %s did not end in order: %w; see %s", n.Name, n.fate, n.LogFile())
	}
	return nil
}

func (n *Node) end(s syscall.Signal, ctx context.Context) error { //nolint:revive // nil = however long it takes
	n.mu.Lock()
	if !n.running() {
		n.mu.Unlock()
		return nil
	}
	err := n.cmd.Process.Signal(s)
	ended := n.ended
	n.mu.Unlock()
	if err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("fleet: signalling %s: %w", n.Name, err)
	}
	if ctx == nil {
		<-ended
		return nil
	}
	select {
	case <-ended:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("fleet: %s does not end: %w; see %s", n.Name, context.Cause(ctx), n.LogFile())
	}
}

// Freeze stops the process where it is; its connections stay open.
func (n *Node) Freeze() error { return n.signal(syscall.SIGSTOP) }

// Thaw lets a frozen process go on.
func (n *Node) Thaw() error { return n.signal(syscall.SIGCONT) }

func (n *Node) signal(s syscall.Signal) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.running() {
		return fmt.Errorf("fleet: %s does not run", n.Name)
	}
	return n.cmd.Process.Signal(s)
}

// PID of the process; 0 if it does not run.
func (n *Node) PID() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.running() {
		return 0
	}
	return n.cmd.Process.Pid
}

// prefixed writes whole lines of one node.
type prefixed struct {
	to     io.Writer
	prefix string
	line   []byte
}

const longestLine = 64 << 10

func (p *prefixed) Write(b []byte) (int, error) {
	for _, c := range b {
		p.line = append(p.line, c)
		if c == '\n' || len(p.line) == longestLine {
			if _, err := io.WriteString(p.to, p.prefix+string(p.line)); err != nil {
				return 0, err
			}
			p.line = p.line[:0]
		}
	}
	return len(b), nil
}
