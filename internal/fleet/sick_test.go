package fleet

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/cockroachdb/pebble/v2/vfs/errorfs"

	"github.com/rouse-im/rouse/internal/app"
	"github.com/rouse-im/rouse/internal/config"
)

// envSick has this test binary be a server whose disk does what a file says: takes
// a duration for each sync, or fails them. Empty or absent = it is well.
const envSick = "ROUSE_FLEET_SICK"

const broken = "broken"

// injector reads the file anew for each sync.
func injector(file string) errorfs.Injector {
	return errorfs.InjectorFunc(func(op errorfs.Op) error {
		switch op.Kind {
		case errorfs.OpFileSync, errorfs.OpFileSyncData, errorfs.OpFileSyncTo:
		default:
			return nil
		}
		b, err := os.ReadFile(file)
		if errors.Is(err, fs.ErrNotExist) || len(b) == 0 {
			return nil
		}
		if string(b) == broken {
			return syscall.EIO
		}
		wait, err := time.ParseDuration(string(b))
		if err == nil {
			<-time.After(wait)
		}
		return err
	})
}

// sickFS also wraps files that Pebble writes over, its logs above all.
type sickFS struct{ *errorfs.FS }

// ReuseForWrite makes a new file instead.
func (s sickFS) ReuseForWrite(from, to string, c vfs.DiskWriteCategory) (vfs.File, error) {
	if err := s.Remove(from); err != nil {
		return nil, err
	}
	return s.Create(to, c)
}

// serveSick is roused with such a disk; its flags are those that Node gives.
func serveSick(file string, args []string) error {
	env, join, first := os.Environ(), []string(nil), 0
	for i := 0; i+1 < len(args); i += 2 {
		switch name, value := args[i], args[i+1]; name {
		case "--data":
			env = append(env, "ROUSE_DATA_DIR="+value)
		case "--name":
			env = append(env, "ROUSE_CLUSTER_NAME="+value)
		case "--cluster":
			env = append(env, "ROUSE_CLUSTER_DIR="+value)
		case "--join":
			join = append(join, value)
		case "--port":
			first, _ = strconv.Atoi(value)
		}
	}
	c, err := config.Load("", append(env, "ROUSE_CLUSTER_JOIN="+strings.Join(join, ",")))
	if err != nil {
		return err
	}
	for i, listen := range []*string{&c.HTTP.Listen, &c.GRPC.Listen, &c.Cluster.Peers, &c.Cluster.Actors, &c.Cluster.Gossip} {
		host, _, _ := net.SplitHostPort(*listen)
		*listen = net.JoinHostPort(cmp.Or(host, "127.0.0.1"), strconv.Itoa(first+i))
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	n, err := app.StartContext(ctx, app.Options{Config: c, Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)), FS: sickFS{errorfs.Wrap(vfs.Default, injector(file))}})
	if err != nil {
		return err
	}
	select {
	case <-ctx.Done():
		return n.Stop(context.Background())
	case err = <-n.Failed():
		return err
	}
}

// sickly is a cluster whose nodes have disks that become sick by order.
func sickly(t *testing.T) (w *town, order func(d *door, what string)) {
	t.Helper()
	w = ownTownOf(t, func(flags ...string) *exec.Cmd {
		c := exec.Command(os.Args[0], flags...) //nolint:gosec // this program
		c.Env = append(os.Environ(), envSick+"="+sickFile(flags[1]))
		return c
	})
	for _, d := range w.doors[1:] {
		if err := d.Start(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	w.whole(t)
	return w, func(d *door, what string) {
		t.Helper()
		if err := os.WriteFile(sickFile(d.Dir), []byte(what), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func sickFile(dir string) string { return dir + ".sick" }

// TestSlowDisk has one node's disk take long for each sync: others lead what it
// led, and take it back in when the disk is well.
func TestSlowDisk(t *testing.T) {
	rare(t)
	w, order := sickly(t)
	w.balance(t)
	victim := w.busiest(t)
	p := w.startProberAt(t, "slow", growEvery, w.doors...)
	p.until(t, time.Now())
	ill := time.Now()
	order(victim, "1500ms")
	until(t, 30*time.Second, "it leads nothing", func() error { return w.others(victim)[0].leads(t.Context(), victim, 0) })
	given := time.Since(ill)
	took := p.until(t, time.Now())
	order(victim, "")
	for _, d := range w.doors {
		until(t, 40*time.Second, "settled", func() error { return d.settled(t.Context(), 3) })
	}
	longest, failed, err := p.end()
	t.Logf("%s led nothing %s after its disk became slow, all users were served %s later; longest of %d writes %s, %d failed (%v)",
		victim.Name, given.Round(time.Millisecond), took.Round(time.Millisecond), len(p.probes), longest.Round(time.Millisecond), failed, err)
	p.verify(t, victim)
	w.served(t, victim)
}

// leads wants a node to lead so many groups.
func (d *door) leads(ctx context.Context, who *door, want uint32) error {
	led, err := d.ledBy(ctx, who)
	if err == nil && led != want {
		err = fmt.Errorf("%s leads %d groups", who.Name, led)
	}
	return err
}

// ledBy counts the groups that a node leads.
func (d *door) ledBy(ctx context.Context, who *door) (led uint32, err error) {
	s, err := d.status(ctx)
	for _, g := range s.GetGroups() {
		if g.GetLeaderId() != "" && g.GetLeaderId() == idOf(s, who.Name) {
			led++
		}
	}
	return led, err
}

// TestBrokenDisk has one node's disk fail: the process ends, the others serve, and
// with a disk that is well it catches up.
func TestBrokenDisk(t *testing.T) {
	rare(t)
	w, order := sickly(t)
	victim := w.busiest(t)
	rest := w.others(victim)
	p := w.startProberAt(t, "broken", growEvery, rest...)
	p.until(t, time.Now())
	ill := time.Now()
	order(victim, broken)
	until(t, 30*time.Second, "the process ends", func() error {
		if victim.Running() {
			return errNotYet
		}
		return nil
	})
	ended := time.Since(ill)
	took := p.until(t, ill)
	longest, failed, err := p.end()
	t.Logf("%s ended %s after its disk broke, all users were served by the others after %s; longest of %d writes %s, %d failed (%v)",
		victim.Name, ended.Round(time.Millisecond), took.Round(time.Millisecond), len(p.probes), longest.Round(time.Millisecond), failed, err)
	if took > 20*time.Second {
		t.Errorf("served after %s", took)
	}
	order(victim, "")
	if err := victim.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.whole(t)
	p.verify(t, victim)
}
