package app

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/rouse-im/rouse/vendors/fake"
)

// What a push waits from its event to its vendor, alone and while receipts of
// one credential come in: at the rate that is taken, and at ten times that.
// Clients, vendor and server share the machine.
func BenchmarkPushUnderReceipts(b *testing.B) {
	const users, batch = 100, 100
	pushed := make(chan fake.XiaomiPush, 1000)
	r := newReported(b, func(o *fake.XiaomiOptions) {
		o.Receipts = fake.ReceiptOptions{}
		o.OnPush = func(p fake.XiaomiPush) { pushed <- p }
	})
	token := func(i int) string { return fmt.Sprintf("bench-token-%032d", i) }
	var all []fake.XiaomiPush
	for i := range users {
		user := fmt.Sprint("u", i)
		r.bind(user, "phone", token(i))
		r.push(user, "first")
		all = append(all, <-pushed)
	}
	at := "http://" + r.node.HTTPAddr() + r.path()
	for _, perSecond := range []int{0, 5_000, 50_000} {
		b.Run(fmt.Sprint("receipts/s=", perSecond), func(b *testing.B) {
			stop := make(chan struct{})
			var taken, refused atomic.Int64
			var posts sync.WaitGroup
			posts.Go(func() {
				if perSecond == 0 {
					return
				}
				tick := time.NewTicker(time.Second * batch / time.Duration(perSecond))
				defer tick.Stop()
				for n := 0; ; n++ {
					select {
					case <-stop:
						return
					case <-tick.C:
					}
					p := all[n%users]
					body := url.Values{"data": {fmt.Sprintf(`{%q:{"param":%q,"type":1,"targets":"%s"}}`, p.ID, p.PushID, strings.Repeat(p.Token+",", batch-1)+p.Token)}}
					posts.Go(func() {
						resp, err := http.Post(at, "application/x-www-form-urlencoded", strings.NewReader(body.Encode()))
						if err != nil {
							return
						}
						_ = resp.Body.Close()
						if resp.StatusCode == http.StatusOK {
							taken.Add(batch)
						} else {
							refused.Add(batch)
						}
					})
				}
			})
			var took []time.Duration
			start := time.Now()
			for b.Loop() {
				user := len(took) % users
				before := time.Now()
				r.push(fmt.Sprint("u", user), fmt.Sprint(perSecond, "-", b.N, "-", len(took)))
				<-pushed
				took = append(took, time.Since(before))
			}
			seconds := time.Since(start).Seconds()
			close(stop)
			posts.Wait()
			slices.Sort(took)
			b.ReportMetric(float64(took[len(took)/2].Microseconds())/1000, "p50-ms")
			b.ReportMetric(float64(took[len(took)*99/100].Microseconds())/1000, "p99-ms")
			b.ReportMetric(float64(taken.Load())/seconds, "taken/s")
			b.ReportMetric(float64(refused.Load())/seconds, "refused/s")
		})
	}
	r.stop()
}
