package fleet

import (
	"bufio"
	"context"
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

const (
	// awayEach messages of awayBody bytes to each of awayUsers of a shard are about
	// 28 MiB of its log, which cuts the body to what the vendor takes; it keeps 16 MiB
	// for a replica that is away.
	awayEach, awayUsers = 4000, 3
	awayBody            = 4000
)

// TestAway keeps a node away for so long that the others have trimmed the logs of
// its shards: it comes back under traffic, gets whole shards, and then stands for
// another node that dies.
func TestAway(t *testing.T) {
	rare(t)
	w := three(t, 2, nil)
	l := w.busyWith(t, "awayload", 8)
	victim := w.busiest(t)
	rest := w.others(victim)
	if err := victim.Kill(); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	users := w.heavy(t, "longaway", rest[0])
	written := time.Since(began)
	sent := rest[0].metric(t, "rouse_replica_snapshots_total") + rest[1].metric(t, "rouse_replica_snapshots_total")

	began = time.Now()
	if err := victim.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	w.whole(t)
	until(t, 30*time.Second, "no replica lags", func() error { return rest[0].abreast(t.Context()) })
	whole := time.Since(began)
	sent = rest[0].metric(t, "rouse_replica_snapshots_total") + rest[1].metric(t, "rouse_replica_snapshots_total") - sent
	got := victim.metric(t, "rouse_replica_snapshot_received_bytes_total")
	t.Logf("%d messages written in %s while %s was away; whole %s after its start, of %.0f groups that it got as %.1f MiB",
		awayEach*len(users), written.Round(time.Millisecond), victim.Name, whole.Round(time.Millisecond), sent, got/(1<<20))
	if int(sent) < w.shards || got == 0 {
		t.Errorf("%.0f groups were sent whole, %.0f bytes received; the logs of all %d shards were to be trimmed", sent, got, w.shards)
	}
	l.more(t, 100)

	next := w.busiest(t)
	if next == victim {
		next = rest[0]
	}
	if err := next.Kill(); err != nil {
		t.Fatal(err)
	}
	w.served(t, victim)
	l.more(t, 100)
	l.end(t)
	l.verify(t, victim)
	for _, d := range w.others(next) {
		if err := eachOf(users, func(user string) error { return d.counts(t.Context(), user, awayEach) }); err != nil {
			t.Error(err)
		}
	}
}

// heavy writes long messages for users of each shard.
func (w *town) heavy(t *testing.T, prefix string, d *door) []string {
	t.Helper()
	users := w.everywhere(prefix, awayUsers)
	until(t, 10*time.Second, "phones", func() error { return d.offline(t.Context(), users) })
	until(t, 20*time.Second, "tokens", func() error { return d.bind(t.Context(), users) })
	random := make([]byte, awayBody*3/4)
	for n := 0; n < awayEach; n += 100 {
		r := &rousev1.IngestBatchRequest{}
		for i := range 100 {
			_, _ = rand.Read(random) // never fails
			for _, user := range users {
				m := message(fmt.Sprint(prefix, n+i), user)
				m.GetMessage().Content.Body = base64.StdEncoding.EncodeToString(random)
				r.Events = append(r.Events, m)
			}
		}
		until(t, 20*time.Second, "a batch", func() error { return d.takes(t.Context(), r) })
	}
	return users
}

// abreast wants every replica to have what is committed, but for what is under way.
func (d *door) abreast(ctx context.Context) error {
	s, err := d.status(ctx)
	for _, g := range s.GetGroups() {
		for _, r := range g.GetReplicas() {
			if r.GetSnapshot() || r.GetEntries() > 100 {
				err = fmt.Errorf("group %d: %v", g.GetGroup(), r)
			}
		}
	}
	return err
}

// takes wants all of a batch to be taken.
func (d *door) takes(ctx context.Context, r *rousev1.IngestBatchRequest) error {
	response, err := d.intake.IngestBatch(ctx, r)
	for _, item := range response.GetItems() {
		if item.GetError() != nil {
			err = fmt.Errorf("%v", item.GetError())
		}
	}
	return err
}

// metric is a number that a node tells of itself, which has no labels.
func (d *door) metric(t *testing.T, name string) float64 {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+d.HTTP()+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := d.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	for lines := bufio.NewScanner(response.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			n, err := strconv.ParseFloat(value, 64)
			if err != nil {
				t.Fatal(err)
			}
			return n
		}
	}
	t.Fatalf("%s tells no %s", d.Name, name)
	return 0
}
