package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"

	"google.golang.org/protobuf/proto"

	"github.com/rouse-im/rouse/cluster"
	"github.com/rouse-im/rouse/internal/config"
	"github.com/rouse-im/rouse/internal/gateway"
	"github.com/rouse-im/rouse/internal/receipt"
	"github.com/rouse-im/rouse/internal/webhook"
	"github.com/rouse-im/rouse/storage/seal"
)

var errNotReady = errors.New("the node is starting or draining")

func (n *Node) listen(receipts *receipt.Intake) error {
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
	g, err := gateway.New(gateway.Options{
		GRPC: grpc, HTTP: http, TLS: tls, Catalog: n.catalog, Leases: n.leases, Router: n.route, Forward: n.meta.Forward, Engines: n.engines,
		Cluster:    &gateway.Cluster{Status: n.clusterStatus, Plan: n.planRebalance, Order: n.meta.Order, RotateKey: n.rotateKey},
		BeforePush: n.teller.Caller.Before, CheckWebhooks: webhook.Validate, WebhooksQueued: n.webhooksQueued,
		Writable: n.takesIn, CheckToken: checkToken,
		ValidateCredential: validateCredential, TestCredential: testCredential, CredentialStatus: n.credentialEverywhere,
		FindTraces: n.findTraces, Backup: n.backup,
		Registry: n.registry, Logger: n.log,
		Receipts: receipts, ReceiptPattern: receipt.Pattern,
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
	n.gateway.Store(g)
	return nil
}

func (n *Node) startGateway() error {
	defer n.later("leaderships", n.giveAway)
	if n.o.Headless {
		return nil
	}
	ended := make(chan struct{})
	g := n.gateway.Load()
	go func() {
		defer close(ended)
		if err := g.Serve(context.Background()); err != nil {
			n.fail(err)
		}
	}()
	n.tellAddresses()
	n.later("gateway", func(ctx context.Context) error {
		err := g.Stop(ctx)
		<-ended
		return err
	})
	return nil
}

// tellAddresses has the other nodes know where this one serves.
func (n *Node) tellAddresses() {
	if n.peers.gossip == nil {
		return
	}
	advertise := n.o.Config.Cluster.Advertise
	n.tell(func(self *cluster.Member) {
		self.Addresses = proto.CloneOf(self.Addresses)
		self.Addresses.Grpc, self.Addresses.Http = advertised(advertise, n.grpc.String()), advertised(advertise, n.http.String())
	})
}

// engines are the gRPC ports of the other nodes.
func (n *Node) engines() (addresses []string) {
	for id, m := range *n.peers.alive.Load() {
		if address := m.Addresses.GetGrpc(); id != n.self && address != "" {
			addresses = append(addresses, address)
		}
	}
	slices.Sort(addresses)
	return addresses
}

func (n *Node) openRing() (err error) {
	n.ring, err = openRing(n.o.Config)
	return err
}

// openRing reads the sealing keys; without any configuration the first start
// makes a key file. A store without its keys is refused: new keys would open
// nothing of it.
func openRing(c config.Config) (*seal.Ring, error) {
	if c.Seal.KeyEnv != "" {
		return seal.Parse(os.Getenv(c.Seal.KeyEnv))
	}
	path, own := keyFile(c), filepath.Join(c.Data.Dir, ownKeyFile)
	stored, _ := filepath.Glob(filepath.Join(c.Data.Dir, "MANIFEST-*"))
	if c.Seal.KeyFile == "" {
		if err := makeKeys(c, path, own, len(stored) > 0); err != nil {
			return nil, err
		}
	}
	ring, err := seal.Load(path)
	if errors.Is(err, os.ErrNotExist) {
		err = fmt.Errorf("%w; the data directory holds facts that were sealed with its keys: restore the file from its backup, or set seal.key_file, as to the seal.key of the directory of the node's former cluster", err)
	}
	if err != nil || len(stored) == 0 || path == own || c.Seal.KeyFile != "" {
		return ring, err
	}
	if old, err := seal.Load(own); err == nil && !ring.Akin(old) {
		return nil, fmt.Errorf("%s has other keys than %s, with which the facts in the data directory were sealed: keep the directory's keys, "+
			"and let the nodes of the cluster have them too, or start with an empty data directory", path, own)
	}
	return ring, nil
}

// makeKeys makes the key file at path if there is none: new keys for an empty
// store, and for a node that was alone those that it had.
func makeKeys(c config.Config, path, own string, stored bool) error {
	if err := os.MkdirAll(c.Data.Dir, 0o700); err != nil {
		return err
	}
	if !stored {
		if err := seal.Generate(path); !errors.Is(err, os.ErrExist) {
			return err
		}
		return nil
	}
	if path == own {
		return nil
	}
	if err := seal.Copy(own, path); !errors.Is(err, os.ErrExist) && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// ownKeyFile, in the data directory, holds the sealing keys of a node that is alone.
const ownKeyFile = "seal.key"

func keyFile(c config.Config) string {
	if c.Seal.KeyFile != "" {
		return c.Seal.KeyFile
	}
	if c.Cluster.Enabled() {
		return filepath.Join(c.Cluster.Dir, "seal.key") // all nodes open what any of them seals
	}
	return filepath.Join(c.Data.Dir, ownKeyFile)
}

// RotateSealKey adds a sealing key to the key file and makes it the one that
// seals. A running server goes on with the keys that it has read.
func RotateSealKey(c config.Config) (path string, id uint32, err error) {
	if c.Seal.KeyEnv != "" {
		return "", 0, fmt.Errorf("the sealing keys come from the variable %s; add a line with a new id in front there", c.Seal.KeyEnv)
	}
	path = keyFile(c)
	id, err = seal.Rotate(path)
	return path, id, err
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
