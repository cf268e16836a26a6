package gateway

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/rouse-im/rouse/api/rouse/v1/rousev1connect"
)

const (
	headerTime = 5 * time.Second
	// bodyTime bounds the reading of a unary request.
	bodyTime = 30 * time.Second
	idleTime = 2 * time.Minute
)

func (g *Gateway) newHTTP() *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { say(w, http.StatusOK, "ok") })
	mux.HandleFunc("GET /readyz", g.readyz)
	mux.Handle("GET /metrics", promhttp.HandlerFor(g.Registry, promhttp.HandlerOpts{}))
	if g.Receipts != nil {
		mux.Handle(g.ReceiptPattern, g.Receipts)
	}
	options := []connect.HandlerOption{
		connect.WithInterceptors(interceptor{g}),
		connect.WithReadMaxBytes(g.RequestBytes),
		connect.WithCompression("gzip", nil, nil), // a small body cannot grow into a large message
		connect.WithCodec(strictJSON{"json"}), connect.WithCodec(strictJSON{"json; charset=utf-8"}),
	}
	rpc := http.NewServeMux()
	rpc.Handle(rousev1connect.NewIntakeServiceHandler(connectIntake{&intake{Gateway: g}}, options...))
	rpc.Handle(rousev1connect.NewDeviceServiceHandler(&device{Gateway: g}, options...))
	rpc.Handle(rousev1connect.NewUserServiceHandler(&user{Gateway: g}, options...))
	rpc.Handle(rousev1connect.NewSettingsServiceHandler(&settings{Gateway: g}, options...))
	rpc.Handle(rousev1connect.NewTraceServiceHandler(&trace{Gateway: g}, options...))
	rpc.Handle(rousev1connect.NewAdminServiceHandler(&led{admin{Gateway: g}}, options...))
	rpc.Handle(rousev1connect.NewBackupServiceHandler(connectBackups{&backups{Gateway: g}}, options...))
	rpc.Handle(rousev1connect.NewClusterServiceHandler(&cluster{Gateway: g}, options...))
	mux.Handle("POST /{service}/{method}", g.front(rpc))

	protocols := &http.Protocols{}
	protocols.SetHTTP1(true)
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(g.TLS == nil)
	return &http.Server{
		Handler: g.harden(mux), TLSConfig: g.TLS.Clone(), Protocols: protocols,
		ReadHeaderTimeout: headerTime, IdleTimeout: idleTime, MaxHeaderBytes: maxHeaderBytes,
		HTTP2:    &http.HTTP2Config{MaxConcurrentStreams: g.Streams, SendPingTimeout: pingAfter, PingTimeout: pingTimeout},
		ErrorLog: slog.NewLogLogger(g.Logger.Handler(), slog.LevelDebug),
	}
}

// harden sets the headers that keep browsers from doing anything with answers.
// There is no CORS: no page of another origin may call.
func (g *Gateway) harden(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Cache-Control", "no-store")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Referrer-Policy", "no-referrer")
		if g.TLS != nil {
			h.Set("Strict-Transport-Security", "max-age=31536000")
		}
		next.ServeHTTP(w, r)
	})
}

func (g *Gateway) readyz(w http.ResponseWriter, _ *http.Request) {
	select {
	case <-g.draining:
		say(w, http.StatusServiceUnavailable, "shutting down")
		return
	default:
	}
	if err := g.Ready(); err != nil {
		say(w, http.StatusServiceUnavailable, "not ready: "+err.Error())
		return
	}
	say(w, http.StatusOK, "ready")
}

func say(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(status)
	io.WriteString(w, text+"\n") //nolint:errcheck // the caller is gone
}

// interceptor runs admitted calls of Connect.
type interceptor struct{ *Gateway }

// WrapUnary implements connect.Interceptor.
func (i interceptor) WrapUnary(next connect.UnaryFunc) connect.UnaryFunc {
	return func(ctx context.Context, request connect.AnyRequest) (response connect.AnyResponse, err error) {
		err = i.unary(ctx, request.Spec().Procedure, asMessage(request), func(ctx context.Context) (err error) {
			response, err = next(ctx, request)
			return err
		})
		if err != nil {
			return nil, asConnect(err)
		}
		return response, nil
	}
}

// WrapStreamingClient implements connect.Interceptor; there are no clients here.
func (i interceptor) WrapStreamingClient(next connect.StreamingClientFunc) connect.StreamingClientFunc {
	return next
}

// WrapStreamingHandler implements connect.Interceptor.
func (i interceptor) WrapStreamingHandler(next connect.StreamingHandlerFunc) connect.StreamingHandlerFunc {
	return func(ctx context.Context, conn connect.StreamingHandlerConn) error {
		start := time.Now()
		return asConnect(i.ended(ctx, conn.Spec().Procedure, start, next(ctx, conn)))
	}
}
