package gateway

import (
	"context"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// mayBan refuses all but operators to change whether a credential is banned.
// Deleting it would lift the ban, too.
func (s *admin) mayBan(ctx context.Context, app, name string, banned bool) error {
	if callerOf(ctx).Role == rousev1.Role_ROLE_OPERATOR {
		return nil
	}
	was := false
	if a, ok := s.Catalog.App(app); ok {
		if c, ok := a.Credential(name); ok {
			was = c.GetBanned()
		}
	}
	if was != banned {
		return refuse(rousev1.ErrorCode_ERROR_CODE_PERMISSION_DENIED, "credential %q: only an operator key may ban it, lift its ban or delete it while banned", name)
	}
	return nil
}
