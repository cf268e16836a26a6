package app

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/client"
	"github.com/rouse-im/rouse/internal/config"
	"github.com/rouse-im/rouse/vendors/fake"
)

func writeCert(t *testing.T, dir string, ca *fake.CA) (certFile, keyFile string) {
	t.Helper()
	cert, err := ca.Server("127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	key, err := x509.MarshalPKCS8PrivateKey(cert.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	var chain []byte
	for _, der := range cert.Certificate {
		chain = append(chain, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der})...)
	}
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, text := range map[string][]byte{certFile: chain, keyFile: pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: key})} {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

// With a certificate both ports speak TLS and nothing else, and a renewed
// certificate is taken up without a restart.
func TestTLS(t *testing.T) {
	dir := t.TempDir()
	ca, err := fake.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	c := config.Default()
	c.Data.Dir, c.GRPC.Listen, c.HTTP.Listen, c.Data.MinFreeDisk = dir, "127.0.0.1:0", "127.0.0.1:0", 64<<20
	c.TLS.CertFile, c.TLS.KeyFile = writeCert(t, dir, ca)
	n, err := Start(Options{Config: c, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := n.Stop(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	trust := &tls.Config{RootCAs: ca.Pool()}
	if serial := healthy(t, n, trust); serial == "" {
		t.Error("no certificate")
	}
	if r, err := http.Get("http://" + n.HTTPAddr() + "/healthz"); err == nil {
		_ = r.Body.Close()
		if r.StatusCode == http.StatusOK {
			t.Error("the HTTP port speaks plaintext beside TLS")
		}
	}
	operator, err := os.ReadFile(filepath.Join(dir, OperatorKeyFile))
	if err != nil {
		t.Fatal(err)
	}
	key := strings.TrimSpace(string(operator))
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if _, err := n.catalog.CreateApp("chat", "", nil, time.Now()); err != nil {
		t.Fatal(err)
	}
	im, err := client.Dial(ctx, client.Options{Target: n.GRPCAddr(), APIKey: key, App: "chat", Node: "im", TLS: trust})
	if err != nil {
		t.Fatal(err)
	}
	r, err := im.SendWait(ctx, &rousev1.Event{Kind: &rousev1.Event_Message{Message: &rousev1.MessageEvent{MessageId: "m", Recipients: []string{"ann"}}}})
	if err != nil || r.GetStatus() != rousev1.ItemStatus_ITEM_STATUS_ACCEPTED {
		t.Errorf("%v %v", r, err)
	}
	if err := im.Close(ctx); err != nil {
		t.Error(err)
	}
}

// Renewed certificates and another list of roots are taken up by a running
// server, and a damaged file is passed over.
func TestTLSFollowsItsFiles(t *testing.T) {
	dir := t.TempDir()
	ca, err := fake.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	synctest.Test(t, func(t *testing.T) {
		var c config.TLS
		c.CertFile, c.KeyFile = writeCert(t, dir, ca)
		c.ClientCAFile = filepath.Join(dir, "roots.pem")
		if err := os.WriteFile(c.ClientCAFile, []byte("none"), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := serverTLS(c); err == nil || !strings.Contains(err.Error(), "client_ca_file") {
			t.Fatal(err)
		}
		root, err := os.ReadFile(c.CertFile)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(c.ClientCAFile, root, 0o600); err != nil {
			t.Fatal(err)
		}
		config, err := serverTLS(c)
		if err != nil {
			t.Fatal(err)
		}
		shown := func() *tls.Config {
			t.Helper()
			<-time.After(time.Second)
			now, err := config.GetConfigForClient(nil)
			if err != nil || now.ClientAuth != tls.RequireAndVerifyClientCert || now.ClientCAs == nil {
				t.Fatalf("%+v, %v", now, err)
			}
			return now
		}
		first := shown()
		if shown() != first {
			t.Error("read again though nothing has changed")
		}
		writeCert(t, dir, ca)
		future := time.Now().Add(time.Hour)
		if err := os.Chtimes(c.CertFile, future, future); err != nil {
			t.Fatal(err)
		}
		renewed := shown()
		if bytes.Equal(renewed.Certificates[0].Certificate[0], first.Certificates[0].Certificate[0]) {
			t.Error("the renewed certificate is not used")
		}
		if err := os.WriteFile(c.CertFile, []byte("damaged"), 0o600); err != nil {
			t.Fatal(err)
		}
		if shown() != renewed {
			t.Error("a damaged file ends service")
		}
	})
}

func healthy(t *testing.T, n *Node, trust *tls.Config) string {
	t.Helper()
	h := &http.Client{Transport: &http.Transport{TLSClientConfig: trust, ForceAttemptHTTP2: true}}
	defer h.CloseIdleConnections()
	r, err := h.Get("https://" + n.HTTPAddr() + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Body.Close()
	if r.StatusCode != http.StatusOK || r.ProtoMajor != 2 {
		t.Errorf("healthz: %s over %s", r.Status, r.Proto)
	}
	return r.TLS.PeerCertificates[0].SerialNumber.String()
}
