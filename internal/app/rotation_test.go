package app

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/fake"
	"github.com/rouse-im/rouse/vendors/fcm"
	"github.com/rouse-im/rouse/vendors/xiaomi"
)

const packageName = "im.rouse.app"

// xiaomiRotation is a fake whose secret is "old", and a rotation from "old" to
// "new" that ends in an hour.
func xiaomiRotation(t *testing.T) (*fake.Xiaomi, vendors.BatchSender, *rotation) {
	t.Helper()
	ca, err := fake.NewCA()
	if err != nil {
		t.Fatal(err)
	}
	cert, err := ca.Server("push.example")
	if err != nil {
		t.Fatal(err)
	}
	l := fake.NewPipeListener()
	server := fake.NewXiaomi(fake.XiaomiOptions{Cert: cert, Secret: "old", Package: packageName})
	served := make(chan error, 1)
	go func() { served <- server.Serve(l) }()
	open := func(secret string) vendors.Sender {
		s, err := xiaomi.New(xiaomi.Config{
			AppSecret: secret, PackageName: packageName, Endpoint: "https://push.example", CAPEM: ca.PEM(), DialContext: l.DialContext,
		})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	sender, r := rotated(open("new"), open("old"), time.Now().Add(time.Hour))
	t.Cleanup(func() {
		sender.Close()
		_ = server.Close()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return server, sender.(vendors.BatchSender), r
}

func pushTo(token string) *vendors.Notification {
	return &vendors.Notification{
		PushID: vendors.NewPushID(), Token: token, Channel: vendors.ChannelAlert, Class: vendors.ClassIM,
		Title: "Ann", Body: "hi", Badge: -1, Expires: time.Now().Add(10 * time.Hour),
	}
}

// The previous secret helps out exactly while the vendor refuses the new one
// and its time is not over, and then no more.
func TestRotation(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, sender, r := xiaomiRotation(t)
		server.AddDevice("phone")
		send := func(want vendors.Outcome) {
			t.Helper()
			n := pushTo("phone")
			res, err := sender.Send(t.Context(), n)
			if err != nil || res.Outcome != want {
				t.Fatalf("got %+v, %v; want %v", res, err, want)
			}
			if d, _ := server.Device("phone"); want == vendors.Accepted && d.Received[len(d.Received)-1].PushID != n.PushID {
				t.Error("another push id")
			}
		}
		requests := func() int64 { return server.Stats().Requests }
		send(vendors.Accepted)
		if code := r.refusal.Load(); code == nil || *code != "21301" || requests() != 2 {
			t.Fatalf("refusal %v after %d requests", code, requests())
		}
		send(vendors.Accepted) // the new one is not asked again so soon
		if requests() != 3 {
			t.Errorf("%d requests, want 3", requests())
		}
		<-time.After(askAgain)
		send(vendors.Accepted)
		if requests() != 5 {
			t.Errorf("%d requests, want 5", requests())
		}
		server.SetSecret("new")
		send(vendors.CredentialBad) // neither is good until the new one is asked again
		<-time.After(askAgain)
		send(vendors.Accepted)
		if r.refusal.Load() != nil {
			t.Error("the new credential works, and is told to be refused")
		}
		server.SetSecret("old")
		send(vendors.Accepted)
		<-time.After(time.Until(r.until))
		before := requests()
		send(vendors.CredentialBad)
		if requests() != before+1 {
			t.Error("the previous secret was used after its end")
		}
	})
}

// In a batch, each token gets its own verdict whichever credential sent.
func TestRotationOfBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		server, sender, _ := xiaomiRotation(t)
		var tokens []string
		var want []vendors.Outcome
		for i := range 10 {
			tokens = append(tokens, fmt.Sprint("phone", i))
			if i%3 == 0 {
				server.Unregister(tokens[i])
				want = append(want, vendors.TokenInvalid)
			} else {
				server.AddDevice(tokens[i])
				want = append(want, vendors.Accepted)
			}
		}
		for range 2 { // asked, and not asked again
			results, err := sender.SendBatch(t.Context(), pushTo(tokens[0]), tokens)
			if err != nil {
				t.Fatal(err)
			}
			var got []vendors.Outcome
			for _, r := range results {
				got = append(got, r.Outcome)
			}
			if !slices.Equal(got, want) {
				t.Errorf("got %v, want %v", got, want)
			}
		}
		server.SetSecret("a third one")
		results, err := sender.SendBatch(t.Context(), pushTo(tokens[0]), tokens)
		if err != nil || results[3].Outcome != vendors.CredentialBad || results[3].Code != "21301" {
			t.Errorf("%+v, %v", results, err)
		}
		if sender.MaxBatch() != 1000 || !sender.Same(pushTo("a"), pushTo("b")) {
			t.Error("batches are not those of the vendor")
		}
	})
}

// A vendor without batches gets none by a rotation.
func TestRotationIsNoBatchOfItself(t *testing.T) {
	if s, _ := rotated(&fcm.Sender{}, &fcm.Sender{}, time.Now()); s != nil {
		if _, many := s.(vendors.BatchSender); many {
			t.Error("a rotation of FCM takes batches")
		}
	}
}

func TestRotationWhenTheClockIsSetBack(t *testing.T) {
	now := time.Unix(1e9, 0)
	r := &rotation{until: now.Add(time.Hour)}
	r.learn(vendors.Result{Outcome: vendors.CredentialBad}, now)
	if r.turn(now.Add(askAgain - 1)) {
		t.Error("a refused credential is asked again too soon")
	}
	if back := now.Add(-time.Minute); !r.turn(back) || r.turn(back) {
		t.Error("a clock that was set back puts the question off")
	}
}
