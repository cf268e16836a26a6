package fleet

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/client"
)

// tokenOf is the push token of a user's phone.
func tokenOf(user string) string {
	sum := sha256.Sum256([]byte(user))
	return hex.EncodeToString(sum[:])
}

// message is an event for one user.
func message(id, user string) *rousev1.Event {
	return &rousev1.Event{Kind: &rousev1.Event_Message{Message: &rousev1.MessageEvent{
		MessageId: id, Recipients: []string{user}, Sender: "bob", Content: &rousev1.Content{Body: "hello"},
	}}}
}

// offline has a phone of each user, whose count then tells how many messages came.
func (d *door) offline(ctx context.Context, users []string) error {
	r := &rousev1.IngestBatchRequest{}
	for _, user := range users {
		r.Events = append(r.Events, &rousev1.Event{Kind: &rousev1.Event_Presence{Presence: &rousev1.PresenceEvent{
			UserId: user, DeviceId: phone, State: rousev1.SessionState_SESSION_STATE_DISCONNECTED, Session: 1,
		}}})
	}
	response, err := d.intake.IngestBatch(ctx, r)
	if err != nil {
		return err
	}
	for i, item := range response.GetItems() {
		if item.GetError() != nil {
			return fmt.Errorf("phone of %s: %v", users[i], item.GetError())
		}
	}
	return nil
}

// bind gives each user's phone a push token.
func (d *door) bind(ctx context.Context, users []string) error {
	return eachOf(users, func(user string) error {
		_, err := d.devices.BindToken(ctx, &rousev1.BindTokenRequest{UserId: user, DeviceId: phone, Notifier: notify, Token: tokenOf(user)})
		return err
	})
}

// eachOf does something for several at a time, and answers one of the errors.
func eachOf[T any](all []T, do func(T) error) (first error) {
	var mu sync.Mutex
	var work sync.WaitGroup
	slots := make(chan struct{}, 16)
	for _, one := range all {
		slots <- struct{}{}
		work.Go(func() {
			err := do(one)
			<-slots
			mu.Lock()
			defer mu.Unlock()
			if first == nil {
				first = err
			}
		})
	}
	work.Wait()
	return first
}

// traffic is an IM node that sends messages at a steady rate, whatever becomes
// of those before.
type traffic struct {
	w      *town
	c      *client.Client
	users  []string
	stop   context.CancelFunc
	ended  chan struct{}
	prefix string

	mu      sync.Mutex
	sent    map[string][]string // message ids by user
	acked   int
	all     int
	refused []string
	took    []time.Duration
}

// startTraffic begins with users that have a phone and a token.
func (w *town) startTraffic(t testing.TB, prefix string, users []string, perSecond int) *traffic {
	t.Helper()
	o := client.Options{Target: w.doors[0].GRPC(), APIKey: w.key, App: chat, Node: "im-" + prefix}
	for _, d := range w.doors[1:] {
		o.Others = append(o.Others, d.GRPC())
	}
	c, err := client.Dial(t.Context(), o)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	l := &traffic{w: w, c: c, users: users, stop: cancel, ended: make(chan struct{}), prefix: prefix, sent: map[string][]string{}}
	go l.run(ctx, perSecond)
	return l
}

func (l *traffic) run(ctx context.Context, perSecond int) {
	defer close(l.ended)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	began, n := time.Now(), 0
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			for due := int(now.Sub(began).Seconds() * float64(perSecond)); n < due; n++ {
				if !l.send(ctx, n) {
					return
				}
			}
		}
	}
}

func (l *traffic) send(ctx context.Context, n int) bool {
	user, id, began := l.users[n%len(l.users)], fmt.Sprint(l.prefix, "-", n), time.Now()
	err := l.c.Send(ctx, message(id, user), func(r *rousev1.ItemResult) {
		l.mu.Lock()
		defer l.mu.Unlock()
		l.took = append(l.took, time.Since(began))
		if r.GetError() != nil {
			l.refused = append(l.refused, r.GetError().String())
			return
		}
		l.acked++
	})
	if err != nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.all++
	l.sent[user] = append(l.sent[user], id)
	return true
}

// acknowledged is how many messages are on disk, as far as the IM node knows.
func (l *traffic) acknowledged() int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.acked
}

// more waits until so many more messages are acknowledged.
func (l *traffic) more(t testing.TB, n int) {
	t.Helper()
	want := l.acknowledged() + n
	until(t, 30*time.Second, "traffic goes on", func() error {
		if got := l.acknowledged(); got < want {
			return fmt.Errorf("%d of %d acknowledged", got, want)
		}
		return nil
	})
}

// end stops sending, waits for all answers, and tells the longest of them.
func (l *traffic) end(t testing.TB) (longest time.Duration) {
	t.Helper()
	l.stop()
	<-l.ended
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := l.c.Close(ctx); err != nil {
		t.Error(err)
	}
	if len(l.refused) > 0 {
		t.Errorf("%d of %d messages were refused, the first with %s", len(l.refused), l.all, l.refused[0])
	}
	slices.Sort(l.took)
	t.Logf("traffic: %d messages, %d acknowledged, p50 %s, p99 %s, longest %s", l.all, l.acked, share(l.took, 0.5), share(l.took, 0.99), share(l.took, 1))
	return share(l.took, 1)
}

// share is a quantile of sorted times.
func share(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	i := min(int(q*float64(len(sorted))), len(sorted)-1)
	return sorted[i].Round(100 * time.Microsecond)
}

// verify wants every message counted once, with one outcome, and pushed under
// one id; repeated is how many pushes came again under it.
func (l *traffic) verify(t testing.TB, d *door) (repeated int) {
	t.Helper()
	var mu sync.Mutex
	err := eachOf(l.users, func(user string) error {
		var again int
		err := within(20*time.Second, func() (err error) {
			again, err = l.check(t.Context(), d, user)
			return err
		})
		mu.Lock()
		defer mu.Unlock()
		repeated += again
		return err
	})
	if err != nil {
		t.Error(err)
	}
	t.Logf("facts of %d users are whole; %d pushes came twice, under their first id", len(l.users), repeated)
	return repeated
}

func (l *traffic) check(ctx context.Context, d *door, user string) (repeated int, err error) {
	sent := l.sent[user]
	count, err := d.users.GetOfflineCount(ctx, &rousev1.GetOfflineCountRequest{UserId: user})
	if err != nil {
		return 0, err
	}
	if int(count.GetCount()) != len(sent) {
		return 0, fmt.Errorf("%s counts %d messages of %d", user, count.GetCount(), len(sent))
	}
	r, err := d.users.ListOutcomes(ctx, &rousev1.ListOutcomesRequest{UserId: user, Limit: 1000})
	if err != nil {
		return 0, err
	}
	ended := map[string]string{}
	for _, o := range r.GetOutcomes() {
		if _, twice := ended[o.GetMessageId()]; twice || o.GetStatus() != rousev1.OutcomeStatus_OUTCOME_STATUS_ACCEPTED {
			return 0, fmt.Errorf("%s of %s: %v %v (twice: %v)", o.GetMessageId(), user, o.GetStatus(), o.GetReason(), twice)
		}
		ended[o.GetMessageId()] = o.GetPushId()
	}
	for _, id := range sent {
		ids, times := l.w.pushes.of(tokenOf(user), id)
		if len(ids) != 1 || ids[0] != ended[id] {
			return 0, fmt.Errorf("%s of %s: outcome %q, the vendor has it under %q", id, user, ended[id], ids)
		}
		repeated += times - 1
	}
	return repeated, nil
}
