package transport

import (
	"log/slog"
	"net"
	"testing"

	"github.com/asynkron/protoactor-go/actor"
)

// Close leaves the port to whoever comes next, also when it follows at once: the
// library may not have begun to serve then.
func TestCloseFreesThePort(t *testing.T) {
	secrets := newSecrets(t)
	id := secrets.node(t, secrets.dir, "a")
	for range 30 {
		sys := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))
		r, err := Start(sys, Options{Listen: "127.0.0.1:0", Identity: id, Target: func(string) bool { return false }})
		if err != nil {
			t.Fatal(err)
		}
		address := r.Address()
		r.Close()
		l, err := net.Listen("tcp", address)
		if err != nil {
			t.Fatalf("after Close: %v", err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		sys.Shutdown()
	}
}
