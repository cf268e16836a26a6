package shard

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/cockroachdb/pebble/v2/vfs"

	"github.com/rouse-im/rouse/actors/user"
	"github.com/rouse-im/rouse/storage"
)

// A commit that takes too long is told of once, and the next one anew.
func TestSlowCommitIsToldOfOnce(t *testing.T) {
	var log bytes.Buffer
	a := &Actor{o: &Options{Logger: slog.New(slog.NewTextHandler(&log, nil))}, id: 7, term: 3}
	now := time.Date(2026, 11, 27, 0, 0, 0, 0, time.UTC)
	a.inFlight, a.began = []*user.Step{{}}, began{at: now}
	for range 3 {
		a.complain(now.Add(slowAfter - 1))
	}
	if log.Len() > 0 {
		t.Errorf("too early: %s", log.String())
	}
	for range 3 {
		a.complain(now.Add(slowAfter))
	}
	if n := strings.Count(log.String(), "stage=commit shard=7 term=3"); n != 1 || strings.Count(log.String(), "\n") != 1 {
		t.Errorf("it was told of %d times: %s", n, log.String())
	}
	a.began = began{at: now.Add(slowAfter)}
	a.complain(now.Add(2 * slowAfter))
	a.inFlight = nil
	a.complain(now.Add(4 * slowAfter))
	if n := strings.Count(log.String(), "\n"); n != 2 {
		t.Errorf("%d lines after the next one", n)
	}
}

// journal is a log that is read while it is written.
type journal struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.b.String()
}

// The reason why nothing is answered is told well before a gateway answers that
// nothing was, after 10 s.
func TestSlowCommitIsToldOfInTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &journal{}
		e := startEngine(t, vfs.NewMem(), func(_ *engine, o *Options) { o.Logger = slog.New(slog.NewTextHandler(log, nil)) })
		e.bind("ann", "phone", "aa")
		synctest.Wait()
		open := make(chan func(error), 1)
		e.hold(func(_ uint16, _ []storage.Mutation, done func(error)) { open <- done })
		replies, _ := e.route("ann", "m1")
		end := <-open
		for _, c := range []struct {
			wait time.Duration
			told bool
		}{{4 * time.Second, false}, {3 * time.Second, true}} {
			<-time.After(c.wait)
			synctest.Wait()
			if told := strings.Contains(log.String(), "stage=commit"); told != c.told {
				t.Errorf("after another %v: told %t, log %q", c.wait, told, log)
			}
		}
		e.held.Store(nil)
		end(storage.ErrBusy)
		<-replies
		e.stop()
	})
}
