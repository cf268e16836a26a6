package cluster

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	"github.com/rouse-im/rouse/cluster/memnet"
)

func key(b byte) []byte { return bytes.Repeat([]byte{b}, 32) }

func keyring(t *testing.T, keys ...[]byte) *Keyring {
	t.Helper()
	k, err := NewKeyring(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func lines64(keys ...[]byte) string {
	var b strings.Builder
	for _, k := range keys {
		fmt.Fprintln(&b, base64.StdEncoding.EncodeToString(k))
	}
	return b.String()
}

func TestKeyringFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "gossip.key")
	if err := os.WriteFile(path, []byte("# made by rouse certs\n\n"+lines64(key(1))), 0o600); err != nil {
		t.Fatal(err)
	}
	k, err := LoadKeyring(path)
	if err != nil {
		t.Fatal(err)
	}
	steps := []struct {
		step actorv1.KeyOrder_Step
		key  []byte
		want [][]byte // nil = refused, as it was
	}{
		{actorv1.KeyOrder_STEP_USE, key(2), nil},
		{actorv1.KeyOrder_STEP_REMOVE, key(1), nil},
		{actorv1.KeyOrder_STEP_INSTALL, key(1), [][]byte{key(1)}},
		{actorv1.KeyOrder_STEP_INSTALL, key(2)[:5], nil},
		{actorv1.KeyOrder_STEP_INSTALL, key(2), [][]byte{key(1), key(2)}},
		{actorv1.KeyOrder_STEP_INSTALL, key(3), nil},
		{actorv1.KeyOrder_STEP_REMOVE, key(1), nil},
		{actorv1.KeyOrder_STEP_USE, key(2), [][]byte{key(2), key(1)}},
		{actorv1.KeyOrder_STEP_USE, key(2), [][]byte{key(2), key(1)}},
		{actorv1.KeyOrder_STEP_UNSPECIFIED, key(2), nil},
		{actorv1.KeyOrder_STEP_REMOVE, key(1), [][]byte{key(2)}},
		{actorv1.KeyOrder_STEP_REMOVE, key(1), [][]byte{key(2)}},
	}
	have := [][]byte{key(1)}
	for i, s := range steps {
		err := k.step(s.step, s.key, PrintOf(s.key))
		if (err == nil) != (s.want != nil) {
			t.Fatalf("step %d %v: %v", i, s.step, err)
		}
		if s.want != nil {
			have = s.want
		}
		var want []Print
		for _, key := range have {
			want = append(want, PrintOf(key))
		}
		again, err := LoadKeyring(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := k.Prints(); !slices.Equal(got, want) || !slices.Equal(again.Prints(), want) {
			t.Fatalf("step %d %v: %v, on the disk %v, want %v", i, s.step, got, again.Prints(), want)
		}
	}
	info, err := os.Stat(path)
	if err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v", info.Mode(), err)
	}
	if left, err := filepath.Glob(filepath.Join(filepath.Dir(path), "*")); err != nil || len(left) != 1 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestKeyringRefuses(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"empty":   "\n",
		"base64":  "c2VjcmV0c2VjcmV0!\n",
		"short":   lines64([]byte("secret")),
		"three":   lines64(key(1), key(2), key(3)),
		"far big": strings.Repeat("#", maxKeyFile+1),
	} {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := LoadKeyring(path)
		if err == nil || !strings.Contains(err.Error(), path) || strings.Contains(err.Error(), "c2Vjc") {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := LoadKeyring(filepath.Join(dir, "nowhere")); err == nil {
		t.Error("loaded a file that is not there")
	}
}

// A ring whose file cannot be written stays as it is.
func TestKeyringThatCannotBeSaved(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "gone")
	k := keyring(t, key(1))
	k.path = filepath.Join(dir, "gossip.key")
	if err := k.step(actorv1.KeyOrder_STEP_INSTALL, key(2), PrintOf(key(2))); err == nil || len(k.Prints()) != 1 {
		t.Errorf("%v, %v", err, k.Prints())
	}
}

func TestKeysRotate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, memnet.Options{Loss: 0.05, Latency: time.Millisecond})
		dir := t.TempDir()
		file := func(name string) string { return filepath.Join(dir, name) }
		load := func(name string) *Keyring {
			if _, err := os.Stat(file(name)); err != nil {
				if err := os.WriteFile(file(name), []byte(lines64(key(1))), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			k, err := LoadKeyring(file(name))
			if err != nil {
				t.Fatal(err)
			}
			return k
		}
		var nodes []string
		with := func(name string) Options {
			o := w.options(name, "n0", "n1")
			o.Keys = load(name)
			return o
		}
		for i := range 5 {
			nodes = append(nodes, fmt.Sprint("n", i))
			w.net.Host(nodes[i])
		}
		for _, name := range nodes {
			w.start(with(name))
		}
		w.within(5*time.Second, "met", w.allSee(nodes...))
		var lost atomic.Int32
		w.up["n0"].Watch(func(now []Member) { lost.Add(int32(len(nodes) - len(now))) })
		if err := w.up["n3"].RotateKey(context.Background(), key(2)); err != nil {
			t.Fatal(err)
		}
		<-time.After(30 * time.Second)
		if n := lost.Load(); n > 0 || !w.allSee(nodes...)() {
			t.Errorf("%d nodes were lost by a rotation", n)
		}
		all, err := w.up["n1"].Keys(context.Background())
		if err != nil || len(all) != len(nodes) {
			t.Fatalf("%v, %v", all, err)
		}
		for name, prints := range all {
			if want := []Print{PrintOf(key(2))}; !slices.Equal(prints, want) || !slices.Equal(load(name).Prints(), want) {
				t.Errorf("%s has %v, on the disk %v", name, prints, load(name).Prints())
			}
		}
		if err := w.up["n3"].RotateKey(context.Background(), key(2)); err != nil {
			t.Errorf("the second time: %v", err)
		}

		// Who has the former key alone stays outside; who was restarted does not.
		o := w.options("stranger", "n0")
		o.Keys = keyring(t, key(1))
		stranger := w.start(o)
		plain := w.start(w.options("plain", "n0"))
		w.crash("n4")
		w.start(with("n4"))
		<-time.After(30 * time.Second)
		if got := names(stranger); len(got) != 1 || len(names(plain)) != 1 {
			t.Errorf("without the key: %v, %v", got, names(plain))
		}
		w.within(time.Second, "the others", w.allSee(nodes...))
	})
}

// No step goes on while a node has not done the one before, or is away.
func TestKeysWaitForEverybody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, memnet.Options{})
		w.keys = func() *Keyring { return keyring(t, key(1)) }
		nodes := []string{"n0", "n1", "n2"}
		for _, name := range nodes {
			o := w.options(name, nodes[0])
			o.Expect = func() []string { return nodes }
			w.start(o)
		}
		w.within(5*time.Second, "met", w.allSee(nodes...))
		m := w.up["n0"]
		short := func() context.Context {
			ctx, cancel := context.WithTimeout(context.Background(), 600*time.Millisecond)
			t.Cleanup(cancel)
			return ctx
		}
		next := PrintOf(key(2))
		refused := func(what string, err error, part string) {
			t.Helper()
			if err == nil || !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %v, want it to name %s", what, err, part)
			}
		}
		refused("use before install", m.UseKey(context.Background(), next), "n0, n1, n2")
		w.net.Partition(nodes[:2], nodes[2:])
		refused("install without n2", m.InstallKey(short(), key(2)), "n2")
		w.net.Heal()
		w.within(5*time.Second, "met", w.allSee(nodes...))
		// n2 lags behind, whatever was held up on the way there.
		<-time.After(5 * time.Second)
		_ = w.up["n2"].o.Keys.step(actorv1.KeyOrder_STEP_REMOVE, nil, next)
		refused("use while n2 cannot read it", m.UseKey(context.Background(), next), "n2 has not installed")
		if got := m.o.Keys.Prints(); got[0] != PrintOf(key(1)) {
			t.Errorf("sends with %v already", got[0])
		}
		if err := m.InstallKey(context.Background(), key(2)); err != nil {
			t.Fatal(err)
		}
		refused("remove before use", m.RemoveKey(context.Background(), PrintOf(key(1))), "still sends with")
		refused("a third key", m.InstallKey(context.Background(), key(3)), "two keys already")
		w.crash("n2")
		w.within(5*time.Second, "n2 is gone", w.allSee("n0", "n1"))
		refused("use while n2 is away", m.UseKey(context.Background(), next), "n2 is away")
		w.start(func() Options { o := w.options("n2", "n0"); o.Keys = keyring(t, key(1), key(2)); return o }())
		w.within(5*time.Second, "n2 is back", w.allSee(nodes...))
		if err := m.UseKey(context.Background(), next); err != nil {
			t.Fatal(err)
		}
		if err := m.RemoveKey(context.Background(), PrintOf(key(1))); err != nil {
			t.Fatal(err)
		}
	})
}

func TestKeysOfNone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, memnet.Options{})
		if err := w.join("a").InstallKey(context.Background(), key(1)); err == nil {
			t.Error("installed a key where gossip is plain")
		}
	})
}

// Neither the log nor an error tells a key.
func TestKeysAreNotTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, memnet.Options{})
		var mu sync.Mutex
		var said bytes.Buffer
		log := slog.New(slog.NewTextHandler(writer(func(b []byte) { mu.Lock(); defer mu.Unlock(); said.Write(b) }), &slog.HandlerOptions{Level: slog.LevelDebug}))
		secrets := [][]byte{[]byte("the-first-secret-key-of-32-bytes"), []byte("the-other-secret-key-of-32-bytes")}
		for _, name := range []string{"a", "b"} {
			o := w.options(name, "a")
			o.Keys, o.Logger = keyring(t, secrets[0]), log
			w.start(o)
		}
		w.within(5*time.Second, "met", w.allSee("a", "b"))
		if err := w.up["a"].RotateKey(context.Background(), secrets[1]); err != nil {
			t.Fatal(err)
		}
		o := w.options("c", "a")
		o.Keys, o.Logger = keyring(t, secrets[0]), log
		w.start(o)
		<-time.After(10 * time.Second)
		mu.Lock()
		defer mu.Unlock()
		if !strings.Contains(said.String(), PrintOf(secrets[1]).String()) {
			t.Error("the log does not say which key")
		}
		for _, s := range secrets {
			for _, form := range []string{string(s), base64.StdEncoding.EncodeToString(s), hex.EncodeToString(s), fmt.Sprintf("%d", s)} {
				if strings.Contains(said.String(), form) {
					t.Errorf("the log tells key %q", form)
				}
			}
		}
	})
}

type writer func([]byte)

func (w writer) Write(b []byte) (int, error) { w(b); return len(b), nil }

func TestOptions(t *testing.T) {
	good := func() Options {
		return Options{Name: "a", Listen: "127.0.0.1:0", Self: Member{System: "s"}, Logger: quiet()}
	}
	for what, change := range map[string]func(*Options){
		"Name":         func(o *Options) { o.Name = "" },
		"Label":        func(o *Options) { o.Label = long(256) },
		"Logger":       func(o *Options) { o.Logger = nil },
		"System":       func(o *Options) { o.Self.System = "" },
		"seed":         func(o *Options) { o.Seeds = []string{"nowhere"} },
		"without keys": func(o *Options) { o.Listen = "0.0.0.0:0" },
		"Listen":       func(o *Options) { o.Listen = "nowhere" },
		"Advertise":    func(o *Options) { o.Advertise = "127.0.0.1:x" },
	} {
		o := good()
		change(&o)
		if m, err := Join(o); err == nil {
			_ = m.Close()
			t.Errorf("%s: taken", what)
		} else if !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	o := good()
	o.Keys = keyring(t, key(1))
	m, err := Join(o)
	if err != nil {
		t.Fatal(err)
	}
	if got := m.Members(); len(got) != 1 || strings.HasSuffix(got[0].Addresses.Gossip, ":0") {
		t.Errorf("%+v", got)
	}
	if err := m.Close(); err != nil {
		t.Fatal(err)
	}
}
