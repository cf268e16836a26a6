package fake

import (
	"crypto/tls"
	"sync/atomic"
)

// certificate is what a fake shows; it may change while the fake serves.
type certificate struct {
	shown atomic.Pointer[tls.Certificate]
}

func (c *certificate) set(cert tls.Certificate) { c.shown.Store(&cert) }

func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) { return c.shown.Load(), nil }

// SetCert changes the certificate that new connections get.
func (a *APNs) SetCert(cert tls.Certificate) { a.cert.set(cert) }

// SetCert changes the certificate that new connections get.
func (f *FCM) SetCert(cert tls.Certificate) { f.server.cert.set(cert) }

// SetCert changes the certificate that new connections get.
func (h *Huawei) SetCert(cert tls.Certificate) { h.server.cert.set(cert) }

// SetCert changes the certificate that new connections get.
func (h *Honor) SetCert(cert tls.Certificate) { h.server.cert.set(cert) }

// SetCert changes the certificate that new connections get.
func (x *Xiaomi) SetCert(cert tls.Certificate) { x.server.cert.set(cert) }

// SetCert changes the certificate that new connections get.
func (f *OPPO) SetCert(cert tls.Certificate) { f.server.cert.set(cert) }

// SetCert changes the certificate that new connections get.
func (f *Vivo) SetCert(cert tls.Certificate) { f.server.cert.set(cert) }

// SetCert changes the certificate that new connections get.
func (m *Meizu) SetCert(cert tls.Certificate) { m.server.cert.set(cert) }
