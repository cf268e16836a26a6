package catalog

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"
	"pgregory.net/rapid"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

func secret(name, s string) *rousev1.Credential {
	return &rousev1.Credential{Name: name, Vendor: &rousev1.Credential_Fcm{Fcm: &rousev1.FcmCredential{ServiceAccountJson: s}}}
}

// What helps out survives a crash with its end, and is sealed on disk.
func TestPreviousSurvivesACrash(t *testing.T) {
	fs := vfs.NewCrashableMem()
	c := open(t, fs)
	must[*App](t)(c.CreateApp("chat", "", nil, now))
	ok(t, c.PutCredential("chat", secret("push", canary+"-1"), Put{Now: now}))
	ok(t, c.PutCredential("chat", secret("push", canary+"-2"), Put{Now: now, Keep: time.Hour}))
	crashed := fs.CrashClone(vfs.CrashCloneCfg{})
	c.shut(t)

	c = open(t, crashed)
	defer c.shut(t)
	var last Change
	c.Watch(func(change Change) { last = change })
	if last.Credential.GetFcm().GetServiceAccountJson() != canary+"-2" || last.Previous == nil ||
		last.Previous.Credential.GetFcm().GetServiceAccountJson() != canary+"-1" || !last.Previous.Until.Equal(now.Add(time.Hour)) {
		t.Fatalf("%+v", last)
	}
	if strings.Contains(c.log.String(), canary) {
		t.Error("the log shows a secret")
	}
	ok(t, c.DeleteCredential("chat", "push", false))
	ok(t, c.PutCredential("chat", secret("push", "3"), Put{Now: now}))
	if last.Previous != nil {
		t.Error("a deleted credential helps out the next one of its name")
	}
}

// After its time the previous credential is gone, for watchers and on disk.
func TestPreviousEnds(t *testing.T) {
	fs := vfs.NewMem()
	synctest.Test(t, func(t *testing.T) {
		c := open(t, fs)
		must[*App](t)(c.CreateApp("chat", "", nil, time.Now()))
		for _, name := range []string{"a", "b"} {
			ok(t, c.PutCredential("chat", secret(name, "1"), Put{Now: time.Now()}))
			ok(t, c.PutCredential("chat", secret(name, "2"), Put{Now: time.Now(), Keep: time.Hour}))
		}
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); c.Run(ctx) }()
		helping := func() (n int) {
			synctest.Wait()
			app, _ := c.App("chat")
			for _, name := range []string{"a", "b"} {
				if app.Previous(name) != nil {
					n++
				}
			}
			return n
		}
		<-time.After(time.Hour - time.Second)
		if n := helping(); n != 2 {
			t.Errorf("%d help out before the end, want 2", n)
		}
		<-time.After(dropEvery + time.Second)
		if n := helping(); n != 0 {
			t.Errorf("%d help out after the end", n)
		}
		cancel()
		<-done
		c.shut(t)
	})
	c := open(t, fs)
	defer c.shut(t)
	app, _ := c.App("chat")
	if app.Previous("a") != nil || app.Previous("b") != nil {
		t.Error("it came back with a restart")
	}
}

// Whatever is put, at most two secrets are in use: the last one, and the one
// before it when the last put with another secret said to keep it.
func TestAtMostTwoSecrets(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		c := open(t, vfs.NewMem())
		defer c.shut(t)
		must[*App](t)(c.CreateApp("chat", "", nil, now))
		current, before := "", ""
		for range rapid.IntRange(1, 12).Draw(rt, "puts") {
			next := rapid.SampledFrom([]string{"1", "2", "3"}).Draw(rt, "secret")
			keep := rapid.SampledFrom([]time.Duration{0, time.Hour}).Draw(rt, "keep")
			ok(t, c.PutCredential("chat", secret("push", next), Put{Now: now, Keep: keep}))
			switch {
			case keep == 0:
				before = ""
			case next != current:
				before = current
			}
			current = next
			app, _ := c.App("chat")
			got := ""
			if p := app.Previous("push"); p != nil {
				got = p.Credential.GetFcm().GetServiceAccountJson()
			}
			if got != before {
				rt.Fatalf("%q helps out %q, want %q", got, current, before)
			}
		}
	})
}

func TestBanIsKept(t *testing.T) {
	c := open(t, vfs.NewMem())
	defer c.shut(t)
	must[*App](t)(c.CreateApp("chat", "", nil, now))
	banned := secret("push", "1")
	banned.Banned = true
	if err := c.PutCredential("chat", banned, Put{}); !errors.Is(err, ErrForbidden) {
		t.Error(err)
	}
	ok(t, c.PutCredential("chat", banned, Put{MayBan: true}))
	if err := c.PutCredential("chat", secret("push", "1"), Put{}); !errors.Is(err, ErrForbidden) {
		t.Error(err)
	}
	if err := c.DeleteCredential("chat", "push", false); !errors.Is(err, ErrForbidden) {
		t.Error(err)
	}
	ok(t, c.DeleteCredential("chat", "push", true))
}
