package apns

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/rouse-im/rouse/internal/stepped"
	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/fake"
)

func testSigner(t *testing.T) *signer {
	t.Helper()
	p8, _, err := fake.NewAPNsKey()
	if err != nil {
		t.Fatal(err)
	}
	p, err := Config{BundleID: testBundle, AuthKeyPEM: p8, KeyID: testKey, TeamID: testTeam}.parse()
	if err != nil {
		t.Fatal(err)
	}
	s := borrowSigner(testTeam, testKey, p.key)
	if again := borrowSigner(testTeam, testKey, p.key); again != s {
		t.Fatal("two signers of one key")
	}
	s.giveBack()
	t.Cleanup(s.giveBack)
	return s
}

func TestSignerAges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := testSigner(t)
		get := func() string {
			t.Helper()
			b, err := s.bearer(time.Now())
			if err != nil {
				t.Fatal(err)
			}
			return b
		}
		first := get()
		<-time.After(tokenRefresh - time.Second)
		if get() != first {
			t.Error("renewed before it was due")
		}
		<-time.After(time.Second)
		second := get()
		if second == first {
			t.Error("not renewed when due")
		}
		if wait := s.renew(first, time.Now()); wait != 0 || get() != second {
			t.Errorf("a stale token was expired: wait %v", wait)
		}
		<-time.After(5 * time.Minute)
		if wait := s.renew(second, time.Now()); wait != tokenLook || get() != second {
			t.Errorf("renewed below the floor: wait %v", wait)
		}
		<-time.After(15 * time.Minute)
		var wg sync.WaitGroup
		for range 50 {
			wg.Go(func() {
				if wait := s.renew(second, time.Now()); wait != 0 || get() == second {
					t.Errorf("not renewed: wait %v", wait)
				}
			})
		}
		wg.Wait()
	})
}

// issuedAt is when a provider token says that it was minted.
func issuedAt(t *testing.T, bearer string) time.Time {
	t.Helper()
	claims := jwt.MapClaims{}
	if _, _, err := jwt.NewParser().ParseUnverified(bearer, claims); err != nil {
		t.Fatal(err)
	}
	at, err := claims.GetIssuedAt()
	if err != nil || at == nil {
		t.Fatalf("no time in %v: %v", claims, err)
	}
	return at.Time
}

// TestSignerWhenTheClockIsSet: tokens go on to be dated by the clock that APNs
// knew, as long as it takes them; then by the one that there is, at once.
func TestSignerWhenTheClockIsSet(t *testing.T) {
	for _, by := range []time.Duration{time.Hour, -time.Hour, -24 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			s := testSigner(t)
			right := func() time.Time { return stepped.Wall(time.Now(), 0) }
			wrong := func() time.Time { return stepped.Wall(time.Now(), by) }
			get := func(now, want time.Time) string {
				t.Helper()
				b, err := s.bearer(now)
				if err != nil {
					t.Fatal(err)
				}
				if got := issuedAt(t, b); !got.Equal(want.Round(0)) {
					t.Fatalf("set by %s: the token is of %s, want %s", by, got, want)
				}
				return b
			}
			get(right(), right())
			get(wrong(), right())
			<-time.After(tokenRefresh)
			second := get(wrong(), right())
			<-time.After(2 * time.Second)
			if !s.misdated(second, wrong()) {
				t.Error("the date of a token is not doubted")
			}
			if wait := s.renew(second, wrong()); wait != 0 {
				t.Errorf("set by %s: a refused token stays for %s", by, wait)
			}
			third := get(wrong(), wrong())
			if wait := s.renew(third, wrong()); wait != tokenLook || s.misdated(third, wrong()) {
				t.Errorf("set by %s: minted again without need, wait %s", by, wait)
			}
			if wait := s.renew(third, right()); wait != 0 {
				t.Errorf("set right again: a wrong token stays for %s", wait)
			}
			get(right(), right())
		})
	}
}

// TestSignerIsShared: a sender made anew does not mint within the floor.
func TestSignerIsShared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, c := newFake(t, fake.APNsOptions{AnyDevice: true})
		n := &vendors.Notification{PushID: testPushID, Token: "ab", Channel: vendors.ChannelAlert, Title: "t", Badge: -1, Expires: time.Now().Add(time.Hour)}
		for range 3 {
			s, err := New(c)
			if err != nil {
				t.Fatal(err)
			}
			if res, err := s.Send(t.Context(), n); err != nil || res.Outcome != vendors.Accepted {
				t.Errorf("got %+v, %v", res, err)
			}
			s.Close()
			<-time.After(time.Minute)
		}
		if got := a.Stats().Bearers; got != 1 {
			t.Errorf("%d provider tokens, want 1", got)
		}
	})
}

// TestClockBehind: a token that APNs calls expired when it is new is an
// operator's matter.
func TestClockBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, c := newFake(t, fake.APNsOptions{AnyDevice: true})
		s := newSender(t, c)
		n := &vendors.Notification{PushID: testPushID, Token: "ab", Channel: vendors.ChannelAlert, Title: "t", Badge: -1, Expires: time.Now().Add(time.Hour)}
		a.Faults.Script(fake.Reason(403, reasonExpired))
		res, err := s.Send(t.Context(), n)
		if err != nil || res.Outcome != vendors.Throttled || res.RetryAfter != tokenLook {
			t.Errorf("young token: %+v, %v", res, err)
		}
		<-time.After(tokenFloor)
		if res, err = s.Send(t.Context(), n); err != nil || res.Outcome != vendors.CredentialBad {
			t.Errorf("new token: %+v, %v", res, err)
		}
		if got := a.Stats().Requests; got != 3 {
			t.Errorf("%d requests, want 1 and then 2", got)
		}
	})
}

func TestSignersAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := testSigner(t)
		if _, err := s.bearer(time.Now()); err != nil {
			t.Fatal(err)
		}
		s.giveBack()
		<-time.After(2 * time.Hour)
		other := testSigner(t)
		signers.mu.Lock()
		defer signers.mu.Unlock()
		if signers.all[s.id] != nil || signers.all[other.id] == nil {
			t.Error("a signer without users outlives its token")
		}
		s.users++ // for the clean-up
	})
}
