package gateway

import (
	"context"
	"strings"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/catalog"
)

// Headers of every call, as gRPC metadata or HTTP headers.
const (
	authorizationHeader = "authorization" // "Bearer rk_…"
	// appHeader names the app that an operator key acts for; other keys have
	// their own and may name no other.
	appHeader = "rouse-app"
	// repeatHeader is the same in all attempts of a call that changes a user, by way of
	// whatever nodes, and another one in each other call of that kind about him.
	repeatHeader = "idempotency-key"
)

// maxRepeatKey bounds an idempotency key, in bytes.
const maxRepeatKey = 256

// headers of a call that are looked at.
type headers struct {
	authorization, app, repeat string
}

// read them with get, which returns the first value of a name.
func read(get func(name string) string) headers {
	return headers{get(authorizationHeader), get(appHeader), get(repeatHeader)}
}

// caller is who makes a call, and for which app.
type caller struct {
	catalog.Principal
	// app is the key's, or the one that an operator named; else empty.
	app string
	// repeat is the call's idempotency key; empty = it has none.
	repeat string
}

type callerKey struct{}

func callerOf(ctx context.Context) caller {
	who, _ := ctx.Value(callerKey{}).(caller)
	return who
}

// admit decides whether a call may be made at all, before its body is looked
// at: known method, known key, allowed role, rate, disk space.
func (g *Gateway) admit(ctx context.Context, method string, h headers, now time.Time) (context.Context, error) {
	access, ok := methods[method]
	if !ok {
		return nil, refuse(rousev1.ErrorCode_ERROR_CODE_NOT_FOUND, "there is no such method")
	}
	who, err := g.authenticate(h.authorization, h.app)
	if err != nil {
		return nil, err
	}
	if len(h.repeat) > maxRepeatKey {
		return nil, refuse(rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, "the header %s has %d bytes, the most is %d", repeatHeader, len(h.repeat), maxRepeatKey)
	}
	who.repeat = h.repeat
	if !access.roles.has(who.Role) {
		return nil, refuse(rousev1.ErrorCode_ERROR_CODE_PERMISSION_DENIED, "a key of role %s may not call %s; use another key", who.Role, method)
	}
	if !g.rates.allow(who.KeyID, now) {
		return nil, &refusal{g.rates.refusal}
	}
	if access.fills {
		if g.Writable(now) != nil {
			return nil, &refusal{g.diskFull}
		}
	}
	return context.WithValue(ctx, callerKey{}, who), nil
}

func (g *Gateway) authenticate(authorization, app string) (caller, error) {
	scheme, secret, _ := strings.Cut(authorization, " ")
	if !strings.EqualFold(scheme, "bearer") || secret == "" {
		return caller{}, refuse(rousev1.ErrorCode_ERROR_CODE_UNAUTHENTICATED, `no API key; send the header "authorization: Bearer rk_..."`)
	}
	principal, err := g.Catalog.Authenticate(secret)
	if err != nil {
		return caller{}, err
	}
	who := caller{Principal: principal, app: principal.App}
	if app != "" {
		who.app, err = who.scope(app)
		if err == nil && principal.Role == rousev1.Role_ROLE_OPERATOR {
			if _, ok := g.Catalog.App(app); !ok {
				err = refuse(rousev1.ErrorCode_ERROR_CODE_NOT_FOUND, "the app named by the header %s is not known", appHeader)
			}
		}
	}
	return who, err
}

// scope is the app that a request is about: the one it names, or the caller's.
// Naming another app than the key's is refused the same way whether it exists
// or not.
func (who caller) scope(named string) (string, error) {
	switch {
	case named == "" && who.app == "":
		return "", refuse(rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, "an operator key belongs to no app; name one in app_id or in the header %s", appHeader)
	case named == "" || named == who.app:
		return who.app, nil
	case who.Role != rousev1.Role_ROLE_OPERATOR:
		return "", refuse(rousev1.ErrorCode_ERROR_CODE_PERMISSION_DENIED, "the key does not belong to the app that the request names; use a key of that app")
	}
	return named, nil
}
