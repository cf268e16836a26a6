package main

import (
	"fmt"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/rpc"
)

type keyVerb struct {
	Create keyCreate `cmd:"" help:"Create an API key; its secret is shown once."`
	List   keyList   `cmd:"" help:"List the keys of an app; without --app those of operators."`
	Revoke keyRevoke `cmd:"" help:"Revoke an API key."`
}

type keyCreate struct {
	remote
	Role string `arg:"" help:"What the key may do: intake (events and bindings), viewer (reads), admin (all of its app), operator (all of every app)."`
	Note string `help:"For people: who uses it."`
}

// Help teaches by example.
func (*keyCreate) Help() string {
	return `Examples:

    rouse key create intake --app chat --note "IM nodes"
    ROUSE_KEY=$(rouse key create intake --app chat --json | jq -r .secret)`
}

// Run creates the key.
func (v *keyCreate) Run(c *call) error {
	role, err := rpc.Value[rousev1.Role](v.Role)
	if err != nil {
		return fmt.Errorf("role: %w", err)
	}
	return ask(c, &v.remote, func(s *rpc.Services) (*rousev1.CreateApiKeyResponse, error) {
		return s.Admin.CreateApiKey(c.ctx, &rousev1.CreateApiKeyRequest{Role: role, Note: v.Note})
	}, func(r *rousev1.CreateApiKeyResponse) error {
		return c.say("%s\nThis is shown once: only a hash of it is kept.", r.GetSecret())
	})
}

type keyList struct{ remote }

// Run lists the public parts of keys.
func (v *keyList) Run(c *call) error {
	return ask(c, &v.remote, func(s *rpc.Services) (*rousev1.ListApiKeysResponse, error) {
		return s.Admin.ListApiKeys(c.ctx, &rousev1.ListApiKeysRequest{})
	}, func(r *rousev1.ListApiKeysResponse) error {
		var rows [][]string
		for _, k := range r.GetKeys() {
			rows = append(rows, []string{k.GetKeyId(), dash(k.GetAppId()), rpc.Word(k.GetRole()), dash(k.GetNote()), at(k.GetCreatedAt())})
		}
		return c.table([]string{"KEY", "APP", "ROLE", "NOTE", "CREATED"}, rows)
	})
}

type keyRevoke struct {
	remote
	ID string `arg:"" help:"Public part of the key, as key list shows it."`
}

// Run revokes the key.
func (v *keyRevoke) Run(c *call) error {
	return ask(c, &v.remote, func(s *rpc.Services) (*rousev1.RevokeApiKeyResponse, error) {
		return s.Admin.RevokeApiKey(c.ctx, &rousev1.RevokeApiKeyRequest{KeyId: v.ID})
	}, func(_ *rousev1.RevokeApiKeyResponse) error {
		return c.say("revoked the key %s", v.ID)
	})
}
