package main

import (
	"fmt"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/rpc"
)

type appVerb struct {
	Create appCreate `cmd:"" help:"Create an app."`
	List   appList   `cmd:"" help:"List the apps that the key may see."`
}

type appCreate struct {
	remote
	ID       string        `arg:"" help:"Id of the app, 1-64 of A-Z a-z 0-9 . _ # -"`
	Name     string        `help:"Name for people."`
	Policy   string        `help:"Who is woken when a user has several devices: all-offline, any-offline, mobile-offline or away-delay." default:"all-offline" placeholder:"POLICY"`
	Delay    time.Duration `help:"Delay of the policy away-delay, 1s-1h." placeholder:"30s"`
	TTL      time.Duration `help:"How long pushes are wanted, 1s-672h." placeholder:"24h"`
	NoBadge  bool          `help:"Pushes carry no badge unless the message names one."`
	KeepSeen bool          `help:"Only a fetched event resets a device's offline count, connecting does not."`
}

// Help teaches by example.
func (*appCreate) Help() string {
	return `Examples:

    rouse app create chat
    rouse app create chat --name "Our chat" --policy away-delay --delay 20s`
}

// Run creates the app.
func (v *appCreate) Run(c *call) error {
	v.App = "" // it does not exist yet
	policy, err := rpc.Value[rousev1.MultiDevicePolicy](v.Policy)
	if err != nil {
		return fmt.Errorf("--policy: %w", err)
	}
	settings := &rousev1.AppSettings{DevicePolicy: &rousev1.DevicePolicy{Policy: policy}, ResetCountOnFetchOnly: v.KeepSeen}
	if v.Delay != 0 {
		settings.DevicePolicy.AwayDelay = durationpb.New(v.Delay)
	}
	if v.TTL != 0 {
		settings.DefaultTtl = durationpb.New(v.TTL)
	}
	if v.NoBadge {
		settings.BadgeMode = rousev1.BadgeMode_BADGE_MODE_NONE
	}
	return ask(c, &v.remote, func(s *rpc.Services) (*rousev1.CreateAppResponse, error) {
		return s.Admin.CreateApp(c.ctx, &rousev1.CreateAppRequest{AppId: v.ID, DisplayName: v.Name, Settings: settings})
	}, func(_ *rousev1.CreateAppResponse) error {
		return c.say("created the app %s; next: rouse credential put --app %s ...", v.ID, v.ID)
	})
}

type appList struct{ remote }

// Run lists apps.
func (v *appList) Run(c *call) error {
	return ask(c, &v.remote, func(s *rpc.Services) (*rousev1.ListAppsResponse, error) {
		return s.Admin.ListApps(c.ctx, &rousev1.ListAppsRequest{})
	}, func(r *rousev1.ListAppsResponse) error {
		var rows [][]string
		for _, a := range r.GetApps() {
			rows = append(rows, []string{a.GetAppId(), dash(a.GetDisplayName()), rpc.Word(a.GetSettings().GetDevicePolicy().GetPolicy()), at(a.GetCreatedAt())})
		}
		return c.table([]string{"APP", "NAME", "POLICY", "CREATED"}, rows)
	})
}
