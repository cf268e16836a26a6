package fleet

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/client"
)

// envIMNode has this test binary be an IM node: addresses of the engine, its
// key, and the users that are connected to it, with blanks between.
const envIMNode = "ROUSE_FLEET_IM_NODE"

const leaseTTL = 3 * time.Second // as in serverEnv

// serveIMNode has users online until the process is killed.
func serveIMNode(order string) error {
	words := strings.Fields(order)
	ctx := context.Background()
	c, err := client.Dial(ctx, client.Options{Target: words[0], Others: strings.Split(words[1], ","), APIKey: words[2], App: chat, Node: "im-mortal"})
	if err != nil {
		return err
	}
	for _, user := range words[3:] {
		r, err := c.SendWait(ctx, &rousev1.Event{Kind: &rousev1.Event_Presence{Presence: &rousev1.PresenceEvent{
			UserId: user, DeviceId: phone, State: rousev1.SessionState_SESSION_STATE_CONNECTED, Session: 1,
		}}})
		if err != nil || r.GetError() != nil {
			return fmt.Errorf("%s: %w %v", user, err, r.GetError())
		}
	}
	fmt.Println("connected")
	select {}
}

// online counts the users that a node takes for online.
func (d *door) online(ctx context.Context, users []string) (int, error) {
	var n atomic.Int64
	err := eachOf(users, func(user string) error {
		r, err := d.devices.ListDevices(ctx, &rousev1.ListDevicesRequest{UserId: user})
		if err != nil {
			return err
		}
		if len(r.GetDevices()) != 1 {
			return fmt.Errorf("%s has %d devices", user, len(r.GetDevices()))
		}
		if r.GetDevices()[0].GetOnline() {
			n.Add(1)
		}
		return nil
	})
	return int(n.Load()), err
}

// written is how many entries of a group are committed, and in which term.
type written struct{ term, entries uint64 }

// commits are what is written, by group.
func (d *door) commits(t testing.TB) (all map[uint32]written) {
	t.Helper()
	until(t, 10*time.Second, "all groups report", func() error {
		all = map[uint32]written{}
		s, err := d.status(t.Context())
		if err != nil {
			return err
		}
		for _, g := range s.GetGroups() {
			if g.GetCommit() == 0 {
				return fmt.Errorf("group %d is not led", g.GetGroup())
			}
			all[g.GetGroup()] = written{g.GetTerm(), g.GetCommit()}
		}
		if len(all) != d.town.shards+1 {
			return fmt.Errorf("%d groups", len(all))
		}
		return nil
	})
	return all
}

// quiet is what is written once nothing more is: what earlier tests left to be done
// has ended.
func (d *door) quiet(t testing.TB) (all map[uint32]written) {
	t.Helper()
	all = d.commits(t)
	since := time.Now()
	until(t, 20*time.Second, "nothing is written", func() error {
		now := d.commits(t)
		for group, w := range now {
			if group != 0 && w != all[group] {
				all, since = now, time.Now()
			}
		}
		if time.Since(since) < 300*time.Millisecond {
			return errNotYet
		}
		return nil
	})
	return all
}

// imNode starts the process of an IM node to which users are connected, in the
// network of a node and with the others as second choice.
func (w *town) imNode(t *testing.T, near *door, users []string) *os.Process {
	t.Helper()
	im := exec.Command(os.Args[0]) //nolint:gosec // this program
	if near.space != nil {
		near.space.enter(im)
	}
	others := w.others(near)
	im.Env = append(os.Environ(), envIMNode+"="+strings.Join(append([]string{near.GRPC(), others[0].GRPC() + "," + others[1].GRPC(), w.key}, users...), " "))
	im.Stderr = os.Stderr
	out, err := im.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := im.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = im.Process.Kill()
		_ = im.Wait()
	})
	late := time.AfterFunc(20*time.Second, func() { _ = im.Process.Kill() })
	defer late.Stop()
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "connected\n" {
		t.Fatal(line, err)
	}
	return im.Process
}

// TestIMNodeDies kills an IM node's process: its sessions are offline on all
// nodes within the lease, by one entry of the meta group and none of the shards.
func TestIMNodeDies(t *testing.T) {
	w := threeNodes(t)
	users := w.everywhere("mortal", 2)
	im := w.imNode(t, w.doors[1], users)
	for _, d := range w.doors {
		if n, err := d.online(t.Context(), users); err != nil || n != len(users) {
			t.Errorf("%s takes %d of %d users for online: %v", d.Name, n, len(users), err)
		}
	}
	before := w.doors[0].quiet(t)
	died := time.Now()
	if err := im.Kill(); err != nil {
		t.Fatal(err)
	}
	for _, d := range w.doors {
		until(t, leaseTTL+5*time.Second, "offline at "+d.Name, func() error {
			n, err := d.online(t.Context(), users[:4])
			if err == nil && n > 0 {
				err = fmt.Errorf("%d users are online", n)
			}
			return err
		})
	}
	took := time.Since(died)
	for _, d := range w.doors {
		if n, err := d.online(t.Context(), users); err != nil || n != 0 {
			t.Errorf("%s still takes %d of %d users for online: %v", d.Name, n, len(users), err)
		}
	}
	after := w.doors[0].commits(t)
	t.Logf("%d sessions were offline on all nodes %s after the death of their IM node (lease %s); %d entries of the meta group", len(users), took.Round(time.Millisecond), leaseTTL, after[0].entries-before[0].entries)
	if most := leaseTTL + 2500*time.Millisecond; took > most { // asking three nodes takes its time on a busy machine
		t.Errorf("the sessions were online for %s, want at most %s", took, most)
	}
	same := 0
	for group, then := range before {
		switch now := after[group]; {
		case group == 0:
		case now.term != then.term: // it has another leader, whose first entry is empty
		case now.entries != then.entries:
			t.Errorf("users were written to: shard %d has %d entries more", group, now.entries-then.entries)
		default:
			same++
		}
	}
	if same < w.shards/2 {
		t.Errorf("only %d of %d shards kept their leaders, which says little of the others", same, w.shards)
	}
}
