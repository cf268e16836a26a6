package main

import (
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/rpc"
)

type banVerb struct {
	remote
	User string `arg:""`
	Lift bool   `help:"Lift the ban."`
}

// Help teaches by example.
func (*banVerb) Help() string {
	return `A banned user is not woken; messages for him still count as offline ones, and his queued pushes are cancelled.

Examples:

    rouse ban --app chat mallory
    rouse ban --app chat mallory --lift`
}

// Run bans the user or lifts that.
func (v *banVerb) Run(c *call) error {
	return ask(c, &v.remote, func(s *rpc.Services) (*rousev1.BanUserResponse, error) {
		return s.User.BanUser(c.ctx, &rousev1.BanUserRequest{UserId: v.User, Banned: !v.Lift})
	}, func(*rousev1.BanUserResponse) error {
		if v.Lift {
			return c.say("%s may be woken again", v.User)
		}
		return c.say("%s is not woken any more", v.User)
	})
}
