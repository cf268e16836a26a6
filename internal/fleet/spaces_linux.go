package fleet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

// Spaces is a small network of namespaces: one for each node, and a bridge
// between them. It needs root, ip and nft.
type Spaces struct {
	prefix string
	nodes  []*Space
}

// Space is the network of one node.
type Space struct {
	IP   string
	name string
}

// NewSpaces makes the network for n nodes. ErrNoSpaces is matched when this
// machine or user cannot; its text is for people.
func NewSpaces(n int) (_ *Spaces, err error) {
	if os.Geteuid() != 0 {
		return nil, fmt.Errorf("%w: it needs root", ErrNoSpaces)
	}
	for _, tool := range []string{"ip", "nft"} {
		if _, err := exec.LookPath(tool); err != nil {
			return nil, fmt.Errorf("%w: the program %s is missing", ErrNoSpaces, tool)
		}
	}
	s := &Spaces{prefix: "rouse" + strconv.Itoa(os.Getpid()) + "x" + strconv.FormatInt(serial.Add(1), 36)}
	defer func() {
		if err != nil {
			err = errors.Join(fmt.Errorf("%w: %w", ErrNoSpaces, err), s.Close())
			s = nil
		}
	}()
	hub := s.prefix + "hub"
	if err := run("ip", "netns", "add", hub); err != nil {
		return nil, err
	}
	if err := script(hub, "link add name hub0 type bridge", "link set hub0 up"); err != nil {
		return nil, err
	}
	for i := range n {
		space := &Space{IP: "10.77.0." + strconv.Itoa(i+1), name: s.prefix + "n" + strconv.Itoa(i+1)}
		if err := run("ip", "netns", "add", space.name); err != nil {
			return nil, err
		}
		s.nodes = append(s.nodes, space)
		port := "p" + strconv.Itoa(i+1)
		if err := script(space.name, "link set lo up", "link add name eth0 type veth peer name "+port+" netns "+hub,
			"addr add "+space.IP+"/24 dev eth0", "link set eth0 up"); err != nil {
			return nil, err
		}
		if err := script(hub, "link set "+port+" master hub0", "link set "+port+" up"); err != nil {
			return nil, err
		}
		if err := space.nft("add table inet cut", "add chain inet cut in { type filter hook input priority 0 ; }"); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Close removes the network; processes in it are the fleet's to end before.
func (s *Spaces) Close() error {
	var errs []error
	for _, n := range s.nodes {
		errs = append(errs, run("ip", "netns", "del", n.name))
	}
	return errors.Join(append(errs, run("ip", "netns", "del", s.prefix+"hub"))...)
}

// Cut drops what a sends to b, and nothing that b sends to a.
func (s *Spaces) Cut(a, b int) error {
	return s.nodes[b].nft("add rule inet cut in ip saddr " + s.nodes[a].IP + " drop")
}

// Split cuts both ways between each node of one side and each of the other.
func (s *Spaces) Split(one, other []int) error {
	for _, a := range one {
		for _, b := range other {
			if err := errors.Join(s.Cut(a, b), s.Cut(b, a)); err != nil {
				return err
			}
		}
	}
	return nil
}

// Lose drops a share (0-0.999) of all packets that arrive at a node, at random.
func (s *Spaces) Lose(node int, share float64) error {
	return s.nodes[node].nft(fmt.Sprintf("add rule inet cut in iifname eth0 numgen random mod 1000 < %d drop", min(int(share*1000), 999)))
}

// LoseLarge drops packets above a size at a node, as a path with a too small
// MTU does.
func (s *Spaces) LoseLarge(node, bytes int) error {
	return s.nodes[node].nft(fmt.Sprintf("add rule inet cut in iifname eth0 meta length > %d drop", bytes))
}

// Break takes back all cuts and losses and makes these, at each node in one step.
func (s *Spaces) Break(links []Link) error {
	rules := make([]string, len(s.nodes))
	for i := range rules {
		rules[i] = "flush chain inet cut in"
	}
	for _, l := range links {
		if l.Loss <= 0 {
			continue
		}
		some := ""
		if l.Loss < 1 {
			some = fmt.Sprintf("numgen random mod 1000 < %d ", int(l.Loss*1000))
		}
		rules[l.To] += " ; add rule inet cut in ip saddr " + s.nodes[l.From].IP + " " + some + "drop"
	}
	var errs []error
	for i, n := range s.nodes {
		errs = append(errs, n.nft(rules[i]))
	}
	return errors.Join(errs...)
}

// Heal takes back all cuts and losses.
func (s *Spaces) Heal() error {
	var errs []error
	for _, n := range s.nodes {
		errs = append(errs, n.nft("flush chain inet cut in"))
	}
	return errors.Join(errs...)
}

func (s *Space) nft(commands ...string) error {
	for _, c := range commands {
		if err := run("ip", "netns", "exec", s.name, "nft", c); err != nil {
			return err
		}
	}
	return nil
}

// enter makes a command run in the namespace.
func (s *Space) enter(cmd *exec.Cmd) {
	cmd.Args = append([]string{"ip", "netns", "exec", s.name, cmd.Path}, cmd.Args[1:]...)
	cmd.Path, cmd.Err = exec.LookPath("ip")
}

// dial opens a socket inside the namespace; it stays there.
func (s *Space) dial(ctx context.Context, network, address string) (net.Conn, error) {
	return inside(s, func() (net.Conn, error) { return new(net.Dialer).DialContext(ctx, network, address) })
}

// listen opens a socket inside the namespace that takes connections.
func (s *Space) listen(address string) (net.Listener, error) {
	return inside(s, func() (net.Listener, error) { return net.Listen("tcp", address) })
}

// inside does something in the namespace.
func inside[T any](s *Space, do func() (T, error)) (made T, err error) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		// The thread is not given back: it ends with the goroutine.
		runtime.LockOSThread()
		var ns *os.File
		if ns, err = os.Open("/var/run/netns/" + s.name); err != nil {
			return
		}
		defer func() { _ = ns.Close() }() // opened for reading
		if err = unix.Setns(int(ns.Fd()), unix.CLONE_NEWNET); err != nil {
			err = fmt.Errorf("fleet: entering %s: %w", s.name, err)
			return
		}
		made, err = do()
	}()
	<-done
	return made, err
}

// script runs ip commands in a namespace.
func script(space string, commands ...string) error {
	for _, c := range commands {
		if err := run("ip", append([]string{"-n", space}, strings.Fields(c)...)...); err != nil {
			return err
		}
	}
	return nil
}

func run(name string, args ...string) error {
	out, err := exec.Command(name, args...).CombinedOutput() //nolint:gosec // our own arguments
	if err != nil {
		return fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, strings.TrimSpace(string(out)))
	}
	return nil
}
