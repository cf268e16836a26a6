package app

import (
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

	k := &keyPair{config: c.TLS}
	first, err := k.get(nil)
	if err != nil {
		t.Fatal(err)
	}
	writeCert(t, dir, ca)
	later := time.Now().Add(time.Hour)
	if err := os.Chtimes(c.TLS.CertFile, later, later); err != nil {
		t.Fatal(err)
	}
	if same, _ := k.get(nil); same != first {
		t.Error("the files are looked at more than once a second")
	}
	k.checked = time.Time{}
	if renewed, err := k.get(nil); err != nil || renewed == first {
		t.Errorf("the renewed certificate is not used: %v", err)
	}
	if err := os.WriteFile(c.TLS.CertFile, []byte("damaged"), 0o600); err != nil {
		t.Fatal(err)
	}
	k.checked, k.changed = time.Time{}, time.Time{}
	if kept, err := k.get(nil); err != nil || kept == nil {
		t.Errorf("a damaged file ends service: %v", err)
	}
}

func healthy(t *testing.T, n *Node, trust *tls.Config) string {
	t.Helper()
	h := &http.Client{Transport: &http.Transport{TLSClientConfig: trust}}
	defer h.CloseIdleConnections()
	r, err := h.Get("https://" + n.HTTPAddr() + "/healthz")
	if err != nil {
		t.Fatal(err)
	}
	_ = r.Body.Close()
	if r.StatusCode != http.StatusOK {
		t.Errorf("healthz: %s", r.Status)
	}
	return r.TLS.PeerCertificates[0].SerialNumber.String()
}
