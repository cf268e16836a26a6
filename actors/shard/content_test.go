package shard

import (
	"testing"
	"testing/synctest"

	"github.com/cockroachdb/pebble/v2/vfs"
	"github.com/google/go-cmp/cmp"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/content"
	"github.com/rouse-im/rouse/vendors"
)

// What a user is shown follows his settings and his remark for the sender, and
// is the same when the push is repeated after a crash.
func TestTextSurvivesACrash(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fs := vfs.NewMem()
		withTemplates := func(_ *engine, o *Options) {
			app := o.User.App("app")
			app.Templates = content.NewTemplates([]*rousev1.Template{{Name: "mine", Texts: map[string]*rousev1.TemplateText{
				"zh-Hans": {TitlePattern: "{0}", ContentPattern: "{$dynamicFrom}：{$msg}"}, "": {ContentPattern: "{$msg}"},
			}}})
		}
		e := startEngine(t, fs, withTemplates)
		e.vendor.script(func(*vendors.Notification) (vendors.Result, error) { return vendors.Result{}, errHang })
		e.bind("ann", "phone", "aabb")
		e.must("ann", &rousev1.SetUserSettingsRequest{UserId: "ann", Settings: &rousev1.UserSettings{Language: "zh-CN"}})
		e.must("ann", &rousev1.SetConversationSettingsRequest{
			UserId: "ann", Conversation: &rousev1.ConversationRef{Type: rousev1.ConversationType_CONVERSATION_TYPE_DIRECT, Id: "bob"}, Remark: new("老王"),
		})
		m := inTeam("m1")
		m.Content = &rousev1.Content{Data: map[string]string{"e": `{"k":1}`}}
		m.Text, m.Translations, m.SenderNickname = "hello", map[string]string{"zh-Hans": "你好"}, "Bob"
		m.Template = &rousev1.TemplateUse{Name: "mine", TitleArgs: []string{"Team"}}
		m.Overrides = map[string]*rousev1.VendorOverride{"apns": {Category: "chat", ThreadId: "t9"}}
		e.must("ann", m)
		synctest.Wait()
		first := e.vendor.pushes()[0]
		if first.Title != "Team" || first.Body != "老王：你好" || first.Data["e"] != `{"k":1}` || first.Override.Category != "chat" || first.ThreadID != "t9" {
			t.Errorf("sent %+v", first)
		}
		e.kill()

		e = startEngine(t, fs, withTemplates)
		synctest.Wait()
		again := e.vendor.pushes()
		if len(again) != 1 {
			t.Fatalf("%d pushes after the crash", len(again))
		}
		if diff := cmp.Diff(first, again[0]); diff != "" {
			t.Errorf("before and after the crash (-before +after):\n%s", diff)
		}
		e.stop()
	})
}
