package main

import (
	"bufio"
	"context"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"rouse": main})
}

func TestScripts(t *testing.T) {
	if testing.Short() {
		t.Skip("starts servers")
	}
	path := filepath.Join(t.TempDir(), "roused") // the real server
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-o", path, "../roused").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	testscript.Run(t, testscript.Params{
		Dir:                 "testdata",
		RequireExplicitExec: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("ROUSED", path)
			e.Setenv("LANG", "C")
			return nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"server": server, "stop": stop, "fakes": fakes, "keep": keep, "control": control,
		},
	})
}

// server starts roused on free ports, with more flags, and sets ROUSE_SERVER.
func server(ts *testscript.TestScript, _ bool, args []string) {
	said, end := daemon(ts, "operator key in", ts.Getenv("ROUSED"), args...)
	servers.Store(ts.Getenv("WORK"), end)
	_, rest, _ := strings.Cut(said, "http  ")
	ts.Setenv("ROUSE_SERVER", strings.Fields(rest)[0])
}

// servers are what ends the last server of each script, by its directory.
var servers sync.Map

// stop ends the last server.
func stop(ts *testscript.TestScript, _ bool, _ []string) {
	end, ok := servers.LoadAndDelete(ts.Getenv("WORK"))
	if !ok {
		ts.Fatalf("no server is running")
	}
	end.(func())()
}

// fakes starts rouse serve-fakes on free ports, with more flags.
func fakes(ts *testscript.TestScript, _ bool, args []string) {
	path, err := exec.LookPath("rouse")
	ts.Check(err)
	said, _ := daemon(ts, "Pushes will be shown here", path, append([]string{"serve-fakes", "--listen", "127.0.0.1:0", "--control", "127.0.0.1:0"}, args...)...)
	_, rest, _ := strings.Cut(said, "control         ")
	ts.Setenv("CONTROL", strings.Fields(rest)[0])
}

// control asks the control API of the fakes: METHOD PATH [BODY]. What it
// answers is the standard output; negated, it must refuse.
func control(ts *testscript.TestScript, negated bool, args []string) {
	body := ""
	if len(args) > 2 {
		body = args[2]
	}
	r, err := http.NewRequestWithContext(context.Background(), args[0], ts.Getenv("CONTROL")+args[1], strings.NewReader(body))
	ts.Check(err)
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	res, err := http.DefaultClient.Do(r)
	ts.Check(err)
	defer func() { _ = res.Body.Close() }()
	said, err := io.ReadAll(res.Body)
	ts.Check(err)
	_, _ = ts.Stdout().Write(said)
	if refused := res.StatusCode >= 400; refused != negated {
		ts.Fatalf("%s %s: HTTP %d %s", args[0], args[1], res.StatusCode, said)
	}
}

// keep puts what the last command wrote into a variable.
func keep(ts *testscript.TestScript, _ bool, args []string) {
	ts.Setenv(args[0], strings.Fields(ts.ReadFile("stdout"))[0])
}

// daemon starts a program and waits until it says the marker. It ends with the
// script, or before by what is answered, and must end in order.
func daemon(ts *testscript.TestScript, marker, path string, args ...string) (said string, end func()) {
	cmd := exec.CommandContext(context.Background(), path, args...)
	cmd.Dir = ts.Getenv("WORK")
	cmd.Env = append(os.Environ(), "ROUSE_GRPC_LISTEN=127.0.0.1:0", "ROUSE_HTTP_LISTEN=127.0.0.1:0", "ROUSE_DATA_MIN_FREE_DISK=64MiB")
	var errs strings.Builder
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	ts.Check(err)
	ts.Check(cmd.Start())
	lines := bufio.NewScanner(out)
	for !strings.Contains(said, marker) {
		if !lines.Scan() {
			ts.Fatalf("%s ended: %v\n%s", path, cmd.Wait(), errs.String())
		}
		said += lines.Text() + "\n"
	}
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		for lines.Scan() {
		}
	}()
	var once sync.Once
	end = func() {
		once.Do(func() {
			ts.Check(cmd.Process.Signal(syscall.SIGTERM))
			<-drained
			if err := cmd.Wait(); err != nil {
				ts.Fatalf("%s: %v\n%s", path, err, errs.String())
			}
		})
	}
	ts.Defer(end)
	return said, end
}
