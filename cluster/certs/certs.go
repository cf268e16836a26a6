// Package certs keeps the directory of a cluster's secrets: the certificate
// authority, one certificate for each node, and the keyring of gossip. Nodes of
// one machine may share it; for others Bundle writes what one node needs.
//
//	ca.pem, ca.key           the authority; ca.key is missing in a bundle
//	nodes/<name>.pem, .key   certificate of a node
//	gossip.key               keys of gossip, the first is the one in use
//	founded                  that a cluster was founded with them, and by whom
//
// A certificate says who a peer is by a URI: rouse://node/<name> for a node,
// rouse://im/<app>/<name> for an IM node. Files are complete when they appear,
// and several processes may make them at once: the first one wins.
package certs

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// How long certificates are valid. Clocks of machines may differ by skew.
const (
	authorityYears = 10
	leafYears      = 1
	skew           = time.Hour
	// renew is left of a node's certificate when Found makes a new one.
	renew = 90 * 24 * time.Hour
)

// Found makes what dir does not have yet: an authority, a keyring of gossip, and
// the certificate of the node name for hosts, which are DNS names and IP
// addresses. It also replaces a certificate that ends within 90 days or lacks a
// host. In a directory without ca.key it only checks that nothing is missing.
func Found(dir, name string, hosts []string) error {
	if err := Init(dir); err != nil {
		return err
	}
	if err := checkName(name); err != nil {
		return err
	}
	cert, err := readCertificate(nodePath(dir, name, ".pem"))
	switch {
	case errors.Is(err, fs.ErrNotExist):
	case err != nil:
		return err
	case time.Until(cert.NotAfter) > renew && covers(cert, hosts):
		return nil
	}
	if _, gone := os.Stat(filepath.Join(dir, "ca.key")); gone != nil {
		if err == nil {
			return nil // it works, and who issued it can renew it
		}
		return missing(dir, name)
	}
	return Issue(dir, name, hosts)
}

// Init makes the authority and the keyring if they are missing.
func Init(dir string) error {
	if err := os.MkdirAll(filepath.Join(dir, "nodes"), 0o700); err != nil {
		return fmt.Errorf("certs: %w", err)
	}
	if _, err := os.Stat(filepath.Join(dir, "ca.pem")); errors.Is(err, fs.ErrNotExist) {
		if err := makeAuthority(dir); err != nil {
			return err
		}
	}
	if _, err := os.Stat(filepath.Join(dir, "gossip.key")); errors.Is(err, fs.ErrNotExist) {
		return create(filepath.Join(dir, "gossip.key"), newKeyring())
	}
	return nil
}

// makeAuthority lets the first key win, and then the first certificate of it:
// whoever makes it, it is of the same key.
func makeAuthority(dir string) error {
	key, err := makeKey(filepath.Join(dir, "ca.key"))
	if err != nil {
		return err
	}
	c := template("Rouse cluster", authorityYears)
	c.IsCA, c.BasicConstraintsValid, c.MaxPathLenZero = true, true, true
	c.KeyUsage = x509.KeyUsageCertSign | x509.KeyUsageCRLSign
	der, err := x509.CreateCertificate(rand.Reader, c, c, &key.PublicKey, key)
	if err != nil {
		return fmt.Errorf("certs: %w", err)
	}
	return create(filepath.Join(dir, "ca.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// makeKey answers the key of a file, which it makes if there is none.
func makeKey(path string) (*ecdsa.PrivateKey, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, fmt.Errorf("certs: %w", err)
	}
	text, err := encodeKey(key)
	if err != nil {
		return nil, err
	}
	if err := create(path, text); err != nil {
		return nil, err
	}
	return readKey(path)
}

// Issue makes a certificate of the node name, and puts it in the place of an
// older one. Each is valid for this machine, too.
func Issue(dir, name string, hosts []string) error {
	if err := checkName(name); err != nil {
		return err
	}
	ca, err := openAuthority(dir)
	if err != nil {
		return err
	}
	// The key stays, so that the pair of files fits at any moment.
	key, err := makeKey(nodePath(dir, name, ".key"))
	if err != nil {
		return err
	}
	text, err := ca.issue(Peer{Node: name}, hosts, &key.PublicKey)
	if err != nil {
		return err
	}
	return replace(nodePath(dir, name, ".pem"), text)
}

// Bundle writes to out what the node name needs on another machine; out has the
// form of dir, without ca.key. The sealing keys go along if dir has them.
func Bundle(dir, name string, hosts []string, out string) (seal bool, err error) {
	if err := Issue(dir, name, hosts); err != nil {
		return false, err
	}
	if err := os.MkdirAll(filepath.Join(out, "nodes"), 0o700); err != nil {
		return false, fmt.Errorf("certs: %w", err)
	}
	for _, file := range []string{"ca.pem", "gossip.key", "seal.key", originFile, "nodes/" + name + ".pem", "nodes/" + name + ".key"} {
		text, err := os.ReadFile(filepath.Join(dir, file))
		if (file == "seal.key" || file == originFile) && errors.Is(err, fs.ErrNotExist) {
			continue
		}
		seal = seal || file == "seal.key"
		if err == nil {
			err = replace(filepath.Join(out, file), text)
		}
		if err != nil {
			return false, fmt.Errorf("certs: %s of the bundle: %w", file, err)
		}
	}
	return seal, nil
}

// IssueIMNode writes to out what an IM node of app needs to send actor messages
// itself: ca.pem, im.pem and im.key. dir keeps nothing of it.
func IssueIMNode(dir, app, name string, hosts []string, out string) error {
	p := Peer{App: app, IM: name}
	if err := p.check(); err != nil {
		return err
	}
	ca, err := openAuthority(dir)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(out, 0o700); err != nil {
		return fmt.Errorf("certs: %w", err)
	}
	key, err := makeKey(filepath.Join(out, "im.key"))
	if err != nil {
		return err
	}
	text, err := ca.issue(p, hosts, &key.PublicKey)
	if err != nil {
		return err
	}
	return errors.Join(replace(filepath.Join(out, "im.pem"), text),
		replace(filepath.Join(out, "ca.pem"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: ca.cert.Raw})))
}

// authority signs.
type authority struct {
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

func openAuthority(dir string) (*authority, error) {
	cert, err := readCertificate(filepath.Join(dir, "ca.pem"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("certs: %s has no ca.pem: make the cluster's secrets there with rouse certs init %s, or name the directory that has them", dir, dir)
	}
	if err != nil {
		return nil, err
	}
	key, err := readKey(filepath.Join(dir, "ca.key"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("certs: %s has no ca.key, so it cannot issue certificates: it was made for one node; use the directory that rouse certs init made", dir)
	}
	if err != nil {
		return nil, err
	}
	if !key.PublicKey.Equal(cert.PublicKey) {
		return nil, fmt.Errorf("certs: ca.key and ca.pem in %s do not belong together: one of them is of another cluster", dir)
	}
	return &authority{cert, key}, nil
}

func (a *authority) issue(p Peer, hosts []string, key *ecdsa.PublicKey) ([]byte, error) {
	c := template(p.name(), leafYears)
	c.KeyUsage = x509.KeyUsageDigitalSignature
	c.ExtKeyUsage = []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth}
	c.URIs = append(c.URIs, p.uri())
	for _, h := range append([]string{"localhost", "127.0.0.1", "::1"}, hosts...) {
		if ip := net.ParseIP(h); ip == nil {
			c.DNSNames = append(c.DNSNames, h)
		} else if !slices.ContainsFunc(c.IPAddresses, ip.Equal) {
			c.IPAddresses = append(c.IPAddresses, ip)
		}
	}
	if c.NotAfter.After(a.cert.NotAfter) {
		c.NotAfter = a.cert.NotAfter
	}
	der, err := x509.CreateCertificate(rand.Reader, c, a.cert, key, a.key)
	if err != nil {
		return nil, fmt.Errorf("certs: certificate of %s: %w", p, err)
	}
	return pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), nil
}
