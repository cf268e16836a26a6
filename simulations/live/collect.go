package live

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/rouse-im/rouse/actors/user"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/rpc"
	"github.com/rouse-im/rouse/simulations"
	"github.com/rouse-im/rouse/simulations/checker"
)

const (
	// settleTimeout is how long the end of all pushes is waited for.
	settleTimeout = 90 * time.Second
	// asking is how many users are asked for at a time.
	asking = 32
	// maxListed is what one answer of ListOutcomes holds.
	maxListed = 1000
)

// settle waits until no push is under way or waits for its time, or long enough:
// the checks will tell.
func (s *stage) settle(ctx context.Context, rec *recorder) error {
	began := time.Now()
	deadline, least := began.Add(settleTimeout), began
	if rec.keep && delayed(&rec.h) {
		least = began.Add(user.DefaultAwayDelay + slack)
	}
	tick := time.NewTicker(250 * time.Millisecond)
	defer tick.Stop()
	for quiet := 0; (quiet < 4 || time.Now().Before(least)) && time.Now().Before(deadline); {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return context.Cause(ctx)
		}
		if s.backlog(ctx) > 0 {
			quiet = 0
		} else {
			quiet++
		}
	}
	return nil
}

// slack is how late a delayed push may leave: users that are due are looked for
// once a second.
const slack = 2 * time.Second

// delayed tells whether somebody asked for pushes that wait.
func delayed(h *checker.History) bool {
	return slices.ContainsFunc(h.Events, func(e *simulations.Event) bool {
		return e.Kind == simulations.Policy && e.Policy == "away-delay"
	})
}

// collect asks for what the engine keeps of all users.
func (s *stage) collect(ctx context.Context, rec *recorder) error {
	about := recipients(&rec.h)
	users := slices.Sorted(maps.Keys(about))
	room := make(chan struct{}, asking)
	errs := make(chan error, len(users))
	var work sync.WaitGroup
	for i, u := range users {
		room <- struct{}{}
		work.Go(func() {
			defer func() { <-room }()
			if err := s.askAbout(ctx, s.admin[i%len(s.admin)], u, about[u], rec); err != nil {
				errs <- fmt.Errorf("live: what is kept of user %s: %w", u, err)
			}
		})
	}
	work.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}

// theirs is what a run told of one user.
type theirs struct {
	messages map[string]uint64    // event by message
	tokens   map[[2]string]string // last token by device and notifier
}

// recipients are all users, with the messages to them.
func recipients(h *checker.History) map[string]*theirs {
	all := map[string]*theirs{}
	of := func(u string) *theirs {
		if all[u] == nil {
			all[u] = &theirs{map[string]uint64{}, map[[2]string]string{}}
		}
		return all[u]
	}
	for _, e := range h.Events {
		for _, u := range e.Users() {
			t := of(u)
			switch e.Kind {
			case simulations.Message:
				t.messages[e.Message] = e.N
			case simulations.Bind:
				t.tokens[[2]string{e.Device, e.Notifier}] += " " + e.Token
			}
		}
	}
	return all
}

func (s *stage) askAbout(ctx context.Context, node *rpc.Services, user string, t *theirs, rec *recorder) error {
	r, err := node.User.ListOutcomes(ctx, &rousev1.ListOutcomesRequest{UserId: user, Limit: maxListed})
	if err != nil {
		return err
	}
	got := map[string]bool{}
	s.outcomes(r, t, got, rec)
	if len(got) >= maxListed {
		for m := range t.messages {
			if got[m] {
				continue
			}
			r, err := node.User.ListOutcomes(ctx, &rousev1.ListOutcomesRequest{UserId: user, MessageId: m})
			if err != nil {
				return err
			}
			s.outcomes(r, t, got, rec)
		}
	}
	d, err := node.Device.ListDevices(ctx, &rousev1.ListDevicesRequest{UserId: user})
	if err != nil {
		return err
	}
	for _, d := range d.GetDevices() {
		stored := checker.Stored{User: user, Device: d.GetDeviceId(), Session: d.GetSession(), Step: d.GetStep(), Count: int(d.GetOfflineCount()), Tokens: map[string]string{}}
		for _, b := range d.GetBindings() {
			// The engine shows the end of a token only. A token that was bound
			// and ends alike is taken for it.
			told := strings.Fields(t.tokens[[2]string{d.GetDeviceId(), b.GetNotifier()}])
			for _, token := range slices.Backward(told) {
				if strings.HasSuffix(token, b.GetTokenTail()) {
					stored.Tokens[b.GetNotifier()] = token
					break
				}
			}
		}
		rec.add(checker.Entry{Stored: &stored})
	}
	return nil
}

func (s *stage) outcomes(r *rousev1.ListOutcomesResponse, t *theirs, got map[string]bool, rec *recorder) {
	for _, o := range r.GetOutcomes() {
		got[o.GetMessageId()] = true
		x := checker.Outcome{
			App: appID, Event: t.messages[o.GetMessageId()], User: o.GetUserId(), Message: o.GetMessageId(), Device: o.GetDeviceId(), Notifier: o.GetNotifier(),
			Status: rpc.Word(o.GetStatus()), PushID: o.GetPushId(), Decided: rec.since(o.GetDecidedAt().AsTime()),
		}
		if o.GetReason() != rousev1.Reason_REASON_UNSPECIFIED {
			x.Reason = rpc.Word(o.GetReason())
		}
		if o.Badge != nil {
			badge := int(o.GetBadge())
			x.Badge = &badge
		}
		if o.GetEndedAt() != nil {
			x.Ended = rec.since(o.GetEndedAt().AsTime())
		}
		rec.add(checker.Entry{Outcome: &x})
	}
}
