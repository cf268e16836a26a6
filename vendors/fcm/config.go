package fcm

import (
	"context"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/golang-jwt/jwt/v5"
)

// Bounds of Config.
const (
	maxAccountBytes    = 16 << 10
	maxChannelBytes    = 64
	maxCABytes         = 64 << 10
	maxMaxInFlight     = 1000
	defaultMaxInFlight = 256
	defaultOrigin      = "https://fcm.googleapis.com"
)

// Config is one Firebase project's credential.
type Config struct {
	// ServiceAccountJSON is the service-account file, at most 16 KiB. Secret.
	ServiceAccountJSON []byte
	// ChannelID is the Android channel of notifications without a category,
	// at most 64 bytes; empty = the app's default channel.
	ChannelID string
	// DataOnly sends data messages to Android, so that the app draws.
	DataOnly bool
	// Priority is "high" or "normal" for all pushes but calls, which are high, and
	// badge changes, which are normal; empty = by the class of each.
	Priority string
	// Endpoint is another origin than Google's, "https://host:port"; empty = Google's.
	// The token endpoint is the service account's token_uri.
	Endpoint string
	// CAPEM holds roots trusted in addition to the system's, at most 64 KiB.
	CAPEM []byte
	// MaxInFlight bounds the pushes in flight, 1..1000; 0 = 256.
	MaxInFlight int
	// DialContext replaces the dialer, as net.Pipe tests need; nil = TCP,
	// through the proxy that the environment names.
	DialContext func(ctx context.Context, network, addr string) (net.Conn, error)
}

// Validate names the first field that New would refuse; the error holds no secret.
func (c Config) Validate() error {
	_, err := c.parse()
	return err
}

// parsed is what a Config says, checked.
type parsed struct {
	account     account
	origin      string
	tls         *tls.Config
	maxInFlight int
}

func (c Config) parse() (parsed, error) {
	p := parsed{origin: defaultOrigin, maxInFlight: c.MaxInFlight}
	var err error
	if p.account, err = parseAccount(c.ServiceAccountJSON); err != nil {
		return p, fmt.Errorf("fcm: service_account_json: %w", err)
	}
	if len(c.ChannelID) > maxChannelBytes {
		return p, fmt.Errorf("fcm: channel_id: %d bytes, want at most %d", len(c.ChannelID), maxChannelBytes)
	}
	switch c.Priority {
	case "", priorityHigh, priorityNormal:
	default:
		return p, fmt.Errorf("fcm: priority: want %q or %q", priorityHigh, priorityNormal)
	}
	if c.Endpoint != "" {
		if p.origin, err = parseOrigin(c.Endpoint); err != nil {
			return p, fmt.Errorf("fcm: endpoint: %w", err)
		}
	}
	if p.tls, err = trust(c.CAPEM); err != nil {
		return p, fmt.Errorf("fcm: ca_pem: %w", err)
	}
	if c.MaxInFlight < 0 || c.MaxInFlight > maxMaxInFlight {
		return p, fmt.Errorf("fcm: max_in_flight: %d, want 0 to %d", c.MaxInFlight, maxMaxInFlight)
	}
	if p.maxInFlight == 0 {
		p.maxInFlight = defaultMaxInFlight
	}
	return p, nil
}

// account is the part of a service-account file that signs token requests.
type account struct {
	project, email, keyID, tokenURI string
	key                             *rsa.PrivateKey
}

func parseAccount(raw []byte) (account, error) {
	if len(raw) > maxAccountBytes {
		return account{}, fmt.Errorf("%d bytes, want at most %d", len(raw), maxAccountBytes)
	}
	var file struct {
		Type        string `json:"type"`
		ProjectID   string `json:"project_id"`
		KeyID       string `json:"private_key_id"`
		Key         string `json:"private_key"`
		ClientEmail string `json:"client_email"`
		TokenURI    string `json:"token_uri"`
	}
	// The decoder's error may quote the file.
	if json.Unmarshal(raw, &file) != nil {
		return account{}, errors.New("not a JSON object of strings; paste the whole file that the Firebase console gave")
	}
	if file.Type != "service_account" {
		return account{}, errors.New(`type: want "service_account"; make a key under Project settings, Service accounts`)
	}
	for _, field := range []struct{ name, value string }{
		{"project_id", file.ProjectID}, {"private_key_id", file.KeyID}, {"client_email", file.ClientEmail},
	} {
		if field.value == "" {
			return account{}, fmt.Errorf("%s: missing", field.name)
		}
	}
	if url.PathEscape(file.ProjectID) != file.ProjectID {
		return account{}, errors.New("project_id: not a project id or number")
	}
	uri, err := url.Parse(file.TokenURI)
	if err != nil || uri.Scheme != "https" || uri.Host == "" || uri.User != nil {
		return account{}, errors.New("token_uri: want an https address without user")
	}
	key, err := jwt.ParseRSAPrivateKeyFromPEM([]byte(file.Key))
	if err != nil {
		return account{}, errors.New("private_key: not an RSA private key in PEM")
	}
	return account{
		project: file.ProjectID, email: file.ClientEmail, keyID: file.KeyID, tokenURI: file.TokenURI, key: key,
	}, nil
}

func parseOrigin(endpoint string) (string, error) {
	u, err := url.Parse(endpoint)
	if err != nil || u.Scheme != "https" || u.Host == "" || u.User != nil ||
		strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "" {
		return "", errors.New(`want "https://host:port"`)
	}
	return "https://" + u.Host, nil
}

// trust is the system's roots and those in pem.
func trust(pem []byte) (*tls.Config, error) {
	config := &tls.Config{MinVersion: tls.VersionTLS12}
	if len(pem) == 0 {
		return config, nil
	}
	if len(pem) > maxCABytes {
		return nil, fmt.Errorf("%d bytes, want at most %d", len(pem), maxCABytes)
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, errors.New("no certificate in PEM found")
	}
	config.RootCAs = pool
	return config, nil
}
