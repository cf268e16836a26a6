package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"time"

	"github.com/rouse-im/rouse/internal/reload"
)

// Identity is what one node shows to others and knows them by. It follows its
// files within a second.
type Identity struct {
	files *reload.Files[material]
	self  Peer
}

type material struct {
	pair *tls.Certificate
	pool *x509.CertPool
}

// Load opens the identity of the node name.
func Load(dir, name string) (*Identity, error) {
	if err := checkName(name); err != nil {
		return nil, err
	}
	id, err := load(Peer{Node: name}, filepath.Join(dir, "ca.pem"), nodePath(dir, name, ".pem"), nodePath(dir, name, ".key"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, missing(dir, name)
	}
	return id, err
}

// missing says how to get the certificate of a node.
func missing(dir, name string) error {
	return fmt.Errorf("certs: %s has no certificate of the node %s (nodes/%s.pem and .key) or no ca.pem, and no ca.key to make one: run rouse certs issue DIR %s --host ADDRESS --out BUNDLE with the directory that has ca.key, and copy BUNDLE here",
		dir, name, name, name)
}

// LoadIMNode opens the identity that IssueIMNode wrote.
func LoadIMNode(dir string) (*Identity, error) {
	ca, cert, key := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "im.pem"), filepath.Join(dir, "im.key")
	c, err := readCertificate(cert)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("certs: %s has no im.pem: write it with rouse certs im-node DIR APP NAME --out %s where ca.key is", dir, dir)
	}
	if err != nil {
		return nil, err
	}
	p, err := peerOf(c)
	if err != nil {
		return nil, err
	}
	return load(p, ca, cert, key)
}

func load(self Peer, ca, cert, key string) (*Identity, error) {
	read := func() (m material, err error) {
		pair, err := tls.LoadX509KeyPair(cert, key)
		if err != nil {
			return m, fmt.Errorf("certs: %s: %w", cert, err)
		}
		m.pair = &pair
		if m.pool, err = readPool(ca); err != nil {
			return m, err
		}
		if p, err := peerOf(pair.Leaf); err != nil || p != self {
			return m, fmt.Errorf("certs: %s is not the certificate of %s, but of %s", cert, self, p)
		}
		if err := verify(m.pool, []*x509.Certificate{pair.Leaf}, x509.ExtKeyUsageClientAuth); err != nil {
			return m, fmt.Errorf("certs: %s is of no use with %s: %w", cert, ca, err)
		}
		return m, nil
	}
	files, err := reload.New(read, ca, cert, key)
	if err != nil {
		return nil, err
	}
	return &Identity{files, self}, nil
}

// Self is who the certificate belongs to.
func (id *Identity) Self() Peer { return id.self }

// Expires is when the certificate ends.
func (id *Identity) Expires() time.Time {
	m, err := id.files.Get()
	if err != nil {
		return time.Time{}
	}
	return m.pair.Leaf.NotAfter
}

// TLS answers the settings for both sides of connections inside the cluster:
// TLS 1.3, and each side must show a certificate of this authority that accept
// takes. Host names are not looked at: who the peer is follows from its URI.
// accept nil = only nodes.
func (id *Identity) TLS(accept func(Peer) error) *tls.Config {
	if accept == nil {
		accept = nodesOnly
	}
	check := func(usage x509.ExtKeyUsage) func(tls.ConnectionState) error {
		return func(s tls.ConnectionState) error { return id.check(s, usage, accept) }
	}
	pair := func() (*tls.Certificate, error) {
		m, err := id.files.Get()
		return m.pair, err
	}
	return &tls.Config{
		MinVersion: tls.VersionTLS13,
		// VerifyConnection does all that this leaves out, but for the host's name.
		InsecureSkipVerify:   true,
		VerifyConnection:     check(x509.ExtKeyUsageServerAuth),
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return pair() },
		GetConfigForClient: func(*tls.ClientHelloInfo) (*tls.Config, error) {
			m, err := id.files.Get()
			if err != nil {
				return nil, err
			}
			return &tls.Config{
				MinVersion: tls.VersionTLS13, ClientAuth: tls.RequireAndVerifyClientCert, ClientCAs: m.pool,
				Certificates: []tls.Certificate{*m.pair}, VerifyConnection: check(x509.ExtKeyUsageClientAuth),
				SessionTicketsDisabled: true, // who left the cluster comes back by no ticket
			}, nil
		},
	}
}

func nodesOnly(p Peer) error {
	if !p.IsNode() {
		return fmt.Errorf("certs: %s is no node of the cluster", p)
	}
	return nil
}

func (id *Identity) check(s tls.ConnectionState, usage x509.ExtKeyUsage, accept func(Peer) error) error {
	p, err := PeerOf(s)
	if err != nil {
		return err
	}
	m, err := id.files.Get()
	if err != nil {
		return err
	}
	if err := verify(m.pool, s.PeerCertificates, usage); err != nil {
		return fmt.Errorf("certs: certificate of %s: %w", p, err)
	}
	return accept(p)
}

func verify(pool *x509.CertPool, chain []*x509.Certificate, usage x509.ExtKeyUsage) error {
	between := x509.NewCertPool()
	for _, c := range chain[1:] {
		between.AddCert(c)
	}
	_, err := chain[0].Verify(x509.VerifyOptions{
		Roots: pool, Intermediates: between, KeyUsages: []x509.ExtKeyUsage{usage},
	})
	return err
}
