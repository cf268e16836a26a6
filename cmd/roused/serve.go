package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/rouse-im/rouse/internal/app"
	"github.com/rouse-im/rouse/internal/config"
)

// errLogged is a failure that the log has told already.
var errLogged = errors.New("see the log")

// errAtOnce is the end that a second signal orders.
var errAtOnce = errors.New("ended at once; calls and pushes under way were cut short, what was accepted is on disk")

// serve runs a node until a signal, or until it cannot serve any more.
func serve(ctx context.Context, f flags, env []string, signals <-chan os.Signal, out, errs io.Writer) error {
	if f.PrintConfig {
		_, err := io.WriteString(out, config.Example())
		return err
	}
	flagged, err := f.overrides()
	if err != nil {
		return err
	}
	c, err := config.Load(f.Config, append(slices.Clip(env), flagged...))
	if err != nil {
		return err
	}
	if f.Port != 0 {
		portsFrom(&c, f.Port)
	}
	if f.NewSealKey {
		path, id, err := app.RotateSealKey(c)
		if err != nil {
			return err
		}
		_, err = fmt.Fprintf(out, "%s has the new sealing key %d; restart the server to use it, and back the file up\n", path, id)
		return err
	}
	log := newLogger(c.Log, errs)
	node, err := startNode(ctx, app.Options{Config: c, Logger: log, Version: version(), FoundAnew: f.FoundAnew}, signals)
	if err != nil {
		return fmt.Errorf("cannot start: %w", err)
	}
	greet(out, c, node)

	var failure error
	select {
	case s := <-signals:
		log.Info("shutting down; a second signal ends at once", "signal", s.String(), "timeout", c.Shutdown.Timeout)
	case failure = <-node.Failed():
		log.Error("the server cannot go on; shutting down", "error", failure)
	}
	stopped := make(chan error, 1)
	go func() { stopped <- stopNode(c, node) }()
	select {
	case <-signals:
		return errAtOnce
	case err := <-stopped:
		if err != nil {
			log.Error("the end was not orderly; what was accepted is on disk", "error", err)
		}
		if err != nil || failure != nil {
			return errLogged
		}
	}
	log.Info("stopped")
	return nil
}

// startNode gives up when a signal comes first.
func startNode(ctx context.Context, o app.Options, signals <-chan os.Signal) (*app.Node, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	type result struct {
		node *app.Node
		err  error
	}
	started := make(chan result, 1)
	go func() {
		node, err := app.StartContext(ctx, o)
		started <- result{node, err}
	}()
	select {
	case r := <-started:
		return r.node, r.err
	case s := <-signals:
		cancel(fmt.Errorf("signal %s", s))
	}
	select {
	case r := <-started:
		if r.err == nil { // it was faster
			r.err = errors.Join(context.Cause(ctx), stopNode(o.Config, r.node))
		}
		return nil, r.err
	case <-signals:
		return nil, errAtOnce
	}
}

func stopNode(c config.Config, node *app.Node) error {
	ctx, cancel := context.WithTimeout(context.Background(), c.Shutdown.Timeout)
	defer cancel()
	return node.Stop(ctx)
}

// greet says where everything is.
func greet(out io.Writer, c config.Config, node *app.Node) {
	scheme := "http"
	if c.TLS.Enabled() {
		scheme = "https"
	}
	fmt.Fprintf(out, "rouse %s is ready\n", version())
	fmt.Fprintf(out, "  http  %s://%s   JSON calls, health, metrics\n", scheme, node.HTTPAddr())
	fmt.Fprintf(out, "  grpc  %s   events of IM nodes\n", node.GRPCAddr())
	fmt.Fprintf(out, "  data  %s\n", c.Data.Dir)
	if key := filepath.Join(c.Data.Dir, app.OperatorKeyFile); readable(key) {
		fmt.Fprintf(out, "  operator key in %s\n", key)
	}
}

func readable(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

func newLogger(c config.Log, out io.Writer) *slog.Logger {
	levels := map[string]slog.Level{"debug": slog.LevelDebug, "info": slog.LevelInfo, "warn": slog.LevelWarn, "error": slog.LevelError}
	o := &slog.HandlerOptions{Level: levels[c.Level]}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(out, o))
	}
	return slog.New(slog.NewTextHandler(out, o))
}
