package apns

import (
	"encoding/json"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/sideshow/apns2"
	"pgregory.net/rapid"

	"github.com/rouse-im/rouse/vendors"
	"github.com/rouse-im/rouse/vendors/fake"
)

func TestCompose(t *testing.T) {
	expires := time.Unix(1_800_000_000, 0)
	for _, tt := range []struct {
		channel  vendors.Channel
		class    vendors.Class
		topic    string
		pushType apns2.EPushType
		priority int
		expires  int64
		payload  string
	}{
		{vendors.ChannelAlert, vendors.ClassIM, "b", apns2.PushTypeAlert, 10, 1_800_000_000, `{"aps":{"alert":{"title":"t","body":"b"},"badge":3,"sound":"s"},"data.aps":"x"}`},
		{vendors.ChannelAlert, vendors.ClassMarketing, "b", apns2.PushTypeAlert, 5, 1_800_000_000, ""},
		{vendors.ChannelVoIP, vendors.ClassCall, "b.voip", apns2.PushTypeVOIP, 10, 1, ""},
		{vendors.ChannelBadge, vendors.ClassIM, "b", apns2.PushTypeAlert, 5, 1_800_000_000, `{"aps":{"badge":3},"data.aps":"x"}`},
	} {
		n := &vendors.Notification{
			Channel: tt.channel, Class: tt.class, Title: "t", Body: "b", Sound: "s", Badge: 3,
			Data: map[string]string{"aps": "x"}, Expires: expires,
		}
		got, ok := compose("b", n)
		if !ok || got.Topic != tt.topic || got.PushType != tt.pushType || got.Priority != tt.priority || got.Expiration.Unix() != tt.expires {
			t.Errorf("channel %d, class %d: %+v", tt.channel, tt.class, got)
		}
		if payload := string(got.Payload.([]byte)); tt.payload != "" && payload != tt.payload {
			t.Errorf("payload %s, want %s", payload, tt.payload)
		}
	}
}

func TestFitAlwaysFits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		text := func(name string) string {
			unit := rapid.OneOf(rapid.String(), rapid.SampledFrom([]string{"你好", "👨‍👩‍👧", "<b>&", "\xff", "\x00", "\u2028"})).Draw(t, name)
			return strings.Repeat(unit, rapid.IntRange(0, 400).Draw(t, name+" times"))
		}
		n := &vendors.Notification{
			Channel: vendors.ChannelAlert, Title: text("title"), Subtitle: text("subtitle"), Body: text("body"),
			Badge: 1, Data: map[string]string{"m": rapid.StringN(0, 100, 400).Draw(t, "data")},
		}
		limit := rapid.SampledFrom([]int{maxPayload, maxVoIPPayload}).Draw(t, "limit")
		payload, ok := fit(n, limit)
		if !ok || len(payload) > limit || !json.Valid(payload) {
			t.Fatalf("fits %t, %d bytes of %d, valid %t", ok, len(payload), limit, json.Valid(payload))
		}
		// apns2 encodes once more: what it sends must not have grown.
		wire, err := json.Marshal(&apns2.Notification{Payload: payload})
		if err != nil || len(wire) != len(payload) {
			t.Fatalf("%d bytes became %d: %v", len(payload), len(wire), err)
		}
	})
}

func TestVoIP(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a, c := newFake(t, fake.APNsOptions{})
		alert := newSender(t, c)
		c.VoIP = true
		voip := newSender(t, c)
		alertToken, voipToken := newToken(a, testBundle), newToken(a, testBundle+".voip")
		n := &vendors.Notification{
			PushID: testPushID, Channel: vendors.ChannelVoIP, Token: voipToken, Title: "call",
			Body: strings.Repeat("x", 6000), Badge: -1, Expires: time.Now().Add(time.Minute),
		}
		if res, err := voip.Send(t.Context(), n); err != nil || res.Outcome != vendors.Accepted {
			t.Fatalf("got %+v, %v", res, err)
		}
		d, _ := a.Device(voipToken)
		if p := d.Received[0]; p.PushType != "voip" || len(p.Payload) != maxVoIPPayload || p.Expires.Unix() != 1 {
			t.Errorf("%s, %d bytes, expires %v", p.PushType, len(p.Payload), p.Expires)
		}
		n.Token = alertToken
		if res, err := alert.Send(t.Context(), n); err != nil || res.Outcome != vendors.Rejected {
			t.Errorf("a call to an alert token: %+v, %v", res, err)
		}
	})
}

func TestValidToken(t *testing.T) {
	for token, want := range map[string]bool{
		"": false, "a": false, "ab": true, "AB01": true, "xy": false, "a b0": false,
		strings.Repeat("ab", 32): true, strings.Repeat("ab", 200): true, strings.Repeat("ab", 201): false,
	} {
		if ValidToken(token) != want {
			t.Errorf("%d bytes %.8q: want %t", len(token), token, want)
		}
	}
}
