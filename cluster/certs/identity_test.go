package certs

import (
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// shake makes a connection between two sides and answers what each found.
func shake(t *testing.T, client, server *tls.Config) (seen [2]Peer, errs [2]error) {
	t.Helper()
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	c, s := tls.Client(a, client), tls.Server(b, server)
	done := make(chan struct{})
	go func() {
		defer close(done)
		if errs[1] = s.HandshakeContext(t.Context()); errs[1] == nil {
			seen[1], errs[1] = PeerOf(s.ConnectionState())
			_, _ = s.Write([]byte{1})
		}
		b.Close()
	}()
	if errs[0] = c.HandshakeContext(t.Context()); errs[0] == nil {
		// In TLS 1.3 the server's verdict comes after the client's handshake.
		if _, errs[0] = c.Read(make([]byte, 1)); errs[0] == nil {
			seen[0], errs[0] = PeerOf(c.ConnectionState())
		}
	}
	a.Close()
	<-done
	return seen, errs
}

func identity(t *testing.T, dir, name string) *Identity {
	t.Helper()
	found(t, dir, name)
	id, err := Load(dir, name)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func imNode(t *testing.T, dir, app, name string) *Identity {
	t.Helper()
	out := t.TempDir()
	if err := IssueIMNode(dir, app, name, nil, out); err != nil {
		t.Fatal(err)
	}
	id, err := LoadIMNode(out)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func anybody(Peer) error { return nil }

func TestMutualTLS(t *testing.T) {
	dir := t.TempDir()
	a, b := identity(t, dir, "a"), identity(t, dir, "b")
	seen, errs := shake(t, a.TLS(nil), b.TLS(nil))
	if errs != [2]error{} || seen != [2]Peer{{Node: "b"}, {Node: "a"}} {
		t.Errorf("%v %v", seen, errs)
	}
	im := imNode(t, dir, "org#chat", "im-1")
	if seen, errs = shake(t, im.TLS(nil), b.TLS(anybody)); errs != [2]error{} || seen[1] != (Peer{App: "org#chat", IM: "im-1"}) {
		t.Errorf("IM node: %v %v", seen, errs)
	}
	if _, errs = shake(t, im.TLS(nil), b.TLS(nil)); errs[1] == nil {
		t.Error("an IM node came where only nodes may")
	}
	if _, errs = shake(t, a.TLS(nil), im.TLS(anybody)); errs[0] == nil {
		t.Error("an IM node passed for a node")
	}
}

func TestStrangersAreRefused(t *testing.T) {
	dir := t.TempDir()
	a := identity(t, dir, "a")
	foreign := identity(t, t.TempDir(), "a")
	nobody := &tls.Config{InsecureSkipVerify: true}
	old := foreign.TLS(nil)
	old.MaxVersion, old.MinVersion = tls.VersionTLS12, tls.VersionTLS12
	for name, client := range map[string]*tls.Config{"another CA": foreign.TLS(nil), "no certificate": nobody, "TLS 1.2": old} {
		if _, errs := shake(t, client, a.TLS(anybody)); errs[1] == nil {
			t.Errorf("%s: accepted by a server", name)
		}
	}
	if _, errs := shake(t, a.TLS(anybody), foreign.TLS(anybody)); errs[0] == nil {
		t.Error("a server of another CA was accepted")
	}
}

func TestPeerOf(t *testing.T) {
	for uri, want := range map[string]Peer{
		"rouse://node/n1":           {Node: "n1"},
		"rouse://im/chat/im-1":      {App: "chat", IM: "im-1"},
		"rouse://im/org%23chat/i":   {App: "org#chat", IM: "i"},
		"rouse://node/":             {},
		"rouse://node/../n1":        {},
		"rouse://node/a/b":          {},
		"rouse://node/n1?x=y":       {},
		"rouse://node/n1#x":         {},
		"rouse://user@node/n1":      {},
		"rouse://im/chat":           {},
		"rouse://im//i":             {},
		"rouse://im/a/b/c":          {},
		"rouse://other/n1":          {},
		"spiffe://node/n1":          {},
		"rouse://node/n1%2f..%2fca": {},
	} {
		u, err := url.Parse(uri)
		if err != nil {
			t.Fatal(err)
		}
		got, err := peerOf(&x509.Certificate{URIs: []*url.URL{u}})
		if got != want || (err == nil) != (want != Peer{}) {
			t.Errorf("%s: %+v, %v", uri, got, err)
		}
	}
	one := (Peer{Node: "n1"}).uri()
	if _, err := peerOf(&x509.Certificate{URIs: []*url.URL{one, one}}); err == nil {
		t.Error("two names are accepted")
	}
	if _, err := peerOf(&x509.Certificate{}); err == nil {
		t.Error("no name is accepted")
	}
	if _, err := PeerOf(tls.ConnectionState{}); err == nil {
		t.Error("no certificate is accepted")
	}
}

// A renewed certificate is shown from the next handshake on, and a replaced
// authority is known.
func TestReload(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		a, b := identity(t, dir, "a"), identity(t, dir, "b")
		config := a.TLS(nil)
		ends := a.Expires()
		<-time.After(30 * 24 * time.Hour)
		if err := Issue(dir, "a", nil); err != nil {
			t.Fatal(err)
		}
		touch(t, nodePath(dir, "a", ".pem"))
		if !a.Expires().After(ends) {
			t.Error("the renewed certificate is not known")
		}
		if _, errs := shake(t, config, b.TLS(nil)); errs != [2]error{} {
			t.Error(errs)
		}

		// Both authorities are trusted while one replaces the other.
		other := t.TempDir()
		c := identity(t, other, "c")
		if _, errs := shake(t, config, c.TLS(nil)); errs[0] == nil {
			t.Fatal("a foreign node was accepted")
		}
		var both []byte
		for _, d := range []string{dir, other} {
			text, err := os.ReadFile(filepath.Join(d, "ca.pem"))
			if err != nil {
				t.Fatal(err)
			}
			both = append(both, text...)
		}
		for _, d := range []string{dir, other} {
			if err := replace(filepath.Join(d, "ca.pem"), both); err != nil {
				t.Fatal(err)
			}
			touch(t, filepath.Join(d, "ca.pem"))
		}
		<-time.After(time.Minute)
		if _, errs := shake(t, config, c.TLS(nil)); errs != [2]error{} {
			t.Errorf("with both authorities: %v", errs)
		}
	})
}

// touch gives a file the bubble's time.
func touch(t *testing.T, path string) {
	t.Helper()
	if err := os.Chtimes(path, time.Now(), time.Now()); err != nil {
		t.Fatal(err)
	}
}

func TestExpiredCertificate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		a, b := identity(t, dir, "a"), identity(t, dir, "b")
		<-time.After(367 * 24 * time.Hour)
		if _, errs := shake(t, a.TLS(nil), b.TLS(nil)); errs[0] == nil {
			t.Error("an expired certificate was accepted")
		}
		if _, err := Load(dir, "a"); err == nil || !strings.Contains(err.Error(), "expired") {
			t.Error(err)
		}
	})
}

func TestStringsAreNoSecrets(t *testing.T) {
	if got := (Peer{App: "chat", IM: "im"}).String(); got != "rouse://im/chat/im" {
		t.Error(got)
	}
	dir := t.TempDir()
	id := identity(t, dir, "a")
	if id.Self() != (Peer{Node: "a"}) {
		t.Error(id.Self())
	}
}
