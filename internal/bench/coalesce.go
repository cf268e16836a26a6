package bench

import (
	"context"
	"errors"
	"fmt"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// groupRecipients is the most that one message event names.
const groupRecipients = 1024

// anyRate of a credential, the most that can be set, keeps the vendor's documented
// rate out of what is measured.
const anyRate = 1_000_000

// vendorLatency is what a request to a vendor within the same country takes.
const vendorLatency = 20 * time.Millisecond

// squad is a group whose phones are reached through Huawei.
type squad struct {
	*runner
	node   *node
	fake   *child
	vendor Vendor
	users  int
	sent   int // messages
}

func (r *runner) startSquad(ctx context.Context, users, perSecond int) (_ *squad, err error) {
	s := &squad{runner: r, users: users}
	defer func() {
		if err != nil {
			err = errors.Join(err, s.stop())
		}
	}()
	if s.fake, err = r.spawn(ctx, "huawei"); err != nil {
		return s, err
	}
	if err := s.fake.call("Start", perSecond, &s.vendor); err != nil {
		return s, err
	}
	if s.node, err = r.startNode(ctx, 0); err != nil {
		return s, err
	}
	if err := s.node.put(ctx, hmsCredential(&s.vendor, false, anyRate)); err != nil {
		return s, err
	}
	r.say("  binding %d tokens", users)
	return s, s.node.bind(ctx, users, hms)
}

func (s *squad) stop() error {
	var errs []error
	if s.node != nil {
		errs = append(errs, s.node.stop())
	}
	if s.fake != nil {
		errs = append(errs, s.fake.stop())
	}
	return errors.Join(errs...)
}

// message is one message to the first users of the group, in as many events as it takes.
func (s *squad) message(ctx context.Context, users int) error {
	s.sent++
	id := fmt.Sprintf("message-%09d", s.sent)
	return s.node.send(ctx, (users+groupRecipients-1)/groupRecipients, func(i int) *rousev1.Event {
		m := &rousev1.MessageEvent{
			MessageId: id, Sender: "sender", ConversationType: rousev1.ConversationType_CONVERSATION_TYPE_GROUP, ConversationId: "group",
			Content: &rousev1.Content{Title: title, Body: body, Sound: "default"},
		}
		for u := i * groupRecipients; u < min(users, (i+1)*groupRecipients); u++ {
			m.Recipients = append(m.Recipients, userID(u))
		}
		return &rousev1.Event{Kind: &rousev1.Event_Message{Message: m}}
	})
}

// reached is what one message to the whole group cost.
type reached struct {
	Reached
	cpu time.Duration // of the engine's process, for one push
}

// all measures one message to the whole group.
func (s *squad) all(ctx context.Context, coalesce bool) (x reached, err error) {
	if err := s.node.put(ctx, hmsCredential(&s.vendor, coalesce, anyRate)); err != nil {
		return x, err
	}
	// A few pushes bring the access token and the connections.
	if _, err := s.reach(ctx, min(s.users, 4*fewStreams)); err != nil {
		return x, err
	}
	var before, after time.Duration
	if err := s.node.call("Settled", Nothing{}, &before); err != nil {
		return x, err
	}
	if x.Reached, err = s.reach(ctx, s.users); err != nil {
		return x, err
	}
	err = s.node.call("Settled", Nothing{}, &after)
	x.cpu = (after - before) / time.Duration(s.users)
	return x, err
}

// reach sends one message and waits until the vendor has a push for each user.
func (s *squad) reach(ctx context.Context, users int) (x Reached, err error) {
	if err := s.fake.call("Begin", Nothing{}, &Nothing{}); err != nil {
		return x, err
	}
	if err := s.message(ctx, users); err != nil {
		return x, err
	}
	err = s.fake.call("Reached", users, &x)
	return x, err
}

// groups: a message to a large group, with many tokens in a call and with one.
func groups(ctx context.Context, r *runner) (err error) {
	s, err := r.startSquad(ctx, r.Size.Group, unlimited)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.stop()) }()
	if err := r.record(s.node.child, "coalesce"); err != nil {
		return err
	}
	for _, latency := range []time.Duration{vendorLatency, 0} {
		if err := s.fake.call("Delay", latency, &Nothing{}); err != nil {
			return err
		}
		var one, many, cpuOne, cpuMany, size, ratio []float64
		for range r.Size.Rounds {
			o, err := s.all(ctx, false)
			if err != nil {
				return err
			}
			m, err := s.all(ctx, true)
			if err != nil {
				return err
			}
			one, many, ratio = append(one, o.PerSecond), append(many, m.PerSecond), append(ratio, m.PerSecond/o.PerSecond)
			cpuOne, cpuMany, size = append(cpuOne, micros(o.cpu)), append(cpuMany, micros(m.cpu)), append(size, m.PerRequest)
		}
		var goal *Reach
		if latency > 0 {
			goal = atLeast(20)
		}
		at := fmt.Sprintf("vendor of %d ms, ", latency.Milliseconds())
		r.median("coalesce", at+"one token per call: pushes", one, "/s", nil)
		r.median("coalesce", at+"coalesced: pushes", many, "/s", nil)
		r.median("coalesce", at+"coalesced ÷ one token per call", ratio, "", goal)
		r.median("coalesce", at+"coalesced: tokens of a call", size, "", nil)
		r.median("coalesce", at+"one token per call: CPU of a push", cpuOne, "µs", nil)
		r.median("coalesce", at+"coalesced: CPU of a push", cpuMany, "µs", nil)
	}
	return nil
}
