package link

import (
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func takeBulk(conns chan net.Conn) func(*Options) {
	return func(o *Options) {
		o.Bulk = func(_ uint64, c net.Conn) { conns <- c }
	}
}

func TestBulk(t *testing.T) {
	bubble(t, func(t *testing.T, w *wires) {
		conns := make(chan net.Conn, bulks)
		a, b := w.pair(t, takeBulk(conns))
		defer stop(t, a, b)
		c, err := a.Open(t.Context(), 2)
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			_, _ = io.WriteString(c, strings.Repeat("data", 1<<18))
			wait(time.Hour) // deadlines are the users' own
			_, _ = io.WriteString(c, "end")
			c.Close()
		}()
		in := <-conns
		got, err := io.ReadAll(in)
		in.Close()
		if err != nil || len(got) != 4<<18+3 {
			t.Errorf("%d bytes, %v", len(got), err)
		}
		expect(t, "a", a.told(), "up2")
	})
}

// More than four at once are refused, and a place is free when one is closed.
func TestBulkIsBounded(t *testing.T) {
	bubble(t, func(t *testing.T, w *wires) {
		conns := make(chan net.Conn, bulks)
		a, b := w.pair(t, takeBulk(conns))
		defer stop(t, a, b)
		var open []net.Conn
		for range bulks {
			c, err := a.Open(t.Context(), 2)
			if err != nil {
				t.Fatal(err)
			}
			open = append(open, c)
		}
		if _, err := a.Open(t.Context(), 2); err == nil || !strings.Contains(err.Error(), "too many") {
			t.Errorf("one more: %v", err)
		}
		(<-conns).Close()
		synctest.Wait()
		c, err := a.Open(t.Context(), 2)
		if err != nil {
			t.Fatalf("after one was closed: %v", err)
		}
		for _, c := range append(open, c) {
			c.Close()
		}
	})
}

func TestBulkEndsWithItsPeer(t *testing.T) {
	bubble(t, func(t *testing.T, w *wires) {
		conns := make(chan net.Conn, bulks)
		a, b := w.pair(t, takeBulk(conns))
		defer stop(t, a, b)
		c, err := a.Open(t.Context(), 2)
		if err != nil {
			t.Fatal(err)
		}
		in := <-conns
		b.SetPeers(nil)
		if _, err := c.Read(make([]byte, 1)); err == nil {
			t.Error("the opener's end is open")
		}
		if _, err := in.Read(make([]byte, 1)); err == nil {
			t.Error("the other end is open")
		}
		c.Close()
		if err := in.Close(); err != nil && !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
	})
}

func TestNoBulkTaken(t *testing.T) {
	bubble(t, func(t *testing.T, w *wires) {
		a, b := w.pair(t)
		defer stop(t, a, b)
		if _, err := a.Open(t.Context(), 2); err == nil {
			t.Error("opened")
		}
	})
}
