package fleet

import (
	"context"
	"errors"
	"fmt"
	"net"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/client/direct"
	"github.com/rouse-im/rouse/cluster/certs"
)

// actors is where a node takes messages between actors.
func (d *door) actors() string { return net.JoinHostPort(d.host, strconv.Itoa(d.port+3)) }

// direct opens the way in of an IM node with a certificate of an app.
func (w *town) direct(t *testing.T, app string) *direct.Client {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "im")
	if err := certs.IssueIMNode(w.fleet.Secrets(), app, "im-"+app, []string{"127.0.0.1"}, dir); err != nil {
		t.Fatal(err)
	}
	o := direct.Options{Dir: dir, Listen: "127.0.0.1:0"}
	for _, d := range w.doors {
		o.Seeds = append(o.Seeds, d.actors())
	}
	c, err := direct.Dial(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// TestDirect sends messages straight to the actors of users, with a certificate
// for it, also when a node is killed. The certificate is good for its app alone.
func TestDirect(t *testing.T) {
	t.Parallel()
	w := threeNodes(t)
	users := w.everywhere("direct", 1)
	until(t, 10*time.Second, "phones", func() error { return w.doors[0].offline(t.Context(), users) })
	c := w.direct(t, chat)
	send := func(round int) (longest time.Duration) {
		t.Helper()
		began := time.Now()
		err := eachOf(users, func(user string) error {
			return within(10*time.Second, func() error {
				m := message(fmt.Sprint("direct-", round, user), user).GetMessage()
				status, _, err := c.Do(t.Context(), direct.Command{User: user, Message: m})
				if err == nil && status != rousev1.ItemStatus_ITEM_STATUS_ACCEPTED && status != rousev1.ItemStatus_ITEM_STATUS_DUPLICATE {
					err = fmt.Errorf("%s: %v", user, status)
				}
				return err
			})
		})
		if err != nil {
			t.Error(err)
		}
		return time.Since(began)
	}
	cold, warm := send(0), send(1)
	if err := w.doors[1].Kill(); err != nil {
		t.Fatal(err)
	}
	failover := send(2)
	t.Logf("a message to each of %d users, straight to the actors: %s at first, %s then, %s after a node was killed", len(users), cold.Round(time.Millisecond), warm.Round(time.Millisecond), failover.Round(time.Millisecond))
	if err := eachOf(users, func(user string) error { return w.doors[0].counts(t.Context(), user, 3) }); err != nil {
		t.Error(err)
	}

	other := w.direct(t, "other")
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	_, _, err := other.Do(ctx, direct.Command{User: users[0], Message: message("stranger", users[0]).GetMessage()})
	var refused *direct.Error
	if !errors.As(err, &refused) || refused.Temporary {
		t.Errorf("an app that does not exist: %v", err)
	}
	if err := w.doors[2].counts(t.Context(), users[0], 3); err != nil {
		t.Error(err)
	}
}
