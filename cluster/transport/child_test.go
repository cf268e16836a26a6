package transport

import (
	"bufio"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/asynkron/protoactor-go/actor"
	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/cluster/certs"
)

// A node of these tests is a process of its own: an attack may end it, and each
// transport sets gRPC's log of its whole process.
func TestMain(m *testing.M) {
	if os.Getenv("TRANSPORT_DIR") != "" {
		if err := child(); err != nil {
			fmt.Println("failed", err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	goleak.VerifyTestMain(m)
}

// said keeps the lines of actors apart.
var said sync.Mutex

func say(format string, args ...any) {
	said.Lock()
	defer said.Unlock()
	fmt.Fprintf(os.Stdout, format+"\n", args...)
}

// newer is set in the build of the next release: it sends what this one does not
// know.
var newer func(sys *actor.ActorSystem, to *actor.PID)

// child serves one node and does what its standard input says:
//
//	ask ADDRESS TARGET APP USER LIMIT   one request
//	flood ADDRESS N SIZE                N requests of SIZE bytes; counts the answers
//	outrun ADDRESS N                    N requests that have no answer; says whether the last left before one came back
//	newer ADDRESS                       a message of the next release
//	stats                               metrics
//	drop ADDRESS                        Disconnect
//	close
func child() error {
	dir, name := os.Getenv("TRANSPORT_DIR"), os.Getenv("TRANSPORT_NAME")
	id, err := certs.LoadIMNode(dir)
	if name != "" {
		id, err = certs.Load(dir, name)
	}
	if err != nil {
		return err
	}
	sys := actor.NewActorSystem(actor.WithLoggerFactory(func(*actor.ActorSystem) *slog.Logger { return slog.New(slog.DiscardHandler) }))
	metrics := prometheus.NewRegistry()
	r, err := Start(sys, Options{
		Listen: os.Getenv("TRANSPORT_LISTEN"), Identity: id, Metrics: metrics,
		Target: func(id string) bool { return strings.HasPrefix(id, "shard-") || strings.HasPrefix(id, "future") },
		Member: func(a string) bool { return a == "member:1" },
		Logger: slog.New(slog.NewTextHandler(os.Stderr, nil)),
	})
	if err != nil {
		return err
	}
	for _, a := range []string{"shard-1", "secret"} {
		if _, err := sys.Root.SpawnNamed(actor.PropsFromFunc(serveShard), a); err != nil {
			return err
		}
	}
	say("ready %s", r.Address())
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		obey(sys, r, metrics, strings.Fields(in.Text()))
	}
	return nil
}

func serveShard(c actor.Context) {
	switch m := c.Message().(type) {
	case *actor.Started, *actor.Restarting:
	case *actor.Stopping, *actor.Stopped:
		say("stopped %s", c.Self().GetId())
	case *actorv1.Ask:
		say("got %s %s %s", c.Self().GetId(), m.GetApp(), m.GetUser())
		if c.Sender() != nil {
			c.Respond(&actorv1.Answer{Id: m.GetId(), Status: rousev1.ItemStatus_ITEM_STATUS_ACCEPTED})
		}
	default:
		say("reached %s %T", c.Self().GetId(), m)
	}
}

func obey(sys *actor.ActorSystem, r *Remote, metrics *prometheus.Registry, do []string) {
	switch do[0] {
	case "ask":
		limit, _ := time.ParseDuration(do[5])
		began := time.Now()
		ask := &actorv1.Ask{Id: 7, App: do[3], User: do[4], Body: &actorv1.Ask_Command{Command: &actorv1.Command{Type: "x"}}}
		res, err := sys.Root.RequestFuture(actor.NewPID(do[1], do[2]), ask, limit).Result()
		if a, ok := res.(*actorv1.Answer); ok && a.GetId() == 7 {
			say("answered %d", time.Since(began).Milliseconds())
			return
		}
		say("unanswered %v after %d", err, time.Since(began).Milliseconds())
	case "flood":
		flood(sys, do[1], do[2], do[3])
	case "outrun":
		outrun(sys, do[1], do[2])
	case "newer":
		if newer == nil {
			say("failed: this is not the next release")
			return
		}
		newer(sys, actor.NewPID(do[1], "shard-1"))
		say("sent")
	case "drop":
		r.Disconnect(do[1])
		say("dropped")
	case "stats":
		stats(metrics)
	case "close":
		r.Close()
		r.Close() // does nothing
		say("closed")
		os.Exit(0)
	}
}

func flood(sys *actor.ActorSystem, address, n, size string) {
	count, _ := strconv.Atoi(n)
	length, _ := strconv.Atoi(size)
	body := &actorv1.Ask_Command{Command: &actorv1.Command{Type: "x", Body: make([]byte, length)}}
	var futures []*actor.Future
	for i := range count {
		ask := &actorv1.Ask{Id: uint64(i), App: "chat", User: "flood", Body: body}
		futures = append(futures, sys.Root.RequestFuture(actor.NewPID(address, "shard-1"), ask, 20*time.Second))
	}
	answered, dead := 0, 0
	for _, f := range futures {
		switch res, err := f.Result(); {
		case res != nil:
			answered++
		case err == actor.ErrDeadLetter:
			dead++
		}
	}
	say("flooded %d %d", answered, dead)
}

func outrun(sys *actor.ActorSystem, address, n string) {
	count, _ := strconv.Atoi(n)
	back := make(chan struct{}, count)
	sender := sys.Root.Spawn(actor.PropsFromFunc(func(c actor.Context) {
		if _, ok := c.Message().(*actor.DeadLetterResponse); ok {
			back <- struct{}{}
		}
	}))
	for i := range count {
		sys.Root.RequestWithCustomSender(actor.NewPID(address, "shard-1"), &actorv1.Ask{Id: uint64(i)}, sender)
	}
	before := len(back) == 0
	<-back // so nobody took them
	say("outrun %t", before)
}

func stats(metrics *prometheus.Registry) {
	families, _ := metrics.Gather()
	for _, f := range families {
		for _, m := range f.GetMetric() {
			label := ""
			for _, l := range m.GetLabel() {
				label = l.GetValue()
			}
			say("stat %s %s %v", strings.TrimSuffix(strings.TrimPrefix(f.GetName(), "rouse_transport_"), "_total"), label, m.GetCounter().GetValue()+m.GetGauge().GetValue())
		}
	}
	say("end")
}
