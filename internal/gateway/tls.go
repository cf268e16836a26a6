package gateway

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"
	"sync"
	"time"
)

// certCheckEvery is how often the certificate's files are asked for changes.
const certCheckEvery = 30 * time.Second

// LoadTLS builds the configuration of both ports. The certificate is read again
// when its files change; while they are unusable the last good one stays.
// clientCAFile may be empty: then callers need no certificate.
func LoadTLS(certFile, keyFile, clientCAFile string) (*tls.Config, error) {
	c := &certificate{certFile: certFile, keyFile: keyFile}
	if err := c.read(time.Now()); err != nil {
		return nil, fmt.Errorf("gateway: reading the TLS certificate: %w", err)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, GetCertificate: c.get}
	if clientCAFile == "" {
		return config, nil
	}
	pem, err := os.ReadFile(clientCAFile)
	if err != nil {
		return nil, fmt.Errorf("gateway: reading the roots of callers: %w", err)
	}
	config.ClientCAs = x509.NewCertPool()
	if !config.ClientCAs.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("gateway: %s holds no certificate in PEM", clientCAFile)
	}
	config.ClientAuth = tls.RequireAndVerifyClientCert
	return config, nil
}

// certificate is the newest usable state of two files.
type certificate struct {
	certFile, keyFile string

	mu       sync.Mutex
	checked  time.Time
	modified [2]time.Time
	current  *tls.Certificate
}

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now := time.Now(); now.Sub(c.checked) >= certCheckEvery {
		c.read(now) //nolint:errcheck // the last good one stays, and the next handshake tries again
	}
	return c.current, nil
}

// read loads the files if they have changed. The caller holds mu, or is alone.
func (c *certificate) read(now time.Time) error {
	c.checked = now
	var modified [2]time.Time
	for i, path := range []string{c.certFile, c.keyFile} {
		info, err := os.Stat(path)
		if err != nil {
			return err
		}
		modified[i] = info.ModTime()
	}
	if c.current != nil && modified == c.modified {
		return nil
	}
	pair, err := tls.LoadX509KeyPair(c.certFile, c.keyFile)
	if err != nil {
		return err
	}
	c.current, c.modified = &pair, modified
	return nil
}
