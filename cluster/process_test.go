package cluster

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	protocluster "github.com/asynkron/protoactor-go/cluster"
	protoremote "github.com/asynkron/protoactor-go/remote"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/wrapperspb"

	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
)

// Nodes are processes here: protoactor's remote sets a variable of the process at
// each start, and only a process can be killed or stopped.

// said is a line that a node prints.
type said struct {
	Topology []string `json:",omitempty"` // name=id of all members
	Answer   string   `json:",omitempty"`
	Error    string   `json:",omitempty"`
}

// nodeConfig is what a node is started with.
type nodeConfig struct {
	Name, Gossip, Actors, Leader, Keys string
	Seeds                              []string
}

const nodeVariable = "ROUSE_TEST_NODE"

// TestNodeProcess is the node; it runs only when it is asked to be one.
func TestNodeProcess(t *testing.T) {
	text := os.Getenv(nodeVariable)
	if text == "" {
		t.Skip("run by TestNodesOnSockets")
	}
	var c nodeConfig
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		t.Fatal(err)
	}
	if err := runNode(c, os.Stdin, os.Stderr); err != nil {
		t.Fatal(err)
	}
}

func runNode(c nodeConfig, in io.Reader, out io.Writer) error {
	term := make(chan os.Signal, 1)
	signal.Notify(term, syscall.SIGTERM)
	lines := make(chan said, 64)
	go func() {
		for s := range lines {
			_ = json.NewEncoder(out).Encode(s)
		}
	}()
	sys := actor.NewActorSystem(actor.WithLoggerFactory(systemLog))
	host, port, err := net.SplitHostPort(c.Actors)
	if err != nil {
		return err
	}
	n := 0
	if _, err := fmt.Sscan(port, &n); err != nil {
		return err
	}
	r := protoremote.NewRemote(sys, protoremote.Configure(host, n))
	r.Start()
	if _, err := sys.Root.SpawnNamed(actor.PropsFromFunc(func(x actor.Context) {
		if m, ok := x.Message().(*actorv1.Ask); ok {
			x.Respond(&actorv1.Answer{Response: &actorv1.Command{Node: c.Name, Type: m.User}})
		}
	}), "shard-1"); err != nil {
		return err
	}
	keys, err := LoadKeyring(c.Keys)
	if err != nil {
		return err
	}
	m, err := Join(Options{
		Name: c.Name, Label: "sockets", Listen: c.Gossip, Keys: keys, Seeds: c.Seeds, Logger: quiet(),
		Self: Member{System: sys.ID, Addresses: &actorv1.NodeAddresses{Actors: sys.Address()}},
	})
	if err != nil {
		return err
	}
	sys.EventStream.Subscribe(func(e any) {
		if topology, ok := e.(*protocluster.ClusterTopology); ok {
			ids := []string{}
			for _, x := range m.Members() {
				for _, y := range topology.Members {
					if x.ID() == y.Id {
						ids = append(ids, x.Name+"="+y.Id)
					}
				}
			}
			lines <- said{Topology: ids}
		}
	})
	a, err := StartActors(sys, ActorsOptions{
		Membership: m, Where: func(string, string) (uint16, string, bool) { return 1, c.Leader, true },
		Ask: func(ctx context.Context, app, user string, _ proto.Message) (proto.Message, error) {
			pid := (&Lookup{where: func(string, string) (uint16, string, bool) { return 1, c.Leader, true }}).Get(protocluster.NewClusterIdentity(Identity(app, user), UserKind))
			left := time.Second
			if t, ok := ctx.Deadline(); ok {
				left = time.Until(t)
			}
			answer, err := sys.Root.RequestFuture(pid, &actorv1.Ask{App: app, User: user}, left).Result()
			if err != nil {
				return nil, err
			}
			return answer.(proto.Message), nil
		},
	})
	if err != nil {
		return err
	}
	orders := make(chan string)
	go func() {
		for s := bufio.NewScanner(in); s.Scan(); {
			orders <- s.Text()
		}
	}()
	for {
		select {
		case <-term:
			a.Close()
			err := m.Leave(context.Background())
			r.Shutdown(false)
			return err
		case o := <-orders:
			lines <- carry(o, a, m)
		}
	}
}

func carry(order string, a *Actors, m *Membership) said {
	what, with, _ := strings.Cut(order, " ")
	switch what {
	case "ask":
		answer, err := a.Cluster().Request(Identity("app", with), UserKind, &wrapperspb.StringValue{}, protocluster.WithTimeout(time.Second))
		if err != nil {
			return said{Error: err.Error()}
		}
		r := answer.(*actorv1.Answer).Response
		return said{Answer: r.Node + " answers " + r.Type}
	case "rotate":
		if err := m.RotateKey(context.Background(), []byte(with)); err != nil {
			return said{Error: err.Error()}
		}
		return said{Answer: "rotated"}
	}
	return said{Error: "no order: " + order}
}

// process is a running node.
type process struct {
	t    *testing.T
	cmd  *exec.Cmd
	in   io.WriteCloser
	said chan said
}

func startNode(t *testing.T, c nodeConfig) *process {
	t.Helper()
	text, err := json.Marshal(c)
	if err != nil {
		t.Fatal(err)
	}
	p := &process{t: t, cmd: exec.Command(os.Args[0], "-test.run=^TestNodeProcess$"), said: make(chan said, 1024)}
	p.cmd.Env = append(os.Environ(), nodeVariable+"="+string(text))
	if p.in, err = p.cmd.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	out, err := p.cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		for s := bufio.NewScanner(out); s.Scan(); {
			var line said
			if json.Unmarshal(s.Bytes(), &line) == nil {
				p.said <- line
			} else {
				t.Log(c.Name, s.Text())
			}
		}
		close(p.said)
	}()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill() // of this process alone; it may be gone
		_, _ = p.cmd.Process.Wait()
		for range p.said {
		}
	})
	return p
}

// hears waits for a line of the node.
func (p *process) hears(what string, is func(said) bool) {
	p.t.Helper()
	limit := time.NewTimer(20 * time.Second)
	defer limit.Stop()
	var last said
	for {
		select {
		case s, ok := <-p.said:
			if !ok {
				p.t.Fatalf("the node ended; waited for %s", what)
			}
			if last = s; is(s) {
				return
			}
		case <-limit.C:
			p.t.Fatalf("not within 20 s: %s; the last was %+v", what, last)
		}
	}
}

// topology waits for members that go by these beginnings of name=id.
func (p *process) topology(begin ...string) {
	p.t.Helper()
	p.hears(fmt.Sprint("members ", begin), func(s said) bool {
		return len(s.Topology) == len(begin) && !slices.ContainsFunc(begin, func(b string) bool {
			return !slices.ContainsFunc(s.Topology, func(m string) bool {
				return strings.HasPrefix(m, strings.TrimSuffix(b, "+")) && (!strings.HasSuffix(b, "+") || !strings.HasSuffix(m, "~1"))
			})
		})
	})
}

func (p *process) order(o, want string) {
	p.t.Helper()
	if _, err := fmt.Fprintln(p.in, o); err != nil {
		p.t.Fatal(err)
	}
	p.hears(o, func(s said) bool {
		if s.Error != "" {
			p.t.Fatalf("%s: %s", o, s.Error)
		}
		return s.Answer == want
	})
}

func freePort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// Three processes on real sockets: one is killed and restarted, stopped and
// continued; keys rotate; one leaves.
func TestNodesOnSockets(t *testing.T) {
	if testing.Short() {
		t.Skip("takes some seconds of real time")
	}
	keys := filepath.Join(t.TempDir(), "gossip.key") // of all: one machine shares the directory
	if err := os.WriteFile(keys, []byte(lines64(key(1))), 0o600); err != nil {
		t.Fatal(err)
	}
	var configs []nodeConfig
	for i := range 3 {
		configs = append(configs, nodeConfig{Name: fmt.Sprint("n", i), Gossip: freePort(t), Actors: freePort(t), Keys: keys})
	}
	for i := range configs {
		configs[i].Seeds, configs[i].Leader = []string{configs[0].Gossip, configs[1].Gossip}, configs[2].Actors
	}
	start := time.Now()
	n0, n1, n2 := startNode(t, configs[0]), startNode(t, configs[1]), startNode(t, configs[2])
	for _, p := range []*process{n0, n1, n2} {
		p.topology("n0=", "n1=", "n2=")
	}
	t.Logf("all know all %v after the start", time.Since(start))
	n0.order("ask u1", "n2 answers u1")

	start = time.Now()
	if err := n2.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	n0.topology("n0=", "n1=")
	n1.topology("n0=", "n1=")
	t.Logf("killed: known after %v", time.Since(start))
	start = time.Now()
	n2 = startNode(t, configs[2])
	for _, p := range []*process{n0, n1, n2} {
		p.topology("n0=", "n1=", "n2=")
	}
	t.Logf("restarted: known after %v", time.Since(start))
	n0.order("ask u2", "n2 answers u2")

	n1.order("rotate "+string(key('r')), "rotated")
	if k, err := LoadKeyring(keys); err != nil || !slices.Equal(k.Prints(), []Print{PrintOf(key('r'))}) {
		t.Errorf("keys on the disk: %v", err)
	}

	start = time.Now()
	if err := n2.cmd.Process.Signal(syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	n0.topology("n0=", "n1=")
	n1.topology("n0=", "n1=")
	t.Logf("stopped: known after %v", time.Since(start))
	start = time.Now()
	if err := n2.cmd.Process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	n0.topology("n0=", "n1=", "n2=+") // under another id
	n1.topology("n0=", "n1=", "n2=+")
	t.Logf("continued: known under another id after %v", time.Since(start))
	n1.order("ask u3", "n2 answers u3")

	start = time.Now()
	if err := n1.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	n0.topology("n0=", "n2=")
	t.Logf("left: known after %v", time.Since(start))
	if state, err := n1.cmd.Process.Wait(); err != nil || state.ExitCode() != 0 {
		t.Errorf("the process that left: %v, %v", state, err)
	}
}
