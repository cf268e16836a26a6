package shard

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rouse-im/rouse/storage"
	"github.com/rouse-im/rouse/vendors"
)

// While the log takes nothing, what has to be written is tried again with pauses,
// and no push is sent again and again.
func TestLogTakesNothing(t *testing.T) {
	for _, why := range []error{storage.ErrDropped, storage.ErrBusy, storage.ErrTooLarge} {
		t.Run(why.Error(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := startEngine(t, vfs.NewMem(), nil)
				e.bind("ann", "phone", "aa")
				synctest.Wait()
				var proposals atomic.Int32
				e.vendor.script(func(*vendors.Notification) (vendors.Result, error) {
					e.hold(func(_ uint16, _ []storage.Mutation, done func(error)) {
						if proposals.Add(1) > 10_000 {
							return // the test shall end
						}
						done(fmt.Errorf("group 1: %w", why))
					})
					return vendors.Result{Outcome: vendors.Accepted}, nil
				})
				e.must("ann", event("m1"))
				<-time.After(time.Minute)
				if n, p := proposals.Load(), len(e.vendor.pushes()); n > 20 || p > 20 {
					t.Errorf("%d proposals and %d pushes in a minute", n, p)
				}
				e.vendor.script(nil)
				e.held.Store(nil)
				<-time.After(longestPause)
				check(t, e.outcomes("ann"), map[string]string{"m1/phone": "ACCEPTED DELIVERED_TO_VENDOR"})
				e.stop()
			})
		})
	}
}

// A drain ends when the last commit does, however that ends, and no later than its
// caller waits; the shard takes nothing new from then on.
func TestDrainWhileTheLogTakesNothing(t *testing.T) {
	for _, why := range []error{storage.ErrDropped, storage.ErrBusy, storage.ErrUnknown} {
		t.Run(why.Error(), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				e := startEngine(t, vfs.NewMem(), nil)
				e.bind("ann", "phone", "aa")
				synctest.Wait()
				held := make(chan func(error), 100)
				e.hold(func(_ uint16, _ []storage.Mutation, done func(error)) { held <- done })
				replies, back := e.route("ann", "m1")
				synctest.Wait()
				drained := make(chan error, 3)
				drain := func(limit time.Duration) {
					ctx, cancel := context.WithTimeout(t.Context(), limit)
					defer cancel()
					drained <- e.set.Drain(ctx)
				}
				go drain(time.Second)
				<-time.After(2 * time.Second)
				if err := <-drained; !errors.Is(err, context.DeadlineExceeded) {
					t.Errorf("a drain ended with %v before the commit did", err)
				}
				for range 2 {
					go drain(time.Minute)
				}
				synctest.Wait()
				e.hold(func(_ uint16, _ []storage.Mutation, done func(error)) { done(why) })
				start := time.Now()
				(<-held)(why)
				for range 2 {
					if err := <-drained; err != nil || time.Since(start) > 0 {
						t.Errorf("%v after %v", err, time.Since(start))
					}
				}
				if len(replies)+len(back) != 1 {
					t.Errorf("%d replies, given back %d times", len(replies), len(back))
				}
				<-time.After(5 * time.Second)
				replies, back = e.route("ann", "m2")
				wantBack(t, "after the drain", replies, back)
				e.held.Store(nil)
				e.stop()
			})
		})
	}
}
