package gateway

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// writeCert makes a self-signed certificate for loopback.
func writeCert(t *testing.T, dir string, serial int64) (certFile, keyFile string, der []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err = x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for path, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: der}, keyFile: {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(path, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile, der
}

func TestBothPortsSpeakTLS(t *testing.T) {
	certFile, keyFile, der := writeCert(t, t.TempDir(), 1)
	config, err := LoadTLS(certFile, keyFile, certFile)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, func(o *Options) { o.TLS = config })
	root, err := x509.ParseCertificate(der)
	w.ok(err)
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	w.ok(err)
	roots := x509.NewCertPool()
	roots.AddCert(root)
	for name, certificates := range map[string][]tls.Certificate{"with": {pair}, "without": nil} {
		client := &tls.Config{RootCAs: roots, Certificates: certificates}
		conn, err := grpc.NewClient(w.GRPC.Addr().String(), grpc.WithTransportCredentials(credentials.NewTLS(client)))
		w.ok(err)
		_, viaGRPC := rousev1.NewAdminServiceClient(conn).GetApp(w.as(w.adminKey()), &rousev1.GetAppRequest{})
		w.ok(conn.Close())
		transport := &http.Transport{TLSClientConfig: client, ForceAttemptHTTP2: true}
		r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "https://"+w.HTTP.Addr().String()+rousev1.AdminService_GetApp_FullMethodName, strings.NewReader("{}"))
		w.ok(err)
		r.Header.Set("Content-Type", "application/json")
		r.Header.Set("Authorization", "Bearer "+w.adminKey())
		res, viaHTTP := transport.RoundTrip(r)
		if viaHTTP == nil {
			res.Body.Close()
			if res.StatusCode != http.StatusOK || res.ProtoMajor != 2 || res.Header.Get("Strict-Transport-Security") == "" {
				t.Errorf("%d %s %v", res.StatusCode, res.Proto, res.Header)
			}
		}
		transport.CloseIdleConnections()
		if (viaGRPC == nil) != (certificates != nil) || (viaHTTP == nil) != (certificates != nil) {
			t.Errorf("%s a certificate: %v, %v", name, viaGRPC, viaHTTP)
		}
	}
}

func TestChangedCertificateIsTaken(t *testing.T) {
	dir := t.TempDir()
	certFile, keyFile, old := writeCert(t, dir, 1)
	c := &certificate{certFile: certFile, keyFile: keyFile}
	if err := c.read(time.Now()); err != nil {
		t.Fatal(err)
	}
	serves := func(want []byte) {
		t.Helper()
		c.checked = time.Time{}
		got, err := c.get(nil)
		if err != nil || string(got.Certificate[0]) != string(want) {
			t.Fatalf("another certificate, or %v", err)
		}
	}
	touch := func(path string, at time.Time) {
		t.Helper()
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	later := time.Now().Add(time.Minute)
	if err := os.WriteFile(certFile, []byte("half written"), 0o600); err != nil {
		t.Fatal(err)
	}
	touch(certFile, later)
	serves(old)
	_, _, renewed := writeCert(t, dir, 2)
	touch(certFile, later.Add(time.Minute))
	serves(renewed)
	if err := os.Remove(certFile); err != nil {
		t.Fatal(err)
	}
	serves(renewed)
}

func TestUnusableTLSFiles(t *testing.T) {
	certFile, keyFile, _ := writeCert(t, t.TempDir(), 1)
	for _, files := range [][3]string{{"none", keyFile, ""}, {certFile, certFile, ""}, {certFile, keyFile, keyFile}, {certFile, keyFile, "none"}} {
		if _, err := LoadTLS(files[0], files[1], files[2]); err == nil {
			t.Errorf("%v: no error", files)
		}
	}
}
