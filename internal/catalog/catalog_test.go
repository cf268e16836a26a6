package catalog

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/testing/protocmp"
	"google.golang.org/protobuf/types/known/durationpb"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/storage"
	"github.com/rouse-im/rouse/storage/seal"
)

var now = time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC)

const canary = "CANARY-7c1d"

func ring(t testing.TB) *seal.Ring {
	t.Helper()
	line := func(b byte) string { return base64.StdEncoding.EncodeToString(bytes.Repeat([]byte{b}, 32)) }
	r, err := seal.Parse("index:" + line(1) + "\n1:" + line(2))
	if err != nil {
		t.Fatal(err)
	}
	return r
}

type fixture struct {
	*Catalog
	store *storage.Store
	log   *bytes.Buffer
}

func open(t testing.TB, fs vfs.FS) fixture {
	t.Helper()
	store, err := storage.Open("data", storage.Options{FS: fs, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	log := &bytes.Buffer{}
	c, err := Open(Options{
		Store: store, Ring: ring(t), Logger: slog.New(slog.NewTextHandler(log, nil)),
		Check: func(c *rousev1.Credential) error {
			if c.GetFcm().GetChannelId() == "bad" {
				return errors.New("service account has no private key")
			}
			return nil
		},
	})
	if err != nil {
		t.Fatal(err)
	}
	return fixture{c, store, log}
}

func (f fixture) shut(t testing.TB) {
	t.Helper()
	if err := f.store.Close(); err != nil {
		t.Fatal(err)
	}
}

func fcm(name, channel string) *rousev1.Credential {
	return &rousev1.Credential{Name: name, Vendor: &rousev1.Credential_Fcm{Fcm: &rousev1.FcmCredential{
		ServiceAccountJson: `{"private_key":"` + canary + `"}`, ChannelId: channel,
	}}}
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func ok(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestEverythingSurvivesACrash(t *testing.T) {
	fs := vfs.NewCrashableMem()
	c := open(t, fs)
	settings := &rousev1.AppSettings{GroupLimit: 7, DefaultTtl: durationpb.New(time.Hour)}
	must[*App](t)(c.CreateApp("chat", "Chat", nil, now))
	must[*App](t)(c.CreateApp("gone", "", nil, now))
	must[*App](t)(c.UpdateApp("chat", "Chat 2", settings))
	ok(t, c.PutCredential("chat", fcm("android", "old"), Put{}))
	ok(t, c.PutCredential("chat", fcm("android", "new"), Put{}))
	ok(t, c.PutCredential("chat", fcm("beta", ""), Put{}))
	ok(t, c.PutCredential("gone", fcm("android", "other app"), Put{}))
	ok(t, c.DeleteCredential("chat", "beta", false))
	info, secret, err := c.CreateKey("chat", rousev1.Role_ROLE_INTAKE, "im", now)
	ok(t, err)
	revoked, dead, err := c.CreateKey("chat", rousev1.Role_ROLE_ADMIN, "", now)
	ok(t, err)
	ok(t, c.RevokeKey("chat", revoked.GetKeyId()))
	crashed := fs.CrashClone(vfs.CrashCloneCfg{})
	c.shut(t)

	c = open(t, crashed)
	defer c.shut(t)
	app, found := c.App("chat")
	if !found || len(c.Apps()) != 2 || c.appCount != 2 {
		t.Fatal("apps are missing")
	}
	if app.Info().GetDisplayName() != "Chat 2" || !proto.Equal(app.Settings(), settings) || !app.Info().GetCreatedAt().AsTime().Equal(now) {
		t.Fatal(app.Info())
	}
	if diff := cmp.Diff([]string{"android"}, app.CredentialNames()); diff != "" {
		t.Fatal(diff)
	}
	got, _ := app.Credential("android")
	if diff := cmp.Diff(fcm("android", "new"), got, protocmp.Transform()); diff != "" {
		t.Fatal(diff)
	}
	who, err := c.Authenticate(secret)
	ok(t, err)
	if want := (Principal{KeyID: info.GetKeyId(), App: "chat", Role: rousev1.Role_ROLE_INTAKE}); who != want {
		t.Fatalf("got %v", who)
	}
	if _, err := c.Authenticate(dead); !errors.Is(err, ErrUnauthenticated) {
		t.Fatalf("a revoked key: %v", err)
	}
	if diff := cmp.Diff([]*rousev1.ApiKey{info}, c.ListKeys("chat"), protocmp.Transform()); diff != "" {
		t.Fatal(diff)
	}
}

func TestRefusals(t *testing.T) {
	c := open(t, vfs.NewMem())
	defer c.shut(t)
	must[*App](t)(c.CreateApp("chat", "", nil, now))
	_, _, noApp := c.CreateKey("none", rousev1.Role_ROLE_ADMIN, "", now)
	_, _, noRole := c.CreateKey("chat", rousev1.Role_ROLE_OPERATOR, "", now)
	_, _, noOperator := c.CreateKey("", rousev1.Role_ROLE_ADMIN, "", now)
	_, exists := c.CreateApp("chat", "", nil, now)
	_, empty := c.CreateApp("", "", nil, now)
	_, unknown := c.UpdateApp("none", "", nil)
	for name, f := range map[string]struct{ got, want error }{
		"key of no app":      {noApp, ErrNotFound},
		"operator of an app": {noRole, ErrInvalid},
		"admin of no app":    {noOperator, ErrInvalid},
		"app twice":          {exists, ErrExists},
		"app without id":     {empty, ErrInvalid},
		"update of no app":   {unknown, ErrNotFound},
		"credential, no app": {c.PutCredential("none", fcm("a", ""), Put{}), ErrNotFound},
		"credential, check":  {c.PutCredential("chat", fcm("a", "bad"), Put{}), ErrInvalidCredential},
		"no credential":      {c.DeleteCredential("chat", "a", false), ErrNotFound},
		"no key":             {c.RevokeKey("chat", "x"), ErrNotFound},
	} {
		if !errors.Is(f.got, f.want) {
			t.Errorf("%s: got %v", name, f.got)
		}
		if f.got != nil && strings.Contains(f.got.Error(), canary) {
			t.Errorf("%s: secret in %v", name, f.got)
		}
	}
}

func TestKeyOfAnotherAppCannotBeRevoked(t *testing.T) {
	c := open(t, vfs.NewMem())
	defer c.shut(t)
	must[*App](t)(c.CreateApp("a", "", nil, now))
	must[*App](t)(c.CreateApp("b", "", nil, now))
	info, secret, err := c.CreateKey("a", rousev1.Role_ROLE_ADMIN, "", now)
	ok(t, err)
	if err := c.RevokeKey("b", info.GetKeyId()); !errors.Is(err, ErrNotFound) {
		t.Fatalf("got %v", err)
	}
	must[Principal](t)(c.Authenticate(secret))
	if len(c.ListKeys("b")) != 0 {
		t.Fatal("a key of another app is listed")
	}
}

func TestOnlyTheExactSecretOpens(t *testing.T) {
	c := open(t, vfs.NewMem())
	defer c.shut(t)
	must[*App](t)(c.CreateApp("chat", "", nil, now))
	_, secret, err := c.CreateKey("chat", rousev1.Role_ROLE_ADMIN, "", now)
	ok(t, err)
	if len(secret) != 63 || !strings.HasPrefix(secret, "rk_") {
		t.Fatalf("form of a secret: %d characters", len(secret))
	}
	for i := range secret {
		changed := []byte(secret)
		changed[i] ^= 1
		if _, err := c.Authenticate(string(changed)); !errors.Is(err, ErrUnauthenticated) {
			t.Fatalf("character %d: got %v", i, err)
		}
	}
	for _, s := range []string{"", "rk_", secret[:62], secret + "0", " " + secret[1:], strings.ToUpper(secret)} {
		if _, err := c.Authenticate(s); !errors.Is(err, ErrUnauthenticated) {
			t.Fatalf("%d characters: got %v", len(s), err)
		}
	}
}

func TestBootstrapMakesOneOperatorKey(t *testing.T) {
	fs := vfs.NewMem()
	c := open(t, fs)
	refuse := errors.New("disk is read-only")
	if made, err := c.Bootstrap(now, func(string) error { return refuse }); made || !errors.Is(err, refuse) || len(c.ListKeys("")) != 0 {
		t.Fatalf("a key that could not be kept: %t %v", made, err)
	}
	var secret string
	keep := func(s string) error { secret = s; return nil }
	if made, err := c.Bootstrap(now, keep); !made || err != nil {
		t.Fatal(made, err)
	}
	who := must[Principal](t)(c.Authenticate(secret))
	if who.Role != rousev1.Role_ROLE_OPERATOR || who.App != "" {
		t.Fatal(who)
	}
	if err := c.RevokeKey("", who.KeyID); !errors.Is(err, ErrInvalid) {
		t.Fatalf("the last operator key: %v", err)
	}
	c.shut(t)
	c = open(t, fs)
	defer c.shut(t)
	if made, err := c.Bootstrap(now, keep); made || err != nil {
		t.Fatal(made, err)
	}
	_, other, err := c.CreateKey("", rousev1.Role_ROLE_OPERATOR, "", now)
	ok(t, err)
	ok(t, c.RevokeKey("", who.KeyID))
	if c.Active(who.KeyID) {
		t.Fatal("a revoked key is active")
	}
	must[Principal](t)(c.Authenticate(other))
}

func TestWatchTellsAllInOrder(t *testing.T) {
	c := open(t, vfs.NewMem())
	defer c.shut(t)
	must[*App](t)(c.CreateApp("a", "", nil, now))
	must[*App](t)(c.CreateApp("b", "", nil, now))
	ok(t, c.PutCredential("b", fcm("one", "1"), Put{}))
	ok(t, c.PutCredential("a", fcm("two", "1"), Put{}))
	var got []string
	c.Watch(func(ch Change) {
		app, _ := c.App(ch.App)
		seen, _ := app.Credential(ch.Name)
		if seen != ch.Credential {
			t.Error("a change is told before it can be seen")
		}
		got = append(got, fmt.Sprintf("%s/%s %s %t", ch.App, ch.Name, ch.Credential.GetFcm().GetChannelId(), ch.Credential == nil))
	})
	ok(t, c.PutCredential("b", fcm("one", "2"), Put{}))
	if err := c.PutCredential("b", fcm("one", "bad"), Put{}); err == nil {
		t.Fatal("not refused")
	}
	ok(t, c.DeleteCredential("a", "two", false))
	want := []string{"a/two 1 false", "b/one 1 false", "b/one 2 false", "a/two  true"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatal(diff)
	}
}

func TestSnapshotsDoNotChange(t *testing.T) {
	c := open(t, vfs.NewMem())
	defer c.shut(t)
	before := must[*App](t)(c.CreateApp("a", "", nil, now))
	given := fcm("one", "1")
	ok(t, c.PutCredential("a", given, Put{}))
	given.GetFcm().ChannelId = "changed by the caller"
	mid, _ := c.App("a")
	ok(t, c.PutCredential("a", fcm("two", ""), Put{}))
	ok(t, c.DeleteCredential("a", "one", false))
	if len(before.CredentialNames()) != 0 || len(mid.CredentialNames()) != 1 {
		t.Fatal("a snapshot changed")
	}
	if cred, _ := mid.Credential("one"); cred.GetFcm().GetChannelId() != "1" {
		t.Fatal("the caller's message was kept")
	}
}

func TestSealedOnDiskAndBoundToItsPlace(t *testing.T) {
	fs := vfs.NewMem()
	c := open(t, fs)
	must[*App](t)(c.CreateApp("a", "", nil, now))
	must[*App](t)(c.CreateApp("b", "", nil, now))
	ok(t, c.PutCredential("a", fcm("one", "1"), Put{}))
	_, secret, err := c.CreateKey("a", rousev1.Role_ROLE_ADMIN, "", now)
	ok(t, err)
	ok(t, c.store.Scan(storage.ShardRanges(storage.MetaShard)[0], func(key, value []byte) bool {
		for _, s := range []string{canary, secret, secret[20:]} {
			if bytes.Contains(value, []byte(s)) || bytes.Contains(key, []byte(s)) {
				t.Errorf("%q holds a secret", key)
			}
		}
		return true
	}))
	if log := c.log.String(); !strings.Contains(log, "credential=one") || strings.Contains(log, canary) {
		t.Fatalf("log: %s", log)
	}
	sealed, err := c.store.Get(storage.AppendCatalogueKey(nil, kindCredential, "a", "one"))
	ok(t, err)
	defer c.begin()()
	ok(t, c.write(storage.Mutation{Op: storage.Set, Key: storage.AppendCatalogueKey(nil, kindCredential, "b", "one"), Value: sealed}))
	if _, err := Open(c.Options); !errors.Is(err, seal.ErrTampered) {
		t.Fatalf("a moved credential: %v", err)
	}
	c.shut(t)
}

func TestBounds(t *testing.T) {
	c := open(t, vfs.NewMem())
	defer c.shut(t)
	must[*App](t)(c.CreateApp("a", "", nil, now))
	var all sync.WaitGroup
	all.Go(func() {
		for i := range MaxCredentials {
			if err := c.PutCredential("a", fcm(fmt.Sprint(i), ""), Put{}); err != nil {
				t.Error(err)
			}
		}
	})
	all.Go(func() {
		for range MaxKeys {
			if _, _, err := c.CreateKey("a", rousev1.Role_ROLE_VIEWER, "", now); err != nil {
				t.Error(err)
			}
		}
	})
	all.Wait()
	if err := c.PutCredential("a", fcm("more", ""), Put{}); !errors.Is(err, ErrLimit) {
		t.Fatalf("got %v", err)
	}
	ok(t, c.PutCredential("a", fcm("0", "replaced"), Put{}))
	if _, _, err := c.CreateKey("a", rousev1.Role_ROLE_VIEWER, "", now); !errors.Is(err, ErrLimit) {
		t.Fatalf("got %v", err)
	}
	c.appCount = MaxApps
	if _, err := c.CreateApp("b", "", nil, now); !errors.Is(err, ErrLimit) {
		t.Fatalf("got %v", err)
	}
}

func TestFailedWriteChangesNothing(t *testing.T) {
	c := open(t, vfs.NewMem())
	must[*App](t)(c.CreateApp("a", "", nil, now))
	ok(t, c.PutCredential("a", fcm("one", "1"), Put{}))
	before, _ := c.App("a")
	c.Watch(func(ch Change) {
		if ch.Name != "one" || ch.Credential == nil {
			t.Errorf("told of %s", ch.Name)
		}
	})
	c.shut(t)
	_, created := c.CreateApp("b", "", nil, now)
	_, _, key := c.CreateKey("a", rousev1.Role_ROLE_ADMIN, "", now)
	for _, err := range []error{created, key, c.PutCredential("a", fcm("two", ""), Put{}), c.DeleteCredential("a", "one", false)} {
		if !errors.Is(err, storage.ErrClosed) {
			t.Errorf("got %v", err)
		}
	}
	if after, _ := c.App("a"); after != before || len(c.Apps()) != 1 || len(c.ListKeys("a")) != 0 {
		t.Fatal("something changed without being stored")
	}
}

// Every text and bytes field of a credential is either listed here as harmless
// or must be gone after Redacted: a new secret field fails this test.
func TestRedactedHidesAllButTheHarmless(t *testing.T) {
	harmless := map[protoreflect.Name]bool{
		"name": true, "bundle_id": true, "key_id": true, "team_id": true, "endpoint": true, "ca_pem": true, "channel_id": true,
		"app_id": true, "client_id": true, "system_importance": true, "intent": true, "app_key": true, "package_name": true, "project_id": true, "receipt_id": true,
		"click_action": true, "click_intent": true, "intent_uri": true, "activity": true, "badge_class": true, "path": true,
		"category": true, "call_category": true, "im_category": true, "system_category": true, "marketing_category": true,
		"sound": true, "priority": true, "template_id": true, "template_title": true, "template_content": true, "auth_endpoint": true, "overseas_endpoint": true,
	}
	oneof := (&rousev1.Credential{}).ProtoReflect().Descriptor().Oneofs().ByName("vendor").Fields()
	for i := range oneof.Len() {
		full := (&rousev1.Credential{Name: canary}).ProtoReflect()
		fill(full.Mutable(oneof.Get(i)).Message())
		Redacted(full.Interface().(*rousev1.Credential)).ProtoReflect().Get(oneof.Get(i)).Message().
			Range(func(f protoreflect.FieldDescriptor, v protoreflect.Value) bool {
				if strings.Contains(v.String(), canary) && !harmless[f.Name()] {
					t.Errorf("%s is shown", f.FullName())
				}
				return true
			})
		if !strings.Contains(full.Get(oneof.Get(i)).Message().Interface().(fmt.Stringer).String(), canary) {
			t.Error("the original was changed")
		}
	}
}

func fill(m protoreflect.Message) {
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		switch f := fields.Get(i); f.Kind() {
		case protoreflect.StringKind:
			m.Set(f, protoreflect.ValueOfString(canary))
		case protoreflect.BytesKind:
			m.Set(f, protoreflect.ValueOfBytes([]byte(canary)))
		}
	}
}

func FuzzAuthenticate(f *testing.F) {
	c := open(f, vfs.NewMem())
	f.Cleanup(func() { c.shut(f) })
	must[*App](f)(c.CreateApp("a", "", nil, now))
	_, secret, err := c.CreateKey("a", rousev1.Role_ROLE_ADMIN, "", now)
	ok(f, err)
	f.Add(secret[:60])
	f.Add("rk_")
	f.Fuzz(func(t *testing.T, s string) {
		if _, err := c.Authenticate(s); err == nil && s != secret {
			t.Fatal("opened by something else")
		}
	})
}

func BenchmarkAuthenticate(b *testing.B) {
	c := open(b, vfs.NewMem())
	defer c.shut(b)
	must[*App](b)(c.CreateApp("a", "", nil, now))
	_, secret, err := c.CreateKey("a", rousev1.Role_ROLE_ADMIN, "", now)
	ok(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := c.Authenticate(secret); err != nil {
			b.Fatal(err)
		}
	}
}

// What a writer saw is of the term in which it began: later ones refuse its entry.
func TestWritersNameTheirTerm(t *testing.T) {
	c := open(t, vfs.NewMem())
	defer c.shut(t)
	led := uint64(5)
	var proposed []uint64
	c.Leads = func() (uint64, bool) { return led, led != 0 }
	c.Propose = func(term uint64, ms []storage.Mutation, done func(error)) {
		if proposed = append(proposed, term); term != led {
			done(storage.ErrNotLeader)
			return
		}
		c.store.Propose(storage.MetaShard, ms, done)
	}
	must[*App](t)(c.CreateApp("a", "", nil, now))
	made, err := c.Bootstrap(now, func(string) error { led = 6; return nil }) // others may have led between
	if made || !errors.Is(err, storage.ErrNotLeader) {
		t.Errorf("a key that was decided in term 5 is stored in term 6: %v", err)
	}
	led = 0
	if err := c.PutTemplate("a", &rousev1.Template{Name: "t"}); !errors.Is(err, storage.ErrNotLeader) {
		t.Errorf("without a leadership: %v", err)
	}
	if diff := cmp.Diff([]uint64{5, 5}, proposed); diff != "" {
		t.Errorf("proposed terms (-want +got):\n%s", diff)
	}
}
