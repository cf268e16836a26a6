package client_test

import (
	"context"
	"fmt"
	"time"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/client"
)

// A node reports that a device went offline and that its user missed a message.
func Example() {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	c, err := client.Dial(ctx, client.Options{
		Target: "127.0.0.1:7701",
		APIKey: "the key of your app, role intake",
		Node:   "im-7",
	})
	if err != nil {
		fmt.Println(err)
		return
	}

	// Fire and forget with a callback: the fast way.
	err = c.Send(ctx, &rousev1.Event{Kind: &rousev1.Event_Presence{Presence: &rousev1.PresenceEvent{
		UserId: "ann", DeviceId: "phone", Session: 3, Step: 1,
		State: rousev1.SessionState_SESSION_STATE_DISCONNECTED,
	}}}, func(r *rousev1.ItemResult) {
		if r.GetStatus() == rousev1.ItemStatus_ITEM_STATUS_REFUSED {
			fmt.Println("presence refused:", r.GetError().GetMessage())
		}
	})
	if err != nil {
		fmt.Println(err)
	}

	// Or wait: accepted means on disk.
	r, err := c.SendWait(ctx, &rousev1.Event{Kind: &rousev1.Event_Message{Message: &rousev1.MessageEvent{
		MessageId: "m-1", Sender: "bob", Recipients: []string{"ann"},
		Content: &rousev1.Content{Title: "bob", Body: "Are you there?"},
	}}})
	if err != nil {
		fmt.Println(err)
	} else {
		fmt.Println(r.GetStatus())
	}

	if err := c.Close(ctx); err != nil {
		fmt.Println(err)
	}
}
