package gateway

import (
	"context"
	"errors"
	"fmt"
	"unicode/utf8"

	"connectrpc.com/connect"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/rouse-im/rouse/actors"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/catalog"
	"github.com/rouse-im/rouse/internal/lease"
)

// maxMessage bounds the message of an error, in bytes; the API says so.
const maxMessage = 512

// refusal is a rouse.v1.Error on its way to the caller. It becomes a status of
// gRPC or of Connect, with the Error as its detail.
type refusal struct{ detail *rousev1.Error }

// Error is the message: what was wrong, where, and what to do.
func (r *refusal) Error() string { return r.detail.GetMessage() }

// GRPCStatus is what grpc-go sends for the refusal.
func (r *refusal) GRPCStatus() *status.Status {
	st := status.New(statusCode(r.detail.GetCode()), r.detail.GetMessage())
	if detailed, err := st.WithDetails(r.detail); err == nil {
		return detailed
	}
	return st
}

// connectError is what Connect sends for the refusal.
func (r *refusal) connectError() *connect.Error {
	err := connect.NewError(connect.Code(statusCode(r.detail.GetCode())), r)
	if detail, fault := connect.NewErrorDetail(r.detail); fault == nil {
		err.AddDetail(detail)
	}
	return err
}

// complaint makes an Error; codes from 100 on are passing conditions.
func complaint(code rousev1.ErrorCode, format string, args ...any) *rousev1.Error {
	return &rousev1.Error{Code: code, Message: cut(fmt.Sprintf(format, args...)), Temporary: code >= rousev1.ErrorCode_ERROR_CODE_OVERLOADED}
}

func refuse(code rousev1.ErrorCode, format string, args ...any) error {
	return &refusal{complaint(code, format, args...)}
}

// cut keeps at most maxMessage bytes of valid UTF-8.
func cut(message string) string {
	if len(message) <= maxMessage {
		return message
	}
	end := maxMessage - len("…")
	for end > 0 && !utf8.RuneStart(message[end]) {
		end--
	}
	return message[:end] + "…"
}

// statusCode is the status that gRPC and Connect use for a code; the two number
// them alike.
func statusCode(code rousev1.ErrorCode) codes.Code {
	switch code {
	case rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT, rousev1.ErrorCode_ERROR_CODE_INVALID_TOKEN,
		rousev1.ErrorCode_ERROR_CODE_CLOCK_SKEW, rousev1.ErrorCode_ERROR_CODE_INVALID_CREDENTIAL:
		return codes.InvalidArgument
	case rousev1.ErrorCode_ERROR_CODE_UNAUTHENTICATED:
		return codes.Unauthenticated
	case rousev1.ErrorCode_ERROR_CODE_PERMISSION_DENIED:
		return codes.PermissionDenied
	case rousev1.ErrorCode_ERROR_CODE_NOT_FOUND:
		return codes.NotFound
	case rousev1.ErrorCode_ERROR_CODE_ALREADY_EXISTS:
		return codes.AlreadyExists
	case rousev1.ErrorCode_ERROR_CODE_UNKNOWN_NOTIFIER, rousev1.ErrorCode_ERROR_CODE_LIMIT_EXCEEDED,
		rousev1.ErrorCode_ERROR_CODE_PROTOCOL, rousev1.ErrorCode_ERROR_CODE_CREDENTIAL_REJECTED:
		return codes.FailedPrecondition
	case rousev1.ErrorCode_ERROR_CODE_OVERLOADED, rousev1.ErrorCode_ERROR_CODE_DISK_FULL,
		rousev1.ErrorCode_ERROR_CODE_RATE_LIMITED:
		return codes.ResourceExhausted
	case rousev1.ErrorCode_ERROR_CODE_UNAVAILABLE:
		return codes.Unavailable
	case rousev1.ErrorCode_ERROR_CODE_DEADLINE:
		return codes.DeadlineExceeded
	default:
		return codes.Internal
	}
}

// reasons are the errors of other packages that a caller can act on.
var reasons = []struct {
	is   error
	code rousev1.ErrorCode
}{
	{catalog.ErrUnauthenticated, rousev1.ErrorCode_ERROR_CODE_UNAUTHENTICATED},
	{catalog.ErrInvalidCredential, rousev1.ErrorCode_ERROR_CODE_INVALID_CREDENTIAL},
	{catalog.ErrNotFound, rousev1.ErrorCode_ERROR_CODE_NOT_FOUND},
	{catalog.ErrExists, rousev1.ErrorCode_ERROR_CODE_ALREADY_EXISTS},
	{catalog.ErrLimit, rousev1.ErrorCode_ERROR_CODE_LIMIT_EXCEEDED},
	{catalog.ErrForbidden, rousev1.ErrorCode_ERROR_CODE_PERMISSION_DENIED},
	{catalog.ErrInvalid, rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT},
	{ErrFar, rousev1.ErrorCode_ERROR_CODE_LIMIT_EXCEEDED},
	{lease.ErrStale, rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT},
	{lease.ErrTooMany, rousev1.ErrorCode_ERROR_CODE_LIMIT_EXCEEDED},
	{context.DeadlineExceeded, rousev1.ErrorCode_ERROR_CODE_DEADLINE},
	{context.Canceled, rousev1.ErrorCode_ERROR_CODE_DEADLINE},
}

// ErrFar is what FindTraces answers when it gives up.
var ErrFar = errors.New("push_id: the newest pushes of the app do not have it, and there are too many to look at all of them; ask by user_id")

// asRefusal turns any error into one that may be shown. known is false for a
// fault of the server, whose text stays in the log.
func asRefusal(err error) (r *refusal, known bool) {
	if errors.As(err, &r) {
		return r, true
	}
	if elsewhere, ok := errors.AsType[*actors.Refusal](err); ok {
		return &refusal{elsewhere.Detail}, true
	}
	for _, reason := range reasons {
		if errors.Is(err, reason.is) {
			return &refusal{complaint(reason.code, "%s", err)}, true
		}
	}
	return &refusal{complaint(rousev1.ErrorCode_ERROR_CODE_INTERNAL, "the server failed; its log says why; try again later")}, false
}
