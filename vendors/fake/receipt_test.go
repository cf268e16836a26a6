package fake

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// postbox keeps what a fake posts: "second url: tokens".
type postbox struct {
	start  time.Time
	got    []string
	status int
	hang   bool
}

func (p *postbox) RoundTrip(r *http.Request) (*http.Response, error) {
	if p.hang {
		<-r.Context().Done()
		return nil, r.Context().Err()
	}
	body, _ := io.ReadAll(r.Body) // of bytes
	p.got = append(p.got, time.Since(p.start).String()+" "+r.URL.Path+": "+string(body))
	return &http.Response{StatusCode: p.status, Body: http.NoBody}, nil
}

// newTestReceipts writes bodies of "token=code" joined by blanks.
func newTestReceipts(o ReceiptOptions) (*Receipts, *postbox) {
	p := &postbox{start: time.Now(), status: http.StatusOK}
	o.Transport = p
	return newReceipts(o, receiptForm{
		delivered: "ok", clicked: "tap", invalid: "dead", muted: "muted", quota: "quota", expired: "old", keyed: true,
		write: func(batch []report, _ http.Header, _ time.Time) []byte {
			var all []string
			for _, one := range batch {
				text := one.token + "=" + one.code + one.newToken
				if one.forged {
					text += "!"
				}
				all = append(all, text)
			}
			return []byte(strings.Join(all, " "))
		},
	}), p
}

// in is a push that is wanted for an hour.
func in(url, token string) sent {
	return sent{url: "https://a.test/" + url, token: token, message: "m-" + token, expires: time.Now().Add(time.Hour)}
}

type receiptCase struct {
	name    string
	options ReceiptOptions
	run     func(r *Receipts)
	want    []string
	tally   ReceiptTally
}

func checkReceipts(t *testing.T, cases []receiptCase) {
	for _, tt := range cases {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, box := newTestReceipts(tt.options)
				tt.run(r)
				<-time.After(24 * time.Hour)
				r.close()
				if diff := cmp.Diff(tt.want, box.got); diff != "" {
					t.Error(diff)
				}
				if diff := cmp.Diff(tt.tally, r.Stats()); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

func TestReceiptRequests(t *testing.T) {
	checkReceipts(t, []receiptCase{
		{
			name: "gathered by address", options: ReceiptOptions{Batch: 2},
			run: func(r *Receipts) {
				for _, s := range []sent{in("x", "1"), in("y", "2"), in("x", "3"), in("x", "4"), {token: "5"}} {
					r.taken(s)
					<-time.After(100 * time.Millisecond)
				}
			},
			// The first is due after one second, the others within the next.
			want:  []string{"1s /x: 1=ok", "2s /y: 2=ok", "2s /x: 3=ok 4=ok"},
			tally: ReceiptTally{Requests: 3, Receipts: 4},
		},
		{
			name: "bounded requests", options: ReceiptOptions{Batch: 2, Delay: 3 * time.Second},
			run: func(r *Receipts) {
				for _, token := range []string{"1", "2", "3"} {
					r.taken(in("x", token))
				}
			},
			want:  []string{"3s /x: 1=ok 2=ok", "3s /x: 3=ok"},
			tally: ReceiptTally{Requests: 2, Receipts: 3},
		},
		{
			name: "one code of a message in a request",
			run: func(r *Receipts) {
				r.taken(in("x", "1"))
				r.Click("1")
				r.Click("2")
			},
			want:  []string{"1s /x: 1=ok", "1s /x: 1=tap"},
			tally: ReceiptTally{Requests: 2, Receipts: 2},
		},
	})
}

func TestReceiptDevices(t *testing.T) {
	checkReceipts(t, []receiptCase{
		{
			name: "states",
			run: func(r *Receipts) {
				r.Replace("2", "9")
				r.SetDevice("3", Muted)
				r.SetDevice("4", Inactive) // which this vendor does not tell
				r.SetDevice("5", Offline)
				r.SetDevice("6", Offline)
				for _, token := range []string{"1", "2", "3", "4", "5"} {
					r.taken(in("x", token))
				}
				now := in("x", "6")
				now.expires = time.Time{}
				r.taken(now)
				<-time.After(2 * time.Hour)
				r.SetDevice("5", Online)
			},
			want:  []string{"1s /x: 1=ok 2=dead9 3=muted 6=old", "2h0m1s /x: 5=old"},
			tally: ReceiptTally{Requests: 2, Receipts: 5},
		},
		{
			name: "bounded waiting", options: ReceiptOptions{Waiting: 3},
			run: func(r *Receipts) {
				r.SetDevice("1", Offline)
				for _, token := range []string{"1", "1", "2", "3", "1"} {
					r.taken(in("x", token))
				}
				<-time.After(time.Minute)
				r.SetDevice("1", Muted)
			},
			want:  []string{"1s /x: 2=ok", "1m1s /x: 1=muted 1=muted"},
			tally: ReceiptTally{Requests: 2, Receipts: 3, Lost: 2},
		},
		{
			name: "a day's quota", options: ReceiptOptions{PerDevice: 1},
			run: func(r *Receipts) {
				r.taken(in("x", "1"))
				r.taken(in("y", "1"))
				<-time.After(16 * time.Hour) // the bubble starts at 8:00 in Shanghai
				r.taken(in("x", "1"))
			},
			want:  []string{"1s /x: 1=ok", "1s /y: 1=quota", "16h0m1s /x: 1=ok"},
			tally: ReceiptTally{Requests: 3, Receipts: 3},
		},
		{
			name: "faults",
			run: func(r *Receipts) {
				r.Script(
					ReceiptFault{Kind: ReceiptLate, Delay: 5 * time.Second, Times: 1, Token: "1"},
					ReceiptFault{Kind: ReceiptLost, Times: 1}, ReceiptFault{Kind: ReceiptTwice, Delay: time.Minute, Times: 1},
					ReceiptFault{Kind: ReceiptForged},
				)
				for _, token := range []string{"1", "2", "3", "4"} {
					r.taken(in("x", token))
				}
				r.Clear()
				r.taken(in("x", "5"))
			},
			want:  []string{"1s /x: 3=ok 5=ok", "1s /x: 4=ok!", "6s /x: 1=ok", "1m1s /x: 3=ok"},
			tally: ReceiptTally{Requests: 4, Receipts: 5, Lost: 1},
		},
		{
			name: "only what was asked for",
			run: func(r *Receipts) {
				s := in("x", "1")
				s.wants = func(code string) bool { return code == "tap" }
				r.taken(s)
				r.Click("1")
			},
			want:  []string{"1s /x: 1=tap"},
			tally: ReceiptTally{Requests: 1, Receipts: 1},
		},
	})
}

// A request that fails is not repeated, and one under way ends with the fake.
func TestReceiptsFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, box := newTestReceipts(ReceiptOptions{})
		push := sent{url: "https://a.test/x", token: "1", expires: time.Now().Add(time.Hour)}
		box.status = http.StatusServiceUnavailable
		r.taken(push)
		<-time.After(time.Minute)
		synctest.Wait()
		box.hang = true
		r.taken(push)
		<-time.After(time.Minute)
		r.taken(push)
		<-time.After(2 * time.Second)
		start := time.Now()
		r.close()
		r.taken(push)
		want := ReceiptTally{Failed: 3, Lost: 1}
		if got := r.Stats(); got != want || time.Since(start) != 0 {
			t.Errorf("got %+v after %v", got, time.Since(start))
		}
	})
}

// The types that clients ask Xiaomi for: 246 has an unknown one.
func TestReceiptTypes(t *testing.T) {
	for sum, codes := range map[string]string{
		"3": "1 2", "177": "1 16/1 32 128", "1201": "1 16/1 32 128 1024", "243": "1 2 16/1 32 64 128", "246": "", "0": "", "-1": "", "x": "",
	} {
		wants, ok := typesOf(sum, xiaomiReceiptTypes)
		var got []string
		for code := range strings.FieldsSeq("1 2 16/1 32 64 128 1024") {
			if ok && wants(code) {
				got = append(got, code)
			}
		}
		if strings.Join(got, " ") != codes || ok != (codes != "") {
			t.Errorf("%s: got %v", sum, got)
		}
	}
}
