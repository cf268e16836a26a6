package gateway

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// maxNamesShown bounds the names that an error lists.
const maxNamesShown = 10

const howToPut = "add one with rouse credential put"

// device serves DeviceService on gRPC and Connect.
type device struct {
	rousev1.UnimplementedDeviceServiceServer
	*Gateway
}

// BindToken ties a token to a device after its notifier and form were checked.
func (s *device) BindToken(ctx context.Context, r *rousev1.BindTokenRequest) (*rousev1.BindTokenResponse, error) {
	if err := s.checkBinding(callerOf(ctx), r); err != nil {
		return nil, err
	}
	return ask[*rousev1.BindTokenResponse](ctx, s.Gateway, r)
}

// checkBinding lets removals pass: the credential may be gone already.
func (s *device) checkBinding(who caller, r *rousev1.BindTokenRequest) error {
	if r.GetToken() == "" {
		return nil
	}
	if r.GetNotifier() == "" {
		return refuse(rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, "notifier: it is empty though a token is given; name the credential that the token belongs to")
	}
	id, err := who.scope("")
	if err != nil {
		return err
	}
	app, ok := s.Catalog.App(id)
	if !ok {
		return refuse(rousev1.ErrorCode_ERROR_CODE_NOT_FOUND, "app %q is not known", id)
	}
	credential, ok := app.Credential(r.GetNotifier())
	if !ok {
		return refuse(rousev1.ErrorCode_ERROR_CODE_UNKNOWN_NOTIFIER, "notifier: %q is no credential of app %q; %s", r.GetNotifier(), id, known(app.CredentialNames()))
	}
	if has, wants := r.GetDevice().GetAppPackage(), packageOf(credential); has != "" && wants != "" && has != wants {
		return refuse(rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT,
			"device.app_package: the token is of %q, but notifier %q is for %q: its pushes would not arrive; bind it to the notifier of its app", has, r.GetNotifier(), wants)
	}
	if err := s.CheckToken(credential, r.GetToken()); err != nil {
		return refuse(rousev1.ErrorCode_ERROR_CODE_INVALID_TOKEN, "token: not one of notifier %q: %s", r.GetNotifier(), err)
	}
	return nil
}

// packageOf is the app that a credential is for; empty = not known.
func packageOf(c *rousev1.Credential) string {
	return cmp.Or(c.GetAppPackage(), c.GetApns().GetBundleId(), c.GetXiaomi().GetPackageName())
}

func known(names []string) string {
	switch n := len(names); {
	case n == 0:
		return "it has none; " + howToPut
	case n > maxNamesShown:
		return fmt.Sprintf("known are %s, and %d more; %s", strings.Join(names[:maxNamesShown], ", "), n-maxNamesShown, howToPut)
	default:
		return "known are " + strings.Join(names, ", ") + "; " + howToPut
	}
}

// UnbindToken removes bindings.
func (s *device) UnbindToken(ctx context.Context, r *rousev1.UnbindTokenRequest) (*rousev1.UnbindTokenResponse, error) {
	return ask[*rousev1.UnbindTokenResponse](ctx, s.Gateway, r)
}

// ListDevices tells the devices of a user.
func (s *device) ListDevices(ctx context.Context, r *rousev1.ListDevicesRequest) (*rousev1.ListDevicesResponse, error) {
	return ask[*rousev1.ListDevicesResponse](ctx, s.Gateway, r)
}
