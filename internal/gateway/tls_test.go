package gateway

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"math/big"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// selfSigned makes a certificate for loopback that signs itself.
func selfSigned(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "test"}, NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, IsCA: true, BasicConstraintsValid: true,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	root, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(root)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, roots
}

func TestBothPortsSpeakTLS(t *testing.T) {
	pair, roots := selfSigned(t)
	w := newWorld(t, func(o *Options) {
		o.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: roots, ClientAuth: tls.RequireAndVerifyClientCert}
	})
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
