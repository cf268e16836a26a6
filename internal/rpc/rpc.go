// Package rpc opens the public services of a server, as the command line and
// the demo use them: Connect over HTTP, with an API key.
package rpc

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"

	"connectrpc.com/connect"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/api/rouse/v1/rousev1connect"
)

// Options say where a server is and who calls.
type Options struct {
	// URL of the HTTP port, "http://127.0.0.1:7700".
	URL string
	// Key is an API key.
	Key string
	// App that an operator key acts for; empty for keys of an app.
	App string
	// CAPEM holds roots trusted instead of the system's; empty = the system's.
	CAPEM []byte
}

// Services are the services of one server; Close frees their connections.
type Services struct {
	Admin  rousev1connect.AdminServiceClient
	Backup rousev1connect.BackupServiceClient
	Device rousev1connect.DeviceServiceClient
	Intake rousev1connect.IntakeServiceClient
	User   rousev1connect.UserServiceClient
	// What users wish, and why they were woken or not.
	Settings rousev1connect.SettingsServiceClient
	Trace    rousev1connect.TraceServiceClient
	// For operators: the nodes and what they hold.
	Cluster rousev1connect.ClusterServiceClient

	transport *http.Transport
}

// Open checks the options; it does not connect.
func Open(o Options) (*Services, error) {
	u, err := url.Parse(o.URL)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, fmt.Errorf("the server %q is no address; write one like http://127.0.0.1:7700", o.URL)
	}
	if u.Scheme == "http" && !loopback(u.Hostname()) {
		return nil, fmt.Errorf("the server %s is on another machine, and the API key would travel in the clear; use https", o.URL)
	}
	t := &http.Transport{Proxy: http.ProxyFromEnvironment, Protocols: &http.Protocols{}}
	t.Protocols.SetHTTP2(true)
	// Over plain TCP there is nothing to negotiate: the server speaks HTTP/2 too.
	t.Protocols.SetUnencryptedHTTP2(u.Scheme == "http")
	t.Protocols.SetHTTP1(u.Scheme == "https")
	if len(o.CAPEM) > 0 {
		pool := x509.NewCertPool()
		if !pool.AppendCertsFromPEM(o.CAPEM) {
			return nil, errors.New("the file of trusted roots holds no certificate in PEM form")
		}
		t.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	c, base := &http.Client{Transport: t}, u.Scheme+"://"+u.Host
	with := connect.WithInterceptors(caller(o))
	return &Services{
		Admin:     rousev1connect.NewAdminServiceClient(c, base, with),
		Backup:    rousev1connect.NewBackupServiceClient(c, base, with),
		Device:    rousev1connect.NewDeviceServiceClient(c, base, with),
		Intake:    rousev1connect.NewIntakeServiceClient(c, base, with),
		User:      rousev1connect.NewUserServiceClient(c, base, with),
		Settings:  rousev1connect.NewSettingsServiceClient(c, base, with),
		Trace:     rousev1connect.NewTraceServiceClient(c, base, with),
		Cluster:   rousev1connect.NewClusterServiceClient(c, base, with),
		transport: t,
	}, nil
}

// Close frees idle connections.
func (s *Services) Close() { s.transport.CloseIdleConnections() }

// caller names itself in the headers of every call.
type caller Options

func (o caller) sign(h http.Header) {
	h.Set("Authorization", "Bearer "+o.Key)
	if o.App != "" {
		h.Set("Rouse-App", o.App)
	}
}

// WrapUnary implements connect.Interceptor.
func (o caller) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, r connect.AnyRequest) (connect.AnyResponse, error) {
		o.sign(r.Header())
		return next(ctx, r)
	}
}

// WrapStreamingClient implements connect.Interceptor.
func (o caller) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return func(ctx context.Context, spec connect.Spec) connect.StreamingClientConn {
		conn := next(ctx, spec)
		o.sign(conn.RequestHeader())
		return conn
	}
}

// WrapStreamingHandler implements connect.Interceptor; there are no handlers here.
func (o caller) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return next
}

// Detail is the rouse.v1.Error that an error carries; nil when the server did
// not say anything.
func Detail(err error) *rousev1.Error {
	var ce *connect.Error
	if !errors.As(err, &ce) {
		return nil
	}
	for _, d := range ce.Details() {
		if v, fault := d.Value(); fault == nil {
			if e, ok := v.(*rousev1.Error); ok {
				return e
			}
		}
	}
	return nil
}

func loopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}
