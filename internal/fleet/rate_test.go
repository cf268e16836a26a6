package fleet

import (
	"context"
	"testing"
	"time"

	"google.golang.org/protobuf/proto"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// TestRateIsOfTheCluster sends more than a credential's rate allows while nodes
// die: all nodes together never send more.
func TestRateIsOfTheCluster(t *testing.T) {
	const (
		rate  = 200
		burst = rate/50 + 1 // of a lane, and the push that closes a second
	)
	w := threeNodes(t)
	slow := proto.CloneOf(w.cred)
	slow.Name, slow.RatePerSecond = "slow", rate
	slow.GetApns().BundleId = "im.rouse.slow" // an account of its own
	if _, err := w.doors[0].admin.PutCredential(t.Context(), &rousev1.PutCredentialRequest{AppId: chat, Credential: slow}); err != nil {
		t.Fatal(err)
	}
	users := w.everywhere("rate", 1)
	until(t, 10*time.Second, "phones", func() error { return w.doors[0].offline(t.Context(), users) })
	until(t, 10*time.Second, "tokens", func() error {
		return eachOf(users, func(user string) error {
			_, err := w.doors[1].devices.BindToken(t.Context(), &rousev1.BindTokenRequest{UserId: user, DeviceId: phone, Notifier: slow.GetName(), Token: tokenOf(user)})
			return err
		})
	})
	began := time.Now()
	l := w.startTraffic(t, "rate", users, rate*3/2)
	l.more(t, rate)
	for round := range rounds(1) {
		victim := w.choose(t, round)
		if err := victim.Kill(); err != nil {
			t.Fatal(err)
		}
		l.more(t, 2*rate)
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		if err := victim.Start(ctx); err != nil {
			t.Fatal(err)
		}
		cancel()
		l.more(t, rate)
	}
	l.end(t)
	repeated := l.verify(t, w.doors[0])
	most, all := w.pushes.busiest(began)
	t.Logf("rate %d/s: the busiest second of %s had %d of %d pushes, %d of them repeated", rate, time.Since(began).Round(time.Second), most, all, repeated)
	if most > rate+burst {
		t.Errorf("%d pushes in a second, want at most %d", most, rate+burst)
	}
}
