package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/proto"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/app"
	"github.com/rouse-im/rouse/internal/config"
	"github.com/rouse-im/rouse/internal/rpc"
)

// remote are the flags of verbs that talk to a server.
type remote struct {
	Server string `help:"HTTP address of the server." default:"http://127.0.0.1:7700" env:"ROUSE_SERVER" placeholder:"URL" group:"Server"`
	Key    string `help:"API key, or @FILE that holds it. Without one rouse-data/operator.key is read." env:"ROUSE_KEY" placeholder:"KEY" group:"Server"`
	App    string `help:"App that is meant; needed with an operator key, which belongs to none." env:"ROUSE_APP" placeholder:"ID" group:"Server"`
	CA     string `help:"Trusted roots (PEM) of a server with TLS; without it the system's." env:"ROUSE_CA" placeholder:"FILE" group:"Server"`
	JSON   bool   `help:"Write the answer as JSON, for scripts." group:"Server"`
}

// open prepares calls to the server.
func (r *remote) open() (*rpc.Services, error) {
	key, err := r.secret()
	if err != nil {
		return nil, err
	}
	o := rpc.Options{URL: r.Server, Key: key, App: r.App}
	if r.CA != "" {
		if o.CAPEM, err = os.ReadFile(r.CA); err != nil {
			return nil, fmt.Errorf("--ca: %w", err)
		}
	}
	return rpc.Open(o)
}

func (r *remote) secret() (string, error) {
	path, named := strings.CutPrefix(r.Key, "@")
	if r.Key != "" && !named {
		return r.Key, nil
	}
	if !named {
		path = filepath.Join(config.Default().Data.Dir, app.OperatorKeyFile)
	}
	text, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !named:
		return "", fmt.Errorf("no API key: there is no %s here; run in the directory of the server, or set --key or ROUSE_KEY", path)
	case err != nil:
		return "", fmt.Errorf("no API key: %w", err)
	}
	return strings.TrimSpace(string(text)), nil
}

// ask calls the server and shows the answer: as JSON, or with show.
func ask[R proto.Message](c *call, r *remote, do func(*rpc.Services) (R, error), show func(R) error) error {
	s, err := r.open()
	if err != nil {
		return err
	}
	defer s.Close()
	answer, err := do(s)
	switch {
	case err != nil:
		return r.explain(err)
	case r.JSON:
		return c.json(answer)
	}
	return show(answer)
}

// explain turns the error of a call into what was wrong and what to do.
func (r *remote) explain(err error) error {
	detail := rpc.Detail(err)
	var ce *connect.Error
	switch {
	case !errors.As(err, &ce):
		return err
	case detail == nil && ce.Code() == connect.CodeUnavailable:
		return fmt.Errorf("no answer from %s: %w; start a server with roused, or name another with --server or ROUSE_SERVER", r.Server, ce.Unwrap())
	case detail == nil:
		return fmt.Errorf("%s: %w; is it the HTTP port of a Rouse server?", r.Server, ce.Unwrap())
	case detail.GetCode() == rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT && r.App == "" && strings.Contains(detail.GetMessage(), "operator key"):
		return errors.New("an operator key belongs to no app; name one with --app or ROUSE_APP")
	case detail.GetCode() == rousev1.ErrorCode_ERROR_CODE_UNAUTHENTICATED:
		return fmt.Errorf("%s; the key comes from --key, ROUSE_KEY or rouse-data/operator.key, and is one of %s", detail.GetMessage(), r.Server)
	case detail.GetCode() == rousev1.ErrorCode_ERROR_CODE_NOT_FOUND && r.App != "" && strings.Contains(detail.GetMessage(), "header"):
		return fmt.Errorf("there is no app %q; rouse app list shows them", r.App)
	}
	return errors.New(detail.GetMessage())
}
