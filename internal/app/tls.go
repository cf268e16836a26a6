package app

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/rouse-im/rouse/internal/config"
)

// serverTLS is nil when no certificate is configured. The files are looked at
// again at most once a second, at handshakes, so that a renewed certificate
// needs no restart; one that cannot be read leaves the old one in use.
func serverTLS(c config.TLS) (*tls.Config, error) {
	if !c.Enabled() {
		return nil, nil
	}
	k := &keyPair{config: c}
	if _, err := k.get(nil); err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	t := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: k.get}
	if c.ClientCAFile != "" {
		pem, err := os.ReadFile(c.ClientCAFile)
		if err != nil {
			return nil, fmt.Errorf("tls.client_ca_file: %w", err)
		}
		t.ClientCAs = x509.NewCertPool()
		if !t.ClientCAs.AppendCertsFromPEM(pem) {
			return nil, fmt.Errorf("tls.client_ca_file: %s holds no certificate in PEM form", c.ClientCAFile)
		}
		t.ClientAuth = tls.RequireAndVerifyClientCert
	}
	return t, nil
}

type keyPair struct {
	config config.TLS

	mu      sync.Mutex
	pair    *tls.Certificate
	checked time.Time
	changed time.Time // later one of the files' modification times
}

func (k *keyPair) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := time.Now()
	if k.pair != nil && now.Sub(k.checked) < time.Second {
		return k.pair, nil
	}
	k.checked = now
	changed, err := modified(k.config.CertFile, k.config.KeyFile)
	if err == nil && (k.pair == nil || changed.After(k.changed)) {
		var pair tls.Certificate
		if pair, err = tls.LoadX509KeyPair(k.config.CertFile, k.config.KeyFile); err == nil {
			k.pair, k.changed = &pair, changed
		}
	}
	if k.pair != nil {
		return k.pair, nil
	}
	return nil, err
}

func modified(files ...string) (latest time.Time, err error) {
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil {
			return latest, err
		}
		if info.ModTime().After(latest) {
			latest = info.ModTime()
		}
	}
	return latest, nil
}
