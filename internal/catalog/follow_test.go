package catalog

import (
	"log/slog"
	"testing"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/testing/protocmp"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// follower is a second catalogue over the same committed entries, as another
// node has it.
func follower(t *testing.T, c fixture) *Catalog {
	t.Helper()
	return must[*Catalog](t)(Open(Options{Store: c.Store, Ring: c.Ring, Logger: slog.New(slog.DiscardHandler)}))
}

// content is all that a catalogue shows.
func content(c *Catalog) map[string]any {
	all := map[string]any{"operators": c.ListKeys("")}
	for _, a := range c.Apps() {
		all[a.ID()] = []any{a.info, a.credentials, a.previous, a.templates, a.webhooks, c.ListKeys(a.ID())}
	}
	return all
}

func same(t *testing.T, what string, want, got *Catalog) {
	t.Helper()
	if diff := cmp.Diff(content(want), content(got), protocmp.Transform()); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
	if want.countApps() != got.countApps() {
		t.Errorf("%s: %d apps counted, want %d", what, got.countApps(), want.countApps())
	}
}

// populate makes one record of each kind, and changes and deletes some.
func populate(t *testing.T, c *Catalog) (key string) {
	t.Helper()
	must[*App](t)(c.CreateApp("a", "", nil, now))
	must[*App](t)(c.CreateApp("b", "", nil, now))
	must[*App](t)(c.UpdateApp("a", "Chat", &rousev1.AppSettings{TimeZone: "Asia/Shanghai"}))
	for _, name := range []string{"one", "two"} {
		ok(t, c.PutCredential("a", fcm(name, "1"), Put{Now: now}))
	}
	ok(t, c.PutCredential("a", secret("one", "other"), Put{Now: now, Keep: MaxKeep}))
	ok(t, c.DeleteCredential("a", "two", false))
	ok(t, c.PutTemplate("a", &rousev1.Template{Name: "t"}))
	ok(t, c.PutTemplate("a", &rousev1.Template{Name: "gone"}))
	ok(t, c.DeleteTemplate("a", "gone"))
	ok(t, c.PutWebhooks("b", &rousev1.Webhooks{OutcomeUrl: "https://example.com", Secret: canary}))
	_, key, err := c.CreateKey("a", rousev1.Role_ROLE_ADMIN, "", now)
	ok(t, err)
	gone, _, err := c.CreateKey("a", rousev1.Role_ROLE_ADMIN, "", now)
	ok(t, err)
	ok(t, c.RevokeKey("a", gone.GetKeyId()))
	return key
}

// A catalogue that proposed nothing shows the same as the one that did, before
// the change returns there.
func TestFollowersShowTheSame(t *testing.T) {
	c := open(t, vfs.NewMem())
	defer c.shut(t)
	other := follower(t, c)
	changes := make(chan Change, 16)
	other.Watch(func(change Change) { changes <- change })
	key := populate(t, c.Catalog)
	same(t, "a follower", c.Catalog, other)
	same(t, "after a restart", c.Catalog, follower(t, c))
	if _, err := other.Authenticate(key); err != nil {
		t.Errorf("a key made elsewhere: %v", err)
	}
	other.settle()
	last := map[string]bool{}
	for len(changes) > 0 {
		change := <-changes
		last[change.Name] = change.Credential != nil
	}
	if diff := cmp.Diff(map[string]bool{"one": true, "two": false}, last); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}

// A snapshot replaces all records without entries: what is gone goes, what is
// the same is not told again.
func TestReloadShowsWhatIsStored(t *testing.T) {
	c := open(t, vfs.NewMem())
	defer c.shut(t)
	populate(t, c.Catalog)
	ok(t, c.PutCredential("b", fcm("same", "1"), Put{}))
	other := follower(t, c)
	e := other.newEdit(other.App)
	e.apps["gone"] = newApp()
	e.apps["gone"].info = &rousev1.App{AppId: "gone"}
	e.apps["gone"].credentials["left"] = fcm("left", "1")
	a, err := e.app("a")
	ok(t, err)
	a.credentials["one"] = fcm("one", "old")
	delete(a.templates, "t")
	e.keys["stray"] = &key{info: &rousev1.ApiKey{KeyId: "stray", AppId: "a"}}
	other.mu.Lock()
	other.show(e)
	other.mu.Unlock()
	told := map[string]bool{}
	other.Watch(func(change Change) { told[change.App+"/"+change.Name] = change.Credential != nil })
	clear(told)
	other.apply(nil)
	other.settle()
	same(t, "after the snapshot", c.Catalog, other)
	if diff := cmp.Diff(map[string]bool{"a/one": true, "gone/left": false}, told); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
}
