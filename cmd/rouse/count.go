package main

import (
	"fmt"
	"maps"
	"slices"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/rpc"
)

type countVerb struct {
	remote
	User string `arg:""`
}

// Help teaches by example.
func (*countVerb) Help() string {
	return `Examples:

    rouse count --app chat ann`
}

// Run shows the offline counts.
func (v *countVerb) Run(c *call) error {
	return ask(c, &v.remote, func(s *rpc.Services) (*rousev1.GetOfflineCountResponse, error) {
		return s.User.GetOfflineCount(c.ctx, &rousev1.GetOfflineCountRequest{UserId: v.User})
	}, func(r *rousev1.GetOfflineCountResponse) error {
		var rows [][]string
		for _, device := range slices.Sorted(maps.Keys(r.GetByDevice())) {
			rows = append(rows, []string{device, fmt.Sprint(r.GetByDevice()[device])})
		}
		return c.table([]string{"DEVICE", "OFFLINE"}, rows)
	})
}
