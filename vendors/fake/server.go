package fake

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"time"
)

// maxBody bounds a request body in bytes; no vendor takes more than 1 MiB.
const maxBody = 1 << 20

// Server is the HTTP/1.1 and HTTP/2 harness of the fakes that need no control
// over frames. The vendor's handler asks Faults.Take with the request's token
// and lets Fault.Serve carry the fault out.
type Server struct {
	Faults Faults

	http *http.Server
	cert certificate
	done chan struct{}
}

// NewServer serves handler, over TLS when cert is given.
func NewServer(handler http.Handler, cert *tls.Certificate) *Server {
	s := &Server{done: make(chan struct{})}
	s.http = &http.Server{
		Handler:           http.MaxBytesHandler(handler, maxBody),
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		ConnContext: func(ctx context.Context, conn net.Conn) context.Context {
			return context.WithValue(ctx, connKey{}, conn)
		},
	}
	if cert != nil {
		s.cert.set(*cert)
		s.http.TLSConfig = &tls.Config{
			GetCertificate: s.cert.get,
			MinVersion:     tls.VersionTLS12,
			NextProtos:     []string{"h2", "http/1.1"},
		}
	}
	return s
}

type connKey struct{}

// Serve answers on l until Close, then returns nil.
func (s *Server) Serve(l net.Listener) error {
	var err error
	if s.http.TLSConfig != nil {
		err = s.http.ServeTLS(l, "", "")
	} else {
		err = s.http.Serve(l)
	}
	if errors.Is(err, http.ErrServerClosed) {
		return nil
	}
	return err
}

// Close ends the listeners and all connections, hanging requests included.
// It must be called once.
func (s *Server) Close() error {
	close(s.done)
	return s.http.Close()
}

// Fail carries f out on a request whose body has been read, and returns when
// the request is over. take makes the vendor accept the push without answering;
// usual does and answers what the vendor would without the fault.
func (s *Server) Fail(f Fault, w http.ResponseWriter, r *http.Request, take, usual func()) {
	if f.Kind != Drip && !s.wait(r.Context(), f.Delay) {
		abort()
	}
	switch f.Kind {
	case Slow, Streams:
		usual()
		return
	case Answer:
		f.begin(w)
		_, _ = io.WriteString(w, f.Body)
		return
	case Drip:
		if s.drip(f, w, r) {
			return
		}
	case Reset: // as abort does
	case Hang, Freeze:
		select {
		case <-r.Context().Done():
		case <-s.done:
		}
	case Cut:
		take()
		cutConn(r)
	case Abort:
		take()
		w.Header().Set("content-type", "application/json")
		w.Header().Set("content-length", "64")
		_, _ = io.WriteString(w, `{"half":`)
		_ = http.NewResponseController(w).Flush()
	case Refuse, Goaway:
		cutConn(r)
	}
	abort()
}

func (f *Fault) begin(w http.ResponseWriter) {
	for name, value := range f.Header {
		w.Header().Set(name, value)
	}
	w.WriteHeader(f.Status)
}

// drip reports whether the whole body went out.
func (s *Server) drip(f Fault, w http.ResponseWriter, r *http.Request) bool {
	f.begin(w)
	out := http.NewResponseController(w)
	for i := range len(f.Body) {
		if !s.wait(r.Context(), f.Delay) {
			return false
		}
		_, _ = io.WriteString(w, f.Body[i:i+1])
		_ = out.Flush()
	}
	return true
}

// abort ends the request without an answer; net/http has no other way.
func abort() { panic(http.ErrAbortHandler) } //nolint:forbidigo // see above

// wait reports whether d passed before the client or the server gave up.
func (s *Server) wait(ctx context.Context, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
	case <-s.done:
	}
	return false
}

// cutConn closes the connection below TLS: the peer sees no goodbye.
func cutConn(r *http.Request) {
	conn, ok := r.Context().Value(connKey{}).(net.Conn)
	if !ok {
		return
	}
	if t, ok := conn.(*tls.Conn); ok {
		conn = t.NetConn()
	}
	_ = conn.Close()
}
