package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/rpc"
	"net/rpc/jsonrpc"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/pprof"
	"time"
)

// stopGrace is how long a child may take to end.
const stopGrace = 30 * time.Second

// child is a process that plays one role. It is asked over its standard input
// and output, and ends when they do: it cannot outlive its parent.
type child struct {
	role string
	rpc  *rpc.Client
	proc *os.Process
	wait func() error
}

func (r *runner) spawn(ctx context.Context, role string) (*child, error) {
	cmd := r.Child(role)
	cmd.Stderr = os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		return nil, err
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the %s: %w", role, err)
	}
	c := &child{role: role, rpc: jsonrpc.NewClient(pipe{out, in}), proc: cmd.Process}
	unwatch := context.AfterFunc(ctx, func() { _ = c.rpc.Close() })
	c.wait = func() error {
		unwatch()
		kill := time.AfterFunc(stopGrace, func() { _ = cmd.Process.Kill() })
		defer kill.Stop()
		return cmd.Wait()
	}
	return c, nil
}

// call waits for the answer; a context that ends closes the pipe under it.
func (c *child) call(method string, args, reply any) error {
	if err := c.rpc.Call("Child."+method, args, reply); err != nil {
		return fmt.Errorf("%s: %w", c.role, err)
	}
	return nil
}

func (c *child) stop() error {
	_ = c.rpc.Close() // a second time when the context has ended
	if err := c.wait(); err != nil {
		return fmt.Errorf("%s: %w", c.role, err)
	}
	return nil
}

// bury waits for a process that was killed.
func (c *child) bury() {
	_ = c.rpc.Close() // of a process that is gone
	_ = c.wait()      // says that it was killed
}

// pipe joins two ends of pipes into one.
type pipe struct {
	io.ReadCloser
	in io.WriteCloser
}

func (p pipe) Write(b []byte) (int, error) { return p.in.Write(b) }

func (p pipe) Close() error { return errors.Join(p.in.Close(), p.ReadCloser.Close()) }

// stdio joins a child's input and output, which end with the process.
type stdio struct {
	io.Reader
	io.Writer
}

func (stdio) Close() error { return nil }

// Nothing is the argument or the answer of calls without.
type Nothing struct{}

// process is what all roles can tell of themselves.
type process struct{ cpu, allocs *os.File }

// CPU answers the CPU time so far.
func (*process) CPU(_ Nothing, d *time.Duration) error {
	*d = cpu()
	return nil
}

// Profile writes profiles to files of the given name: file.cpu of the time from
// now to the end, file.allocs of all that was allocated since the start.
func (p *process) Profile(file string, _ *Nothing) (err error) {
	if p.allocs, err = os.Create(file + ".allocs"); err != nil {
		return err
	}
	if p.cpu, err = os.Create(file + ".cpu"); err != nil {
		return err
	}
	return pprof.StartCPUProfile(p.cpu)
}

func (p *process) closeProfile() error {
	if p.cpu == nil {
		return nil
	}
	pprof.StopCPUProfile()
	return errors.Join(p.cpu.Close(), pprof.Lookup("allocs").WriteTo(p.allocs, 0), p.allocs.Close())
}

// record makes a child write its profiles, when they are wanted.
func (r *runner) record(c *child, name string) error {
	if r.Profiles == "" {
		return nil
	}
	file, err := filepath.Abs(filepath.Join(r.Profiles, name))
	if err != nil {
		return err
	}
	return c.call("Profile", file, &Nothing{})
}

// Child plays a role until in ends. Interrupts are left to the parent.
func Child(role string, in io.Reader, out io.Writer) error {
	signal.Ignore(os.Interrupt)
	var actor interface{ close() error }
	switch role {
	case "engine":
		actor = &engine{}
	case "fake":
		actor = &vendor{}
	case "huawei":
		actor = &huawei{}
	case "vendors":
		actor = &all{}
	case "bare":
		actor = &bare{}
	default:
		return fmt.Errorf("bench: there is no role %q", role)
	}
	server := rpc.NewServer()
	if err := server.RegisterName("Child", actor); err != nil {
		return err
	}
	server.ServeCodec(jsonrpc.NewServerCodec(stdio{in, out}))
	return actor.close()
}
