package main

import (
	"bufio"
	"fmt"
	"strings"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/rpc"
)

type bindVerb struct {
	remote
	User     string `arg:""`
	Device   string `arg:"" help:"Id of the installation of the app."`
	Notifier string `arg:"" help:"Name of a credential of the app."`
	Token    string `arg:"" help:"Vendor's token; - reads it from standard input."`
	Platform string `help:"ios, android, harmony, desktop or web." placeholder:"PLATFORM"`
}

// Help teaches by example.
func (*bindVerb) Help() string {
	return `A token wakes one user: the newest bind takes it from any other user or device.

Examples:

    rouse bind --app chat ann phone android fcm-token-1
    pbpaste | rouse bind --app chat ann phone ios -`
}

// Run binds the token.
func (v *bindVerb) Run(c *call) error {
	platform, err := rpc.Value[rousev1.Platform](v.Platform)
	if err != nil {
		return fmt.Errorf("--platform: %w", err)
	}
	if v.Token == "-" {
		line, err := bufio.NewReader(c.in).ReadString('\n')
		if v.Token = strings.TrimSpace(line); v.Token == "" {
			return fmt.Errorf("no token on standard input: %w", err)
		}
	}
	return ask(c, &v.remote, func(s *rpc.Services) (*rousev1.BindTokenResponse, error) {
		return s.Device.BindToken(c.ctx, &rousev1.BindTokenRequest{
			UserId: v.User, DeviceId: v.Device, Notifier: v.Notifier, Token: v.Token, Device: &rousev1.DeviceInfo{Platform: platform},
		})
	}, func(r *rousev1.BindTokenResponse) error { return c.bindings(r.GetBindings()) })
}

// bindings shows what a device can be woken through.
func (c *call) bindings(all []*rousev1.Binding) error {
	var rows [][]string
	for _, b := range all {
		rows = append(rows, []string{b.GetNotifier(), "…" + b.GetTokenTail(), at(b.GetBoundAt()), rpc.Word(b.GetLastResult())})
	}
	return c.table([]string{"NOTIFIER", "TOKEN", "BOUND", "LAST RESULT"}, rows)
}
