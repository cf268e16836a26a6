package courier

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-im/rouse/vendors/fake"
)

// meet runs f with a Client that reaches handler over TLS on pipes.
func meet(t *testing.T, handler http.HandlerFunc, o Options, f func(t *testing.T, c *Client)) {
	synctest.Test(t, func(t *testing.T) {
		ca, err := fake.NewCA()
		if err != nil {
			t.Fatal(err)
		}
		cert, err := ca.Server("127.0.0.1")
		if err != nil {
			t.Fatal(err)
		}
		l := fake.NewPipeListener()
		s := fake.NewServer(handler, &cert)
		go s.Serve(l) //nolint:errcheck // ends with Close
		o.CAPEM, o.DialContext = ca.PEM(), l.DialContext
		c, err := New(o)
		if err != nil {
			t.Fatal(err)
		}
		f(t, c)
		c.Close()
		_ = s.Close()
		synctest.Wait()
	})
}

const somewhere = "https://127.0.0.1/send/secret-token"

func TestPost(t *testing.T) {
	meet(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("Retry-After", "7")
		w.WriteHeader(http.StatusTooManyRequests)
		_, _ = w.Write(append([]byte(r.Method+" "+r.Header.Get("X-Kind")+" "), body...))
	}, Options{}, func(t *testing.T, c *Client) {
		a, err := c.Post(t.Context(), somewhere, http.Header{"X-Kind": {"im"}}, []byte("hello"))
		if err != nil || a.Status != 429 || string(a.Body) != "POST im hello" || a.RetryAfter != 7*time.Second {
			t.Errorf("%+v %v", a, err)
		}
	})
}

func TestAnswersAreBounded(t *testing.T) {
	meet(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(bytes.Repeat([]byte("x"), 10<<20)) },
		Options{}, func(t *testing.T, c *Client) {
			if a, err := c.Post(t.Context(), somewhere, nil, nil); err != nil || len(a.Body) != maxAnswer {
				t.Errorf("%d bytes, %v", len(a.Body), err)
			}
		})
}

func TestNoSecondRequest(t *testing.T) {
	var requests atomic.Int32
	meet(t, func(http.ResponseWriter, *http.Request) {
		requests.Add(1)
		panic(http.ErrAbortHandler)
	}, Options{}, func(t *testing.T, c *Client) {
		_, err := c.Post(t.Context(), somewhere, nil, []byte("x"))
		if err == nil || strings.Contains(err.Error(), "secret-token") {
			t.Errorf("error %v", err)
		}
		if n := requests.Load(); n != 1 {
			t.Errorf("%d requests", n)
		}
	})
}

func TestBoundInFlight(t *testing.T) {
	var open, peak atomic.Int32
	meet(t, func(http.ResponseWriter, *http.Request) {
		n := open.Add(1)
		for p := peak.Load(); n > p && !peak.CompareAndSwap(p, n); p = peak.Load() {
		}
		<-time.After(time.Second)
		open.Add(-1)
	}, Options{MaxInFlight: 4}, func(t *testing.T, c *Client) {
		var all sync.WaitGroup
		for range 16 {
			all.Go(func() {
				if _, err := c.Post(t.Context(), somewhere, nil, nil); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if peak.Load() != 4 {
			t.Errorf("%d requests at one time", peak.Load())
		}
	})
}

func TestDeadlineAndClose(t *testing.T) {
	meet(t, func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() }, Options{}, func(t *testing.T, c *Client) {
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := c.Post(ctx, somewhere, nil, nil); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("hanging vendor: %v", err)
		}
		ended := make(chan error, 1)
		go func() { _, err := c.Post(t.Context(), somewhere, nil, nil); ended <- err }()
		synctest.Wait()
		c.Close()
		if err := <-ended; !errors.Is(err, ErrClosed) {
			t.Errorf("under way at Close: %v", err)
		}
		if _, err := c.Post(t.Context(), somewhere, nil, nil); !errors.Is(err, ErrClosed) {
			t.Errorf("after Close: %v", err)
		}
	})
}

func FuzzRetryAfter(f *testing.F) {
	for _, s := range []string{"", "0", "-1", "1000000000000", "Mon, 23 Nov 2026 15:10:00 GMT", "junk", "9223372036854775808"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, header string) {
		if d := retryAfter(header, time.Unix(1795446600, 0)); d < 0 || d > maxRetryAfter {
			t.Errorf("%q: %v", header, d)
		}
	})
}
