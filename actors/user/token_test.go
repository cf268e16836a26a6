package user

import (
	"fmt"
	"slices"
	"testing"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

func TestEmptyTokenAndNotifier(t *testing.T) {
	w := newWorld(t, nil)
	w.bind("d", "apns", "1")
	w.bind("d", "voip", "2")
	w.bind("d", "apns", "") // removes (user, device, notifier)
	if b := w.s.Devices[0].Bindings; len(b) != 1 || b[0].Notifier != "voip" {
		t.Fatalf("%v", b)
	}
	w.bind("d", "apns", "1")
	w.bind("d", "", "") // removes all of the device
	if b := w.s.Devices[0].Bindings; len(b) != 0 {
		t.Fatalf("%v", b)
	}
	if d := w.bind("d", "", "x"); d.Reply.Err.GetCode() != rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT {
		t.Error("a token without a notifier was taken")
	}
}

func TestTokenMovesBetweenDevices(t *testing.T) {
	w := newWorld(t, nil)
	w.bind("old", "apns", "1")
	d := w.bind("new", "apns", "1") // re-installed: same token, new device id
	if len(w.s.device("old").Bindings) != 0 || len(w.s.device("new").Bindings) != 1 {
		t.Fatal("the token is on two devices")
	}
	if len(d.Claim) != 1 || len(d.Disown) != 0 {
		t.Errorf("claims %v, disowns %v", d.Claim, d.Disown)
	}
	if d := w.bind("new", "apns", "2"); len(d.Disown) != 1 {
		t.Error("the replaced token keeps its owner")
	}
}

func TestRelease(t *testing.T) {
	w := offlinePhone(t)
	sum := w.s.Devices[0].Bindings[0].Sum
	id, _ := w.message(nil)
	if d := w.do(Release{Sum: sum, BoundAt: t0.UnixMilli() - 1}); len(d.Events) != 0 {
		t.Fatal("an older bind took the token")
	}
	d := w.do(Release{Sum: sum, BoundAt: t0.UnixMilli() + 5})
	if len(w.s.Devices[0].Bindings) != 0 || len(d.Cancel) != 1 || d.Cancel[0].Pending.Message != id {
		t.Errorf("bindings %v, cancels %v", w.s.Devices[0].Bindings, d.Cancel)
	}
	if len(d.Disown) != 0 {
		t.Error("the loser disowns the winner's token")
	}
}

func TestTokenInvalid(t *testing.T) {
	end := func(w *world, id string, since time.Time, sum Sum) Decision {
		return w.do(Ended{
			Message: id, Device: "phone", Notifier: "apns", Status: rousev1.OutcomeStatus_OUTCOME_STATUS_FAILED,
			Reason: rousev1.Reason_REASON_TOKEN_INVALID, TokenInvalid: true, InvalidSince: since, Sum: sum,
		})
	}
	t.Run("dropped", func(t *testing.T) {
		w := offlinePhone(t)
		id, _ := w.message(nil)
		d := end(w, id, time.Time{}, w.s.Devices[0].Bindings[0].Sum)
		if len(w.s.Devices[0].Bindings) != 0 || len(d.Disown) != 1 {
			t.Error("a dead token was kept")
		}
	})
	t.Run("bound again since", func(t *testing.T) {
		w := offlinePhone(t)
		id, _ := w.message(nil)
		end(w, id, t0.Add(-time.Hour), w.s.Devices[0].Bindings[0].Sum)
		if len(w.s.Devices[0].Bindings) != 1 {
			t.Error("a token was dropped that was bound after the vendor knew it dead")
		}
	})
	t.Run("replaced meanwhile", func(t *testing.T) {
		w := offlinePhone(t)
		id, _ := w.message(nil)
		old := w.s.Devices[0].Bindings[0].Sum
		w.bind("phone", "apns", "bb")
		d := end(w, id, time.Time{}, old)
		if len(w.s.Devices[0].Bindings) != 1 || len(d.Send) != 1 || len(w.s.Pending) != 1 {
			t.Errorf("bindings %d, sends %d, pending %d", len(w.s.Devices[0].Bindings), len(d.Send), len(w.s.Pending))
		}
	})
}

func TestDeviceLimit(t *testing.T) {
	w := newWorld(t, nil)
	for i := range MaxDevices {
		w.bind(fmt.Sprint("d", i), "apns", fmt.Sprint("t", i))
	}
	if d := w.bind("one too many", "apns", "x"); d.Reply.Err.GetCode() != rousev1.ErrorCode_ERROR_CODE_LIMIT_EXCEEDED {
		t.Fatalf("%v", d.Reply)
	}
	w.bind("d7", "apns", "")
	w.bind("one more", "apns", "x")
	if len(w.s.Devices) != MaxDevices || w.s.device("d7") != nil || w.s.device("one more") == nil {
		t.Error("the device without a token did not make room")
	}
	for i := range MaxBindings {
		w.bind("one more", fmt.Sprint("n", i), "y")
	}
	if n := len(w.s.device("one more").Bindings); n != MaxBindings {
		t.Errorf("%d bindings", n)
	}
}

func TestLogoutWithUnbind(t *testing.T) {
	w := offlinePhone(t)
	w.message(nil)
	w.steps++
	d := w.do(Presence{PresenceEvent: &rousev1.PresenceEvent{DeviceId: "phone", State: loggedOut, Unbind: true, Session: 1, Step: w.steps}})
	if len(w.s.Devices[0].Bindings) != 0 || len(d.Cancel) != 1 || len(d.Disown) != 1 {
		t.Errorf("%+v", d)
	}
}

func TestErase(t *testing.T) {
	w := offlinePhone(t)
	w.message(nil)
	d := w.do(&rousev1.EraseUserRequest{UserId: "ann"})
	if !d.Erase || len(d.Cancel) != 1 || len(d.Disown) != 1 || w.s.Known || len(w.s.Pending) != 0 {
		t.Errorf("%+v", d)
	}
}

// A token that was bound while the clock was ahead is given up with the time at which
// it was bound, by which its owner's record knows it; a repeated bind is not earlier.
func TestDisownWhenTheClockIsSetBack(t *testing.T) {
	w := offlinePhone(t)
	w.env.Now = w.env.Now.Add(time.Hour)
	ahead := w.bind("phone", "apns", "9").Claim[0]
	w.env.Now = w.env.Now.Add(-time.Hour)
	if again := w.bind("phone", "apns", "9").Claim[0]; again != ahead {
		t.Errorf("bound again: %+v, was %+v", again, ahead)
	}
	want := []Claim{{Sum: ahead.Sum, BoundAt: ahead.BoundAt}}
	if got := w.do(&rousev1.EraseUserRequest{UserId: "ann"}).Disown; !slices.Equal(got, want) {
		t.Errorf("erased: %+v, want %+v", got, want)
	}
}
