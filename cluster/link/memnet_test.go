package link

import (
	"crypto/tls"
	"testing"
	"testing/synctest"
	"time"

	"github.com/rouse-im/rouse/cluster/memnet"
)

// Over a network with delay, and with TLS, faults are noticed as promised: a dead
// process at once, whatever else within the time of silence.
func TestFaultsOfANetwork(t *testing.T) {
	for name, secure := range map[string]bool{"plaintext": false, "TLS": true} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			synctest.Test(t, func(t *testing.T) {
				n := memnet.New(memnet.Options{Seed: 1})
				var w wires
				start := func(id uint64) *node {
					t.Helper()
					var config *tls.Config
					if secure {
						config = settings(t, dir, id)
					}
					h := n.Host(w.addr(id))
					ln, err := h.Listen(":7703")
					if err != nil {
						t.Fatal(err)
					}
					x := w.begin(t, id, func(o *Options) { o.Listener, o.Dial, o.TLS = ln, h.Dial, config })
					x.SetPeers(map[uint64]string{1: n.Host("n1").Addr(7703), 2: n.Host("n2").Addr(7703)})
					return x
				}
				a, b := start(1), start(2)
				soon := 300 * time.Millisecond
				wait(soon)
				expect(t, "a, begin", a.told(), "up2")
				expect(t, "b, begin", b.told(), "up1")

				n.Cut("n1", "n2") // one direction
				wait(silence + soon)
				expect(t, "a, cut", a.told(), "down2")
				expect(t, "b, cut", b.told(), "down1")
				n.Heal()
				wait(handshake + longestPause + soon)
				expect(t, "a, healed", a.told(), "up2")
				expect(t, "b, healed", b.told(), "up1")

				n.Crash("n2")
				wait(soon)
				expect(t, "a, crash", a.told(), "down2")
				stop(t, b)
				b = start(2)
				wait(longestPause + soon)
				expect(t, "a, restart", a.told(), "up2")
				if err := a.Send(2, []byte("x")); err != nil {
					t.Error(err)
				}
				wait(soon)
				expect(t, "b, restart", b.got(), "1:x")
				stop(t, a, b)
			})
		})
	}
}
