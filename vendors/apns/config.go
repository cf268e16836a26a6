package apns

import (
	"context"
	"crypto/ecdsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"

	"github.com/sideshow/apns2"
	"github.com/sideshow/apns2/certificate"
	"github.com/sideshow/apns2/token"
)

// Bounds and defaults of Config.
const (
	maxBundleBytes      = 128
	maxPEMBytes         = 64 << 10
	maxSoundBytes       = 64
	maxConnections      = 16
	defaultConnections  = 1
	maxStreams          = 1000
	defaultStreams      = 900
	providerIDBytesMost = 16
)

// Config is one bundle id with one credential: either AuthKeyPEM, KeyID and
// TeamID, or CertificateP12.
type Config struct {
	// BundleID is the topic, 1-128 bytes, without ".voip".
	BundleID string
	// VoIP: the device tokens are PushKit's, the topic gets ".voip", and all
	// pushes are of ChannelVoIP; without it none may be.
	VoIP bool
	// Sound of alerts that name none, at most 64 bytes; empty = silent.
	Sound string
	// Sandbox chooses Apple's development environment.
	Sandbox bool
	// AuthKeyPEM is the .p8 file. Secret.
	AuthKeyPEM []byte
	// KeyID and TeamID have 10 characters at Apple's; at most 16 are taken.
	KeyID, TeamID string
	// CertificateP12 is a PKCS#12 file, at most 64 KiB, with its password. Secret.
	CertificateP12      []byte
	CertificatePassword string
	// Endpoint is another origin than Apple's, "https://host:port".
	Endpoint string
	// CAPEM holds roots trusted in addition to the system's, at most 64 KiB.
	CAPEM []byte
	// Connections is 1-16; 0 = 1.
	Connections int
	// StreamsPerConnection bounds the pushes in flight on a connection,
	// 1-1000; 0 = 900. APNs's own limit wins where it is lower.
	StreamsPerConnection int
	// DialContext replaces the dialer, as net.Pipe tests need; nil = TCP,
	// through the proxy that the environment names.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
}

// FieldError tells which field of a Config is wrong, and why. It holds no secret.
type FieldError struct {
	// Field is the name in configuration files and in the API.
	Field  string
	Reason string
}

func (e *FieldError) Error() string { return "apns: " + e.Field + ": " + e.Reason }

func wrong(field, format string, args ...any) error {
	return &FieldError{Field: field, Reason: fmt.Sprintf(format, args...)}
}

// Validate returns a *FieldError for the first field that New would refuse.
func (c Config) Validate() error {
	_, err := c.parse()
	return err
}

// parsed is what a Config says, checked.
type parsed struct {
	origin, address      string
	key                  *ecdsa.PrivateKey // nil with a certificate
	tls                  *tls.Config
	connections, streams int
	dial                 func(ctx context.Context, network, addr string) (net.Conn, error)
	proxy                func(*http.Request) (*url.URL, error)
}

func (c Config) parse() (parsed, error) {
	p := parsed{dial: c.DialContext, tls: &tls.Config{MinVersion: tls.VersionTLS12, VerifyConnection: speaksHTTP2}}
	if len(c.BundleID) == 0 || len(c.BundleID) > maxBundleBytes {
		return p, wrong("bundle_id", "%d bytes, want 1 to %d", len(c.BundleID), maxBundleBytes)
	}
	if len(c.Sound) > maxSoundBytes {
		return p, wrong("sound", "%d bytes, want at most %d: \"default\" or the name of a file of the app", len(c.Sound), maxSoundBytes)
	}
	var err error
	if p.connections, err = within("connections", c.Connections, defaultConnections, maxConnections); err != nil {
		return p, err
	}
	if p.streams, err = within("streams_per_connection", c.StreamsPerConnection, defaultStreams, maxStreams); err != nil {
		return p, err
	}
	if err := c.parseEndpoint(&p); err != nil {
		return p, err
	}
	if p.tls.RootCAs, err = trust(c.CAPEM); err != nil {
		return p, err
	}
	if p.dial == nil {
		p.dial = (&net.Dialer{Timeout: dialTimeout, KeepAlive: tcpKeepAlive}).DialContext
		p.proxy = http.ProxyFromEnvironment
	}
	return p, c.parseCredential(&p)
}

// speaksHTTP2 refuses what net/http would otherwise speak HTTP/1.1 with.
func speaksHTTP2(state tls.ConnectionState) error {
	if state.NegotiatedProtocol != "h2" {
		return errNoHTTP2
	}
	return nil
}

var errNoHTTP2 = errors.New("the endpoint does not speak HTTP/2")

func within(field string, value, usual, most int) (int, error) {
	if value == 0 {
		return usual, nil
	}
	if value < 0 || value > most {
		return 0, wrong(field, "%d, want 1 to %d", value, most)
	}
	return value, nil
}

func (c Config) parseEndpoint(p *parsed) error {
	p.origin = apns2.HostProduction
	if c.Sandbox {
		p.origin = apns2.HostDevelopment
	}
	if c.Endpoint != "" {
		p.origin = c.Endpoint
	}
	// What is refused is not repeated: it may hold a password.
	u, err := url.Parse(p.origin)
	if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || u.Path != "" || u.RawQuery != "" || u.Fragment != "" {
		return wrong("endpoint", `want "https://host:port" and nothing behind it`)
	}
	port := u.Port()
	if port == "" {
		port = "443"
	}
	p.address = net.JoinHostPort(u.Hostname(), port)
	return nil
}

func trust(pem []byte) (*x509.CertPool, error) {
	if len(pem) == 0 {
		return nil, nil // the system's
	}
	if len(pem) > maxPEMBytes {
		return nil, wrong("ca_pem", "%d bytes, want at most %d", len(pem), maxPEMBytes)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		return nil, fmt.Errorf("apns: ca_pem: read the system's roots: %w", err)
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, wrong("ca_pem", "holds no PEM certificate")
	}
	return pool, nil
}

// parseCredential reports the kind of fault only: parser messages may quote
// their input.
func (c Config) parseCredential(p *parsed) error {
	if len(c.CertificateP12) > 0 {
		return c.parseCertificate(p)
	}
	switch {
	case len(c.AuthKeyPEM) == 0:
		return wrong("auth_key_pem", "give the .p8 file, or a certificate in certificate_p12")
	case len(c.AuthKeyPEM) > maxPEMBytes:
		return wrong("auth_key_pem", "%d bytes, want at most %d", len(c.AuthKeyPEM), maxPEMBytes)
	case len(c.KeyID) == 0 || len(c.KeyID) > providerIDBytesMost:
		return wrong("key_id", "%d bytes, want 1 to %d", len(c.KeyID), providerIDBytesMost)
	case len(c.TeamID) == 0 || len(c.TeamID) > providerIDBytesMost:
		return wrong("team_id", "%d bytes, want 1 to %d", len(c.TeamID), providerIDBytesMost)
	}
	key, err := token.AuthKeyFromBytes(c.AuthKeyPEM)
	switch {
	case errors.Is(err, token.ErrAuthKeyNotPem):
		return wrong("auth_key_pem", "no PEM block: paste the whole .p8 file")
	case err != nil || key.Params().BitSize != 256:
		return wrong("auth_key_pem", "no PKCS#8 key of the curve P-256")
	}
	p.key = key
	return nil
}

func (c Config) parseCertificate(p *parsed) error {
	switch {
	case len(c.AuthKeyPEM) > 0:
		return wrong("certificate_p12", "give either a certificate or auth_key_pem, not both")
	case len(c.CertificateP12) > maxPEMBytes:
		return wrong("certificate_p12", "%d bytes, want at most %d", len(c.CertificateP12), maxPEMBytes)
	}
	cert, err := certificate.FromP12Bytes(c.CertificateP12, c.CertificatePassword)
	if err != nil {
		return wrong("certificate_p12", "cannot be opened: wrong password, no PKCS#12, or encrypted otherwise than by 3DES or RC2")
	}
	p.tls.Certificates = []tls.Certificate{cert}
	return nil
}
