package meta

import (
	"errors"

	"github.com/rouse-im/rouse/actors"
	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/lease"
	"github.com/rouse-im/rouse/storage"
)

func refusal(code rousev1.ErrorCode, text string) *actors.Refusal {
	return &actors.Refusal{Detail: &rousev1.Error{Code: code, Message: text, Temporary: code >= rousev1.ErrorCode_ERROR_CODE_OVERLOADED}}
}

var (
	errLeaderless = refusal(rousev1.ErrorCode_ERROR_CODE_UNAVAILABLE, "no node is known to lead the cluster now and nothing was changed; send this again, and look at rouse cluster status if it lasts")
	errSilent     = refusal(rousev1.ErrorCode_ERROR_CODE_UNAVAILABLE, "the node that was asked did not answer in time; sending this again is safe")
	errUnknown    = refusal(rousev1.ErrorCode_ERROR_CODE_DEADLINE, "the leader of the cluster did not answer in time; whether it took effect is unknown, look before you send it again")
	errOverloaded = refusal(rousev1.ErrorCode_ERROR_CODE_OVERLOADED, "too many questions to the leader of the cluster are under way; send this again later")
	unserved      = refusal(rousev1.ErrorCode_ERROR_CODE_INTERNAL, "the node that was asked cannot do this; are all nodes of the same version?").Detail
)

// refused is the error that another node gave.
func refused(e *rousev1.Error) error { return &actors.Refusal{Detail: e} }

func redirect(leader string) *actorv1.MetaAnswer {
	return &actorv1.MetaAnswer{Redirect: &actorv1.Redirect{Leader: leader}}
}

// answer is one without a body, or what a handler's error is to who asked. What
// certainly was not executed is led elsewhere.
func (a *Asker) answer(err error) *actorv1.MetaAnswer {
	var detail *actors.Refusal
	switch {
	case err == nil:
		return &actorv1.MetaAnswer{}
	case errors.As(err, &detail):
		return &actorv1.MetaAnswer{Error: detail.Detail}
	case errors.Is(err, storage.ErrNotLeader), errors.Is(err, storage.ErrDropped):
		return redirect(a.elsewhere())
	case errors.Is(err, storage.ErrUnknown):
		return &actorv1.MetaAnswer{Error: errUnknown.Detail}
	case errors.Is(err, storage.ErrBusy):
		return &actorv1.MetaAnswer{Error: errOverloaded.Detail}
	}
	code := rousev1.ErrorCode_ERROR_CODE_INTERNAL
	switch {
	case errors.Is(err, lease.ErrStale):
		code = rousev1.ErrorCode_ERROR_CODE_INVALID_ARGUMENT
	case errors.Is(err, lease.ErrTooMany):
		code = rousev1.ErrorCode_ERROR_CODE_LIMIT_EXCEEDED
	}
	return &actorv1.MetaAnswer{Error: refusal(code, err.Error()).Detail}
}

// elsewhere is where the group is led if not here.
func (a *Asker) elsewhere() string {
	if to := a.o.Leader(); to != a.o.System.Address() {
		return to
	}
	return ""
}

// ended counts the end of a question.
func (a *Asker) ended(m *actorv1.MetaAsk, err error) error {
	end := "answered"
	switch {
	case errors.Is(err, errLeaderless):
		end = "leaderless"
	case errors.Is(err, errSilent), errors.Is(err, errUnknown):
		end = "silent"
	case errors.Is(err, errOverloaded):
		end = "overloaded"
	case err != nil:
		end = "refused"
	}
	a.count.WithLabelValues(kindOf(m), end).Inc()
	return err
}

func kindOf(m *actorv1.MetaAsk) string {
	body := m.ProtoReflect().WhichOneof(m.ProtoReflect().Descriptor().Oneofs().ByName("body"))
	if body == nil {
		return "none"
	}
	return string(body.Name())
}
