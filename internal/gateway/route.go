package gateway

import (
	"encoding/json"
	"slices"

	"google.golang.org/protobuf/reflect/protoreflect"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// mayRoute refuses a credential that leads to other addresses than its vendor's,
// or trusts other roots, unless an operator puts it or has put it before with
// the same ones: this server can reach networks that the app's admins cannot,
// and the answers of a validation are shown.
func (s *admin) mayRoute(who caller, app string, c *rousev1.Credential) error {
	if who.Role == rousev1.Role_ROLE_OPERATOR {
		return nil
	}
	var stored []string
	if known, ok := s.Catalog.App(app); ok {
		old, _ := known.Credential(c.GetName())
		stored = routes(old)
	}
	for _, r := range routes(c) {
		if !slices.Contains(stored, r) {
			return refuse(rousev1.ErrorCode_ERROR_CODE_PERMISSION_DENIED, "credential %q: only an operator key may set endpoint, auth_endpoint, overseas_endpoint, ca_pem or a token_uri that is not Google's; leave them out, or ask an operator", c.GetName())
		}
	}
	return nil
}

// routeFields are those of a vendor's credential that lead its calls elsewhere.
var routeFields = []protoreflect.Name{"endpoint", "auth_endpoint", "overseas_endpoint", "ca_pem"}

// googleTokens are the token_uri of files that Google issues.
var googleTokens = []string{"https://oauth2.googleapis.com/token", "https://accounts.google.com/o/oauth2/token"}

// routes are where the calls of a credential go instead of to the vendor, each
// with the name of its field.
func routes(c *rousev1.Credential) (all []string) {
	m := c.ProtoReflect()
	vendor := m.WhichOneof(m.Descriptor().Oneofs().ByName("vendor"))
	if vendor == nil {
		return nil
	}
	m = m.Get(vendor).Message()
	for _, name := range routeFields {
		if f := m.Descriptor().Fields().ByName(name); f != nil && m.Get(f).String() != "" {
			all = append(all, string(name)+" "+m.Get(f).String())
		}
	}
	// Huawei's file has a token_uri too, which is signed and not called.
	var file struct {
		TokenURI string `json:"token_uri"`
	}
	if err := json.Unmarshal([]byte(c.GetFcm().GetServiceAccountJson()), &file); err != nil || file.TokenURI == "" {
		return all // what is no file is refused by its vendor's check
	}
	if !slices.Contains(googleTokens, file.TokenURI) {
		all = append(all, "token_uri "+file.TokenURI)
	}
	return all
}
