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
	"time"

	"github.com/rogpeppe/go-internal/testscript"
	"google.golang.org/protobuf/encoding/protojson"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/client"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"rouse": main})
}

func TestScripts(t *testing.T) {
	if testing.Short() {
		t.Skip("starts servers")
	}
	path := filepath.Join(t.TempDir(), "roused") // the real server
	if out, err := exec.CommandContext(t.Context(), "go", "build", "-ldflags=-s -w", "-o", path, "../roused").CombinedOutput(); err != nil {
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
			"server": server, "end": end, "fakes": fakes, "keep": keep, "control": control, "recorder": recorder, "imnode": imnode,
		},
	})
}

// server starts roused on free ports, with more flags, and sets ROUSE_SERVER.
func server(ts *testscript.TestScript, _ bool, args []string) {
	said, end := daemon(ts, "operator key in", ts.Getenv("ROUSED"), args...)
	servers.Store(ts.Getenv("WORK"), end)
	_, rest, _ := strings.Cut(said, "http  ")
	ts.Setenv("ROUSE_SERVER", strings.Fields(rest)[0])
	_, rest, _ = strings.Cut(said, "grpc  ")
	ts.Setenv("GRPC", strings.Fields(rest)[0])
}

// recorder starts rouse record between IM nodes and the last server, with more
// arguments, and sets RECORDER. It takes the server's place for end.
func recorder(ts *testscript.TestScript, _ bool, args []string) {
	path, err := exec.LookPath("rouse")
	ts.Check(err)
	said, end := daemon(ts, "IM nodes send to", path, append([]string{"record", "--listen", "127.0.0.1:0", "--to", ts.Getenv("GRPC")}, args...)...)
	servers.Store(ts.Getenv("WORK"), end)
	ts.Setenv("RECORDER", strings.TrimSuffix(strings.Fields(said)[4], ";"))
}

// imnode sends the events of a file, one of the contract a line in JSON, as an
// IM node: ADDRESS KEY FILE. Each must be accepted before the next is sent. An
// empty line is a moment without events: what is played again must not overlap.
func imnode(ts *testscript.TestScript, _ bool, args []string) {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := client.Dial(ctx, client.Options{Target: args[0], APIKey: args[1], Node: "im-1"})
	ts.Check(err)
	for line := range strings.Lines(ts.ReadFile(args[2])) {
		if line == "\n" {
			<-time.After(400 * time.Millisecond)
			continue
		}
		var e rousev1.Event
		ts.Check(protojson.Unmarshal([]byte(line), &e))
		r, err := c.SendWait(ctx, &e)
		ts.Check(err)
		if r.GetStatus() != rousev1.ItemStatus_ITEM_STATUS_ACCEPTED {
			ts.Fatalf("%s: %v", line, r)
		}
	}
	ts.Check(c.Close(ctx))
}

// servers are what ends the last server of each script, by its directory.
var servers sync.Map

// end ends the last server. It is not called stop: a command of testscript is,
// which ends the script with success.
func end(ts *testscript.TestScript, _ bool, _ []string) {
	last, ok := servers.LoadAndDelete(ts.Getenv("WORK"))
	if !ok {
		ts.Fatalf("no server is running")
	}
	last.(func())()
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
