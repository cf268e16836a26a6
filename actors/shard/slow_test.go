package shard

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/rouse-im/rouse/actors/user"
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
