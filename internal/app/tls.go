package app

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"os"

	"github.com/rouse-im/rouse/internal/config"
	"github.com/rouse-im/rouse/internal/reload"
)

// serverTLS is nil when no certificate is configured. A renewed certificate, and
// another list of those whose clients may connect, need no restart; files that
// cannot be read leave the old ones in use.
func serverTLS(c config.TLS) (*tls.Config, error) {
	if !c.Enabled() {
		return nil, nil
	}
	paths := []string{c.CertFile, c.KeyFile}
	if c.ClientCAFile != "" {
		paths = append(paths, c.ClientCAFile)
	}
	files, err := reload.New(func() (*tls.Config, error) { return readTLS(c) }, paths...)
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	now, err := files.Get()
	if err != nil {
		return nil, fmt.Errorf("tls: %w", err)
	}
	t := now.Clone() // for servers that want to see a certificate before the first handshake
	t.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return files.Get() }
	return t, nil
}

func readTLS(c config.TLS) (*tls.Config, error) {
	pair, err := tls.LoadX509KeyPair(c.CertFile, c.KeyFile)
	if err != nil {
		return nil, err
	}
	t := &tls.Config{
		MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{pair}, NextProtos: []string{"h2", "http/1.1"},
	}
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
