package main

import (
	"errors"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/rpc"
)

type eraseVerb struct {
	remote
	User string `arg:""`
	Yes  bool   `help:"Do it; there is no way back."`
}

// Help teaches by example.
func (*eraseVerb) Help() string {
	return `Devices, tokens, counts and outcomes of the user go, and his queued pushes are cancelled.

Examples:

    rouse erase --app chat ann --yes`
}

// Run erases the user.
func (v *eraseVerb) Run(c *call) error {
	if !v.Yes {
		return errors.New("nothing was erased: there is no way back; say --yes to do it")
	}
	return ask(c, &v.remote, func(s *rpc.Services) (*rousev1.EraseUserResponse, error) {
		return s.User.EraseUser(c.ctx, &rousev1.EraseUserRequest{UserId: v.User})
	}, func(*rousev1.EraseUserResponse) error { return c.say("erased all that was kept for %s", v.User) })
}
