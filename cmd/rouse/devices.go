package main

import (
	"fmt"
	"strings"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/rpc"
)

type devicesVerb struct {
	remote
	User string `arg:""`
}

// Help teaches by example.
func (*devicesVerb) Help() string {
	return `ONLINE is yes when the state says so and the IM node that owns the session is alive.

Examples:

    rouse devices --app chat ann`
}

// Run shows the devices.
func (v *devicesVerb) Run(c *call) error {
	return ask(c, &v.remote, func(s *rpc.Services) (*rousev1.ListDevicesResponse, error) {
		return s.Device.ListDevices(c.ctx, &rousev1.ListDevicesRequest{UserId: v.User})
	}, func(r *rousev1.ListDevicesResponse) error {
		var rows [][]string
		for _, d := range r.GetDevices() {
			online := "no"
			if d.GetOnline() {
				online = "yes"
			}
			var through []string
			for _, b := range d.GetBindings() {
				through = append(through, b.GetNotifier())
			}
			rows = append(rows, []string{
				d.GetDeviceId(), rpc.Word(d.GetInfo().GetPlatform()), rpc.Word(d.GetState()), online, dash(d.GetNode()),
				fmt.Sprintf("%d.%d", d.GetSession(), d.GetStep()), fmt.Sprint(d.GetOfflineCount()), dash(strings.Join(through, ",")), at(d.GetLastSeenAt()),
			})
		}
		return c.table([]string{"DEVICE", "PLATFORM", "STATE", "ONLINE", "IM NODE", "SESSION", "OFFLINE", "NOTIFIERS", "LAST SEEN"}, rows)
	})
}
