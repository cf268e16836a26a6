package certs

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/url"
	"regexp"
	"strings"
)

// Peer is who a certificate of the cluster belongs to: a node, or an IM node of
// an app.
type Peer struct {
	Node    string
	App, IM string
}

// IsNode tells a member of the cluster from an IM node.
func (p Peer) IsNode() bool { return p.Node != "" }

// String is for logs.
func (p Peer) String() string { return p.uri().String() }

func (p Peer) uri() *url.URL {
	if p.IsNode() {
		return &url.URL{Scheme: "rouse", Host: "node", Path: "/" + p.Node}
	}
	return &url.URL{Scheme: "rouse", Host: "im", Path: "/" + p.App + "/" + p.IM}
}

func (p Peer) name() string {
	if p.IsNode() {
		return p.Node
	}
	return p.IM
}

// Names are parts of paths. The first is a node's or an IM node's, the second is
// an app's as the API takes it.
var (
	nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$`)
	appForm  = regexp.MustCompile(`^[A-Za-z0-9._#-]{1,64}$`)
)

func checkName(name string) error {
	if !nameForm.MatchString(name) {
		return fmt.Errorf("certs: %q is no name of a node: it takes 1 to 128 letters, digits, dots, hyphens and underscores, and begins with a letter or digit", name)
	}
	return nil
}

func (p Peer) check() error {
	if p.IsNode() {
		return checkName(p.Node)
	}
	if !appForm.MatchString(p.App) {
		return fmt.Errorf("certs: %q is no id of an app", p.App)
	}
	return checkName(p.IM)
}

// PeerOf answers who is at the other end of a verified connection.
func PeerOf(s tls.ConnectionState) (Peer, error) {
	if len(s.PeerCertificates) == 0 {
		return Peer{}, errors.New("certs: the peer has shown no certificate")
	}
	return peerOf(s.PeerCertificates[0])
}

// peerOf wants exactly one name, so that nobody is two at a time.
func peerOf(c *x509.Certificate) (Peer, error) {
	if len(c.URIs) != 1 || c.URIs[0].Scheme != "rouse" {
		return Peer{}, errors.New("certs: the certificate names no node of a cluster")
	}
	u := c.URIs[0]
	var p Peer
	switch path, _ := strings.CutPrefix(u.Path, "/"); u.Host {
	case "node":
		p.Node = path
	case "im":
		p.App, p.IM, _ = strings.Cut(path, "/")
	}
	if err := p.check(); err != nil || p.uri().String() != u.String() {
		return Peer{}, fmt.Errorf("certs: the certificate names %q, which is neither a node nor an IM node", u)
	}
	return p, nil
}
