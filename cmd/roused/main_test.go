package main

import (
	"bytes"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
)

// journal is a log that may be read while it is written.
type journal struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.text.String()
}

// start runs the server in a goroutine until its signals say more.
func start(t *testing.T, dir string, env []string, signals chan os.Signal) (greeting string, ended chan int, errs *journal) {
	t.Helper()
	errs = &journal{}
	in, out := io.Pipe()
	ended = make(chan int, 1)
	env = append([]string{"ROUSE_DATA_DIR=" + dir, "ROUSE_GRPC_LISTEN=127.0.0.1:0", "ROUSE_HTTP_LISTEN=127.0.0.1:0", "ROUSE_DATA_MIN_FREE_DISK=64MiB"}, env...)
	go func() {
		code := run(nil, env, signals, out, errs)
		out.Close()
		ended <- code
	}()
	buffer := make([]byte, 4096)
	for !strings.Contains(greeting, "operator key") {
		n, err := in.Read(buffer)
		greeting += string(buffer[:n])
		if err != nil {
			t.Fatalf("it ended with %d: %s", <-ended, errs.String())
		}
	}
	go io.Copy(io.Discard, in) //nolint:errcheck // nothing more is read
	return greeting, ended, errs
}

func TestServesUntilASignal(t *testing.T) {
	dir := t.TempDir()
	signals := make(chan os.Signal, 2)
	greeting, ended, errs := start(t, dir, []string{"ROUSE_LOG_FORMAT=json"}, signals)
	for _, want := range []string{`http  http://127\.0\.0\.1:\d+ `, `grpc  127\.0\.0\.1:\d+ `, regexp.QuoteMeta("operator key in " + filepath.Join(dir, "operator.key"))} {
		if !regexp.MustCompile(want).MatchString(greeting) {
			t.Errorf("no %s in\n%s", want, greeting)
		}
	}
	// A second server finds the ports taken, and says which.
	address := regexp.MustCompile(`grpc  (\S+)`).FindStringSubmatch(greeting)[1]
	var second bytes.Buffer
	if code := run(nil, []string{"ROUSE_DATA_DIR=" + t.TempDir(), "ROUSE_GRPC_LISTEN=" + address, "ROUSE_HTTP_LISTEN=127.0.0.1:0", "ROUSE_DATA_MIN_FREE_DISK=64MiB", "ROUSE_LOG_LEVEL=error"}, nil, io.Discard, &second); code != 1 {
		t.Errorf("code %d", code)
	}
	if !strings.Contains(second.String(), "cannot start: grpc.listen:") || !strings.Contains(second.String(), "stop what uses the port, or set another") {
		t.Error(second.String())
	}

	signals <- syscall.SIGTERM
	if code := <-ended; code != 0 {
		t.Errorf("code %d", code)
	}
	if log := errs.String(); !strings.Contains(log, `"msg":"stopped"`) {
		t.Error(log)
	}
}

func TestSecondSignalEndsAtOnce(t *testing.T) {
	dir, err := os.MkdirTemp("", "roused-")
	if err != nil {
		t.Fatal(err)
	}
	// The node still ends in the background: what it leaves is removed if it can be.
	t.Cleanup(func() { os.RemoveAll(dir) })
	signals := make(chan os.Signal, 2)
	greeting, ended, errs := start(t, dir, nil, signals)
	// A caller that says nothing more keeps the drain from ending by itself.
	conn, err := net.Dial("tcp", regexp.MustCompile(`grpc  (\S+)`).FindStringSubmatch(greeting)[1])
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	signals <- syscall.SIGTERM
	signals <- syscall.SIGTERM
	if code := <-ended; code != 1 || !strings.Contains(errs.String(), "roused: ended at once") {
		t.Errorf("code %d\n%s", code, errs.String())
	}
}

func TestCommandLine(t *testing.T) {
	bad := filepath.Join(t.TempDir(), "bad.yaml")
	if err := os.WriteFile(bad, []byte("# mine\nlease:\n  tll: 15s\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name      string
		args      []string
		code      int
		out, errs string
	}{
		{"help", []string{"-h"}, 0, "a second one ends it at once", ""},
		{"version", []string{"--version"}, 0, "roused ", ""},
		{"example", []string{"--print-config"}, 0, "# Time for calls and pushes under way to end", ""},
		{"port without room", []string{"--port", "65535"}, 1, "", "must leave room for five ports"},
		{"join without secrets", []string{"--join", "127.0.0.1:7704"}, 1, "", "cluster.join needs cluster.dir"},
		{"unknown flag", []string{"--prot", "1"}, 2, "", "see roused -h"},
		{"misspelt key", []string{"--config", bad}, 1, "", bad + `:3: unknown key of lease "tll"; did you mean "ttl"?`},
		{"no file", []string{"--config", bad + "x"}, 1, "", "no such file"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out, errs bytes.Buffer
			if code := run(c.args, nil, nil, &out, &errs); code != c.code {
				t.Errorf("code %d", code)
			}
			if !strings.Contains(out.String(), c.out) || c.out == "" && out.Len() > 0 {
				t.Errorf("output\n%s", out.String())
			}
			if !strings.Contains(errs.String(), c.errs) || c.errs == "" && errs.Len() > 0 {
				t.Errorf("errors\n%s", errs.String())
			}
		})
	}
}
