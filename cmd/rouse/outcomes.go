package main

import (
	"fmt"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/rpc"
)

type outcomesVerb struct {
	remote
	User    string `arg:""`
	Message string `help:"One message; without it the newest of the last 7 days." placeholder:"ID"`
	Limit   uint32 `help:"How many messages, at most 1000." default:"50"`
}

// Help teaches by example.
func (*outcomesVerb) Help() string {
	return `Every (message, device) pair has one outcome with a reason; all but pending are final.
DELIVERED, CLICKED and NOT SHOWN are what the vendor reported afterwards.

Examples:

    rouse outcomes --app chat ann
    rouse outcomes --app chat ann --message m-1`
}

// Run shows outcomes, newest message first.
func (v *outcomesVerb) Run(c *call) error {
	return ask(c, &v.remote, func(s *rpc.Services) (*rousev1.ListOutcomesResponse, error) {
		return s.User.ListOutcomes(c.ctx, &rousev1.ListOutcomesRequest{UserId: v.User, MessageId: v.Message, Limit: v.Limit})
	}, func(r *rousev1.ListOutcomesResponse) error { return c.outcomes(r.GetOutcomes()) })
}

func (c *call) outcomes(all []*rousev1.Outcome) error {
	var rows [][]string
	for _, o := range all {
		badge := ""
		if o.Badge != nil {
			badge = fmt.Sprint(o.GetBadge())
		}
		rows = append(rows, []string{
			o.GetMessageId(), o.GetUserId(), dash(o.GetDeviceId()), rpc.Word(o.GetStatus()), rpc.Word(o.GetReason()),
			dash(o.GetNotifier()), dash(badge), dash(o.GetVendorCode()), at(o.GetEndedAt()),
			at(o.GetDeliveredAt()), at(o.GetClickedAt()), receipt(o),
		})
	}
	return c.table([]string{"MESSAGE", "USER", "DEVICE", "OUTCOME", "REASON", "NOTIFIER", "BADGE", "VENDOR CODE", "ENDED", "DELIVERED", "CLICKED", "NOT SHOWN"}, rows)
}

// receipt says why a vendor did not show a push that it took, with its code.
func receipt(o *rousev1.Outcome) string {
	if o.GetReceiptReason() == rousev1.Reason_REASON_UNSPECIFIED {
		return "-"
	}
	if o.GetReceiptCode() == "" {
		return rpc.Word(o.GetReceiptReason())
	}
	return rpc.Word(o.GetReceiptReason()) + " (" + o.GetReceiptCode() + ")"
}
