package fleet

import (
	"io"
	"net"
	"strings"
	"testing"
)

// greeter sends a word to whoever comes, and what it got back.
func greeter(t *testing.T, l net.Listener, word string) {
	t.Helper()
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				got := make([]byte, 4)
				if _, err := io.ReadFull(c, got); err == nil {
					_, _ = c.Write([]byte(word + string(got)))
				}
			}()
		}
	}()
}

func ask(t *testing.T, c net.Conn, err error) string {
	t.Helper()
	if err != nil {
		return err.Error()
	}
	defer c.Close()
	if _, err := c.Write([]byte("ping")); err != nil {
		return err.Error()
	}
	all, err := io.ReadAll(c)
	if err != nil {
		return err.Error()
	}
	return string(all)
}

// Callers of this machine reach nodes in spaces, and these its services.
func TestBridge(t *testing.T) {
	if testing.Short() {
		t.Skip("makes network namespaces")
	}
	f, err := New(Options{Dir: t.TempDir(), Nodes: 2, Server: server, Spaces: spaces(t, 2)})
	if err != nil {
		t.Fatal(err)
	}
	service, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	greeter(t, service, "service ")
	for _, n := range f.Nodes() {
		l, err := n.space.listen(n.GRPC())
		if err != nil {
			t.Fatal(err)
		}
		greeter(t, l, n.Name+" ")
	}
	b, err := f.Bridge(service.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range f.Nodes() {
		c, err := net.Dial("tcp", n.GRPC())
		if got := ask(t, c, err); got != n.Name+" ping" {
			t.Errorf("from this machine to %s: %q", n.Name, got)
		}
		c, err = net.Dial("tcp", n.HTTP()) // nobody serves there
		if got := ask(t, c, err); strings.Contains(got, "ping") {
			t.Errorf("a port of %s that is closed answers %q", n.Name, got)
		}
		c, err = n.Dial(t.Context(), "tcp", service.Addr().String())
		if got := ask(t, c, err); got != "service ping" {
			t.Errorf("from %s to this machine: %q", n.Name, got)
		}
	}
	if err := b.Close(); err != nil {
		t.Fatal(err)
	}
	if c, err := net.Dial("tcp", f.Node(0).GRPC()); err == nil {
		c.Close()
		t.Error("a closed bridge takes connections")
	}
}
