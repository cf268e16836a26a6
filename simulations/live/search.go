package live

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"strings"

	"connectrpc.com/connect"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/rpc"
	"github.com/rouse-im/rouse/simulations"
	"github.com/rouse-im/rouse/simulations/checker"
)

// canaries are how many tokens, and how many texts, are looked for.
const canaries = 200

// search the servers' logs for what must not be in them.
func (s *stage) search(rec *recorder) error {
	tokens, texts := map[string]bool{}, map[string]bool{}
	for _, e := range rec.h.Events {
		if e.Token != "" && len(tokens) < canaries {
			tokens[e.Token] = true
		}
		if e.Text != "" && len(texts) < canaries {
			texts[e.Text] = true
		}
	}
	for _, n := range s.fleet.Nodes() {
		text, err := os.ReadFile(n.LogFile())
		if err != nil {
			return fmt.Errorf("live: %w", err)
		}
		for what, all := range map[string]map[string]bool{"a token": tokens, "a text": texts} {
			c := checker.Canary{What: what, Where: "the log of " + n.Name, Bytes: int64(len(text))}
			for t := range all {
				c.Found += bytes.Count(text, []byte(t))
			}
			rec.add(checker.Entry{Canary: &c})
		}
		if at := strings.Index(string(text), "panic:"); at >= 0 {
			return fmt.Errorf("live: %s ended with a panic: %.2000s", n.Name, text[at:])
		}
	}
	return nil
}

// probe asks for what must be refused: another app's users, and nonsense.
func (s *stage) probe(ctx context.Context, rec *recorder) {
	user := ""
	for _, e := range rec.h.Events {
		if e.Kind == simulations.Bind {
			user = e.User
			break
		}
	}
	d, err := s.other.Device.ListDevices(ctx, &rousev1.ListDevicesRequest{UserId: user})
	rec.add(checker.Entry{Access: &checker.Access{App: appID + "-other", Of: appID, What: "the devices of a user", Allowed: err == nil && len(d.GetDevices()) > 0}})
	o, err := s.other.User.ListOutcomes(ctx, &rousev1.ListOutcomesRequest{UserId: user})
	rec.add(checker.Entry{Access: &checker.Access{App: appID + "-other", Of: appID, What: "the outcomes of a user", Allowed: err == nil && len(o.GetOutcomes()) > 0}})
	admin := s.admin[0]
	for name, ask := range map[string]func() error{
		"a user without a name": func() error {
			_, err := admin.Device.ListDevices(ctx, &rousev1.ListDevicesRequest{})
			return err
		},
		"a token of 64 KiB": func() error {
			_, err := admin.Device.BindToken(ctx, &rousev1.BindTokenRequest{UserId: user, DeviceId: "d", Notifier: "ios", Token: strings.Repeat("a", 64<<10)})
			return err
		},
		"a user with a name of 1,000 bytes": func() error {
			_, err := admin.User.ListOutcomes(ctx, &rousev1.ListOutcomesRequest{UserId: strings.Repeat("a", 1000)})
			return err
		},
	} {
		before := s.refused(ctx)
		answer := "ok"
		if err := ask(); err != nil {
			answer = "crash"
			if connect.CodeOf(err) == connect.CodeInvalidArgument && rpc.Detail(err) != nil {
				answer = "typed-error"
			}
		}
		rec.add(checker.Entry{Probe: &checker.Probe{Name: name, Answer: answer, Counted: s.refused(ctx) > before}})
	}
}

// refused counts the calls that the first node refused.
func (s *stage) refused(ctx context.Context) (n float64) {
	for labels, v := range scrape(ctx, s.fleet.Node(0))["rouse_rpc_total"] {
		if strings.Contains(labels, "INVALID_ARGUMENT") || strings.Contains(labels, "invalid-argument") {
			n += v
		}
	}
	return n
}
