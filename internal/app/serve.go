package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"

	"github.com/rouse-im/rouse/internal/config"
	"github.com/rouse-im/rouse/internal/gateway"
	"github.com/rouse-im/rouse/internal/lease"
	"github.com/rouse-im/rouse/storage/seal"
)

var errNotReady = errors.New("the node is starting or draining")

func (n *Node) listen(leases *lease.Table) error {
	c := n.o.Config
	tls, err := serverTLS(c.TLS)
	if err != nil {
		return err
	}
	grpc, err := net.Listen("tcp", c.GRPC.Listen)
	if err != nil {
		return fmt.Errorf("grpc.listen: %w; stop what uses the port, or set another", err)
	}
	http, err := net.Listen("tcp", c.HTTP.Listen)
	if err != nil {
		return errors.Join(fmt.Errorf("http.listen: %w; stop what uses the port, or set another", err), grpc.Close())
	}
	n.grpc, n.http = grpc.Addr(), http.Addr()
	n.gateway, err = gateway.New(gateway.Options{
		GRPC: grpc, HTTP: http, TLS: tls, Catalog: n.catalog, Leases: leases, Router: n.shards.Route,
		Writable: n.store.Writable, CheckToken: checkToken, Registry: n.registry, Logger: n.log,
		Ready: func() error {
			if !n.ready.Load() {
				return errNotReady
			}
			return nil
		},
		RequestBytes: int(c.Limits.RequestSize), CallsPerSecond: c.Limits.CallsPerSecond, Burst: c.Limits.Burst, Streams: c.Limits.Streams,
	})
	if err != nil {
		return errors.Join(err, grpc.Close(), http.Close())
	}
	return nil
}

func (n *Node) startGateway() error {
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := n.gateway.Serve(context.Background()); err != nil {
			n.failed <- err
		}
	}()
	n.later("gateway", func(ctx context.Context) error {
		err := n.gateway.Stop(ctx)
		<-ended
		return err
	})
	return nil
}

// openRing reads the sealing keys; without any configuration the first start
// makes a key file in the data directory.
func openRing(c config.Config) (*seal.Ring, error) {
	if c.Seal.KeyEnv != "" {
		return seal.Parse(os.Getenv(c.Seal.KeyEnv))
	}
	if c.Seal.KeyFile != "" {
		return seal.Load(c.Seal.KeyFile)
	}
	path := filepath.Join(c.Data.Dir, "seal.key")
	if err := os.MkdirAll(c.Data.Dir, 0o700); err != nil {
		return nil, err
	}
	if err := seal.Generate(path); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	return seal.Load(path)
}

// keepSecret writes a file that only its owner can read, and syncs it.
func keepSecret(path, secret string) error {
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.WriteString(secret + "\n")
	return errors.Join(err, f.Sync(), f.Close())
}

// quieter drops what the actor library says below warnings.
type quieter struct{ slog.Handler }

func (quieter) Enabled(_ context.Context, l slog.Level) bool { return l >= slog.LevelWarn }

func (q quieter) WithAttrs(a []slog.Attr) slog.Handler { return quieter{q.Handler.WithAttrs(a)} }

func (q quieter) WithGroup(name string) slog.Handler { return quieter{q.Handler.WithGroup(name)} }
