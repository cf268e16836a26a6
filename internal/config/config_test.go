package config

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"
)

func file(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "rouse.yaml")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDefaultsAreValid(t *testing.T) {
	got, err := Load("", nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(Default(), got); diff != "" {
		t.Fatal(diff)
	}
}

func TestExampleLoadsToTheDefaults(t *testing.T) {
	got, err := Load(file(t, Example()), nil)
	if err != nil {
		t.Fatalf("%v\n%s", err, Example())
	}
	if diff := cmp.Diff(Default(), got); diff != "" {
		t.Fatal(diff)
	}
	c := Default()
	for _, s := range sections(&c) {
		for _, f := range s.fields {
			if f.key == "" || f.doc == "" {
				t.Errorf("%s has no name or no comment", f.path())
			}
		}
	}
}

func TestFileAndEnvironment(t *testing.T) {
	path := file(t, "data:\n  dir: /srv/rouse\n  block_cache: 1GiB\nlease:\n  ttl: 30s\nlog:\n")
	got, err := Load(path, []string{"PATH=/bin", "ROUSE_LEASE_TTL=45s", "ROUSE_USERS_MAILBOX=99", "ROUSE_PORT=tcp://10.0.0.1:7700", "ROUSE_GRPC_SERVICE_HOST=10.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	want := Default()
	want.Data.Dir, want.Data.BlockCache = "/srv/rouse", 1*GiB
	want.Lease.TTL, want.Users.Mailbox = 45*time.Second, 99
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
}

func TestEmptyFilesAreDefaults(t *testing.T) {
	for _, text := range []string{"", "\n\n", "# nothing\n", "---\n", "null\n"} {
		got, err := Load(file(t, text), nil)
		if err != nil {
			t.Fatalf("%q: %v", text, err)
		}
		if diff := cmp.Diff(Default(), got); diff != "" {
			t.Fatalf("%q: %s", text, diff)
		}
	}
}

func TestFaults(t *testing.T) {
	cases := []struct {
		name, text string
		env        []string
		want       []string
	}{
		{"unknown section", "grcp:\n  listen: x\n", nil, []string{`rouse.yaml:1: unknown section "grcp"; did you mean "grpc"?`}},
		{"unknown key", "grpc:\n  # comment\n  lisen: x\n", nil, []string{`rouse.yaml:3: unknown key of grpc "lisen"; did you mean "listen"?`}},
		{"far off", "lease:\n  colour: red\n", nil, []string{`rouse.yaml:2: unknown key of lease "colour"; known are ttl`}},
		{"all at once", "lease:\n  ttl: soon\nusers:\n  mailbox: many\n", nil, []string{"rouse.yaml:2: lease.ttl is no duration", "rouse.yaml:4: users.mailbox is no whole number"}},
		{"size without unit", "data:\n  memtable: 5000000\n", nil, []string{"data.memtable is no size"}},
		{"list for a value", "grpc:\n  listen: [a, b]\n", nil, []string{"grpc.listen takes one value"}},
		{"block for a section", "grpc: yes\n", nil, []string{"rouse.yaml:1: grpc must be a block of keys"}},
		{"twice", "lease:\n  ttl: 5s\n  ttl: 6s\n", nil, []string{`"ttl" stands in line 2 already`}},
		{"no yaml", "lease: [\n", nil, []string{"rouse.yaml:"}},
		{"misspelt variable", "", []string{"ROUSE_LEASE_TLT=5s"}, []string{"unknown variable ROUSE_LEASE_TLT; did you mean ROUSE_LEASE_TTL?"}},
		{"bad variable", "", []string{"ROUSE_LEASE_TTL=x"}, []string{"ROUSE_LEASE_TTL is no duration"}},
		{"off loopback", "grpc:\n  listen: 0.0.0.0:7701\nhttp:\n  listen: ':7700'\n", nil, []string{
			`grpc.listen "0.0.0.0:7701" can be reached from other machines`, `http.listen ":7700"`, "set tls.cert_file and tls.key_file, or listen on 127.0.0.1",
		}},
		{"half of tls", "tls:\n  cert_file: a.pem\n", nil, []string{"belong together"}},
		{"out of range", "lease:\n  ttl: 1s\ndata:\n  shards: 1025\n", nil, []string{"lease.ttl is 1s; it must be from 3s to 10m0s", "data.shards is 1025"}},
		{"bad word", "log:\n  level: loud\n", nil, []string{`log.level is "loud"; it must be one of debug, info, warn, error`}},
		{"receipts in the clear", "receipts:\n  public_url: http://push.example\n", nil, []string{"receipts.public_url is no https address"}},
		{"receipts with a query", "receipts:\n  public_url: https://push.example/?a=b\n  per_second: 0\n", nil, []string{"receipts.public_url", "receipts.per_second is 0"}},
		{"two seals", "seal:\n  key_file: a\n  key_env: B\n", nil, []string{"keep one"}},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			_, err := Load(file(t, c.text), c.env)
			if err == nil {
				t.Fatal("no error")
			}
			for _, want := range c.want {
				if !strings.Contains(err.Error(), want) {
					t.Errorf("got  %v\nwant %s", err, want)
				}
			}
		})
	}
}

func TestTLSOpensThePorts(t *testing.T) {
	text := "grpc:\n  listen: 0.0.0.0:7701\ntls:\n  cert_file: a.pem\n  key_file: b.pem\n"
	if _, err := Load(file(t, text), nil); err != nil {
		t.Fatal(err)
	}
}

func TestCluster(t *testing.T) {
	base := []string{"ROUSE_CLUSTER_DIR=secrets"}
	for name, c := range map[string]struct{ env, want string }{
		"alone":       {"ROUSE_CLUSTER_DIR=", ""},
		"seeds":       {"ROUSE_CLUSTER_JOIN=a.example:7704, 10.0.0.2:7704", ""},
		"no dir":      {"ROUSE_CLUSTER_DIR=\x00ROUSE_CLUSTER_JOIN=a.example:7704", "cluster.join needs cluster.dir"},
		"seed":        {"ROUSE_CLUSTER_JOIN=a.example", "cluster.join is no address"},
		"port":        {"ROUSE_CLUSTER_ACTORS=127.0.0.1:70000", "cluster.actors has no port"},
		"name":        {"ROUSE_CLUSTER_NAME=a b", "cluster.name"},
		"label":       {"ROUSE_CLUSTER_LABEL=", "cluster.label"},
		"replace":     {"ROUSE_CLUSTER_REPLACE_AFTER=1s", "cluster.replace_after"},
		"unspecified": {"ROUSE_CLUSTER_GOSSIP=0.0.0.0:7704", "cluster.advertise"},
		"advertised":  {"ROUSE_CLUSTER_GOSSIP=0.0.0.0:7704\x00ROUSE_CLUSTER_ADVERTISE=node1", ""},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Load("", append(base, strings.Split(c.env, "\x00")...))
			if c.want == "" && err != nil || c.want != "" && (err == nil || !strings.Contains(err.Error(), c.want)) {
				t.Fatalf("error %v, want one with %q", err, c.want)
			}
			if name == "seeds" && !cmp.Equal(got.Cluster.Seeds(), []string{"a.example:7704", "10.0.0.2:7704"}) {
				t.Fatalf("seeds %q", got.Cluster.Seeds())
			}
		})
	}
}

func TestMissingFile(t *testing.T) {
	if _, err := Load(filepath.Join(t.TempDir(), "none.yaml"), nil); !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
}

func TestSizesReadWhatTheyWrite(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		want := Size(rapid.Int64Range(0, 1<<50).Draw(t, "bytes"))
		got, err := ParseSize(want.String())
		if err != nil || got != want {
			t.Fatalf("%s: got %d, %v", want, got, err)
		}
	})
}

func FuzzOverlay(f *testing.F) {
	f.Add(Example())
	f.Add("a: &a [*a]\n")
	f.Add("grpc:\n  <<: {listen: x}\n")
	f.Fuzz(func(t *testing.T, text string) {
		c := Default()
		overlay(&c, "fuzz.yaml", []byte(text))
	})
}
