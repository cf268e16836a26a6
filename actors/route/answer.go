package route

import (
	actorv1 "github.com/rouse-im/rouse/api/rouse/actor/v1"
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
)

// Answers that the router gives itself. They are shared and never change.
var (
	overloaded = refusal(rousev1.ErrorCode_ERROR_CODE_OVERLOADED,
		"too much is under way to the node that leads the user's shard; nothing was changed, send the same item again later")
	unavailable = refusal(rousev1.ErrorCode_ERROR_CODE_UNAVAILABLE,
		"the user's shard gave no answer in time; if the item took effect, sending it again changes nothing, so send it again later")
	closed = refusal(rousev1.ErrorCode_ERROR_CODE_UNAVAILABLE,
		"this node is stopping; send the same item again to another one")
)

func refusal(code rousev1.ErrorCode, message string) *actorv1.Answer {
	return &actorv1.Answer{
		Status: rousev1.ItemStatus_ITEM_STATUS_REFUSED,
		Error:  &rousev1.Error{Code: code, Temporary: true, Message: message},
	}
}
