package certs

import (
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv("CERTS_FOUND_IN"); dir != "" {
		if err := Found(dir, os.Getenv("CERTS_NAME"), nil); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

func found(t *testing.T, dir, name string, hosts ...string) {
	t.Helper()
	if err := Found(dir, name, hosts); err != nil {
		t.Fatal(err)
	}
}

func certificate(t *testing.T, dir, name string) *x509.Certificate {
	t.Helper()
	c, err := readCertificate(nodePath(dir, name, ".pem"))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestFound(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "deep", "cluster")
	found(t, dir, "n1", "10.0.0.7", "db.example.com")
	c := certificate(t, dir, "n1")
	if got := c.URIs[0].String(); len(c.URIs) != 1 || got != "rouse://node/n1" {
		t.Errorf("URIs: %v", c.URIs)
	}
	for _, host := range []string{"localhost", "127.0.0.1", "::1", "10.0.0.7", "db.example.com"} {
		if err := c.VerifyHostname(host); err != nil {
			t.Error(err)
		}
	}
	if left := time.Until(c.NotAfter); left < 364*24*time.Hour || left > 367*24*time.Hour {
		t.Errorf("valid for %v", left)
	}
	ca, err := readCertificate(filepath.Join(dir, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if left := time.Until(ca.NotAfter); left < 10*365*24*time.Hour {
		t.Errorf("authority valid for %v", left)
	}
	text, err := os.ReadFile(filepath.Join(dir, "gossip.key"))
	if err != nil {
		t.Fatal(err)
	}
	if key, err := base64.StdEncoding.DecodeString(strings.TrimSpace(string(text))); err != nil || len(key) != 32 {
		t.Errorf("keyring: %d bytes, %v", len(key), err)
	}
	err = filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		want := fs.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		}
		if err == nil && info.Mode().Perm() != want {
			t.Errorf("%s has mode %v", path, info.Mode())
		}
		if strings.HasPrefix(d.Name(), ".") {
			t.Errorf("%s is left over", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// What is there stays, but a certificate that lacks a host or ends soon.
func TestFoundAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		found(t, dir, "n1", "10.0.0.7")
		first := files(t, dir)
		found(t, dir, "n1", "10.0.0.7")
		if now := files(t, dir); !equal(first, now) {
			t.Error("the second call changed something")
		}
		found(t, dir, "n1", "10.0.0.8")
		if !slices.ContainsFunc(certificate(t, dir, "n1").IPAddresses, func(ip net.IP) bool { return ip[len(ip)-1] == 8 }) {
			t.Error("the certificate lacks the new host")
		}
		second := files(t, dir)
		<-time.After(270 * 24 * time.Hour)
		found(t, dir, "n1", "10.0.0.8")
		if now := files(t, dir); !equal(second, now) {
			t.Error("renewed too early")
		}
		<-time.After(6 * 24 * time.Hour)
		found(t, dir, "n1", "10.0.0.8")
		if left := time.Until(certificate(t, dir, "n1").NotAfter); left < 360*24*time.Hour {
			t.Errorf("not renewed: %v are left", left)
		}
		if now := files(t, dir); now["ca.pem"] != first["ca.pem"] || now["gossip.key"] != first["gossip.key"] || now["nodes/n1.key"] != first["nodes/n1.key"] {
			t.Error("more than the certificate was replaced")
		}
	})
}

func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	m := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		rel, _ := filepath.Rel(dir, path)
		m[filepath.ToSlash(rel)] = string(b)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func equal(a, b map[string]string) bool { return fmt.Sprint(a) == fmt.Sprint(b) }

// Three nodes that start at once on one machine must end up in one cluster.
func TestProcessesFoundAtOnce(t *testing.T) {
	for range 5 {
		dir := filepath.Join(t.TempDir(), "cluster")
		var running []*exec.Cmd
		for i := range 3 {
			c := exec.CommandContext(t.Context(), os.Args[0])
			c.Env = append(os.Environ(), "CERTS_FOUND_IN="+dir, fmt.Sprint("CERTS_NAME=n", i))
			c.Stderr = os.Stderr
			if err := c.Start(); err != nil {
				t.Fatal(err)
			}
			running = append(running, c)
		}
		for _, c := range running {
			if err := c.Wait(); err != nil {
				t.Fatal(err)
			}
		}
		for i := range 3 {
			if _, err := Load(dir, fmt.Sprint("n", i)); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestGoroutinesFoundAtOnce(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "cluster")
	const n = 20
	done := make(chan error, n)
	for i := range n {
		go func() { done <- Found(dir, fmt.Sprint("n", i%4), nil) }()
	}
	for range n {
		if err := <-done; err != nil {
			t.Fatal(err)
		}
	}
	for i := range 4 {
		if _, err := Load(dir, fmt.Sprint("n", i)); err != nil {
			t.Error(err)
		}
	}
}

func TestBundle(t *testing.T) {
	dir, out := t.TempDir(), filepath.Join(t.TempDir(), "bundle")
	if err := Init(dir); err != nil {
		t.Fatal(err)
	}
	seal, err := Bundle(dir, "n2", []string{"10.0.0.2"}, out)
	if err != nil || seal {
		t.Fatal(seal, err)
	}
	if _, err := Load(out, "n2"); err != nil {
		t.Error(err)
	}
	got := files(t, out)
	for _, file := range []string{"ca.pem", "gossip.key", "nodes/n2.pem", "nodes/n2.key"} {
		if got[file] != files(t, dir)[file] {
			t.Errorf("%s differs", file)
		}
		delete(got, file)
	}
	if len(got) != 0 {
		t.Errorf("the bundle holds more: %d files", len(got))
	}
	found(t, out, "n2", "10.0.0.99") // a bundle works as it is
	if err := Found(out, "n3", nil); err == nil || !strings.Contains(err.Error(), "rouse certs issue") {
		t.Errorf("another node in a bundle: %v", err)
	}
	if err := Issue(out, "n2", nil); err == nil || !strings.Contains(err.Error(), "ca.key") {
		t.Errorf("issuing in a bundle: %v", err)
	}
	if err := os.WriteFile(filepath.Join(dir, "seal.key"), []byte("sealing keys"), 0o600); err != nil {
		t.Fatal(err)
	}
	if seal, err := Bundle(dir, "n2", nil, out); err != nil || !seal || files(t, out)["seal.key"] != "sealing keys" {
		t.Errorf("%v, %v", seal, err)
	}
}

func TestErrorsTellWhatToDo(t *testing.T) {
	dir := t.TempDir()
	for name, c := range map[string]struct {
		err  error
		want string
	}{
		"no authority":   {Issue(dir, "n1", nil), "rouse certs init"},
		"no certificate": {second(Load(dir, "n1")), "rouse certs issue"},
		"no IM bundle":   {second(LoadIMNode(dir)), "rouse certs im-node"},
		"bad name":       {Found(dir, "../n1", nil), "letters"},
		"bad app":        {IssueIMNode(dir, "a/b", "im", nil, t.TempDir()), "app"},
	} {
		if c.err == nil || !strings.Contains(c.err.Error(), c.want) {
			t.Errorf("%s: %v", name, c.err)
		}
	}
	found(t, dir, "n1")
	other := t.TempDir()
	found(t, other, "n1")
	text, err := os.ReadFile(filepath.Join(other, "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "ca.pem"), text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := Issue(dir, "n2", nil); err == nil || !strings.Contains(err.Error(), "another cluster") {
		t.Errorf("mixed authorities: %v", err)
	}
	if _, err := Load(dir, "n1"); err == nil || !strings.Contains(err.Error(), "of no use") {
		t.Errorf("certificate of another authority: %v", err)
	}
}

func second[T any](_ T, err error) error { return err }
