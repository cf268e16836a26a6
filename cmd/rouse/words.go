package main

import (
	"strings"

	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/demo"
	"github.com/rouse-im/rouse/internal/reason"
)

// word is a text of the demo and of traces.
type word int

const (
	wordTitle word = iota
	wordIntro
	wordStarting
	wordReplaying
	wordSettling
	wordVerifying
	wordEvents
	wordMessages
	wordPairs
	wordWoken
	wordSuppressed
	wordCancelled
	wordSuperseded
	wordExpired
	wordFailed
	wordBadges
	wordBadge
	wordVendor
	wordReceipts
	wordTime
	wordWhyIn
	wordWhy
	wordKept
	wordBroken
	wordMore
	wordBreach
	wordUntraced
	wordUnsampled
	wordTruncated
	lastWord
)

// Both languages have the same keys, and the same verbs in each text.
var englishWords = map[word]string{
	wordTitle:      "Rouse demo: a day of a small IM",
	wordIntro:      "A node and fakes of all push vendors run on this machine. Two IM nodes replay the day of %d users; one of them dies, and the vendors fail now and then. Some users want to be left alone, messages are recalled or read elsewhere, and vendors report what they delivered.",
	wordStarting:   "starting",
	wordReplaying:  "replaying the day",
	wordSettling:   "waiting for the last pushes (users done)",
	wordVerifying:  "checking",
	wordEvents:     "events\t%d\tfrom IM nodes; %d of them repeated or late, and changed nothing",
	wordMessages:   "messages\t%d\tto %d recipients, on %d devices of %d users",
	wordPairs:      "outcomes\t%d\tone for each (message, device)",
	wordWoken:      "woken",
	wordSuppressed: "suppressed",
	wordCancelled:  "cancelled",
	wordSuperseded: "superseded",
	wordExpired:    "expired",
	wordFailed:     "failed",
	wordBadges:     "Badges after the last push",
	wordBadge:      "%s\t%s\t%s\t%d pushes\tsent %d\ton the icon %d",
	wordVendor:     "vendors\t%d\tpushes taken, %d distinct ids, %d sent again after an unknown answer, %d doubled",
	wordReceipts:   "receipts\t%d\tpushes were delivered, say Huawei, HarmonyOS, Honor, Xiaomi, OPPO, vivo and Meizu; %d were opened, says Meizu",
	wordWhyIn:      "Message %s of %s in group %s did not wake %s's %s. Why?",
	wordWhy:        "Message %s of %s did not wake %s's %s. Why?",
	wordTime:       "time\t%s\tevents in %s (%d/s), outcomes %s later; all in all %s",
	wordKept:       "Nothing is missing: every message has an outcome for every device, every outcome has ended, and each accepted one reached its device's vendor under one push id, with the right badge, and was reported back where the vendor reports.",
	wordBroken:     "PROMISES WERE BROKEN: %d findings",
	wordMore:       "... and %d more",
	wordBreach:     "the check has failed with %d findings; please report it, with the lines above",

	wordUntraced:  "Nothing of the last 7 days is known of it. Of a message that went well and is not of the sample, ask for a recipient (--user).",
	wordUnsampled: "The steps of its decision were not kept: it went well and is not of the sample (trace_sample in the settings of the app).",
	wordTruncated: "Some steps are missing: there were more than are kept.",
}

var chineseWords = map[word]string{
	wordTitle:      "Rouse 演示：一个小型 IM 的一天",
	wordIntro:      "本机运行一个节点和各推送厂商的模拟服务。两个 IM 节点重放 %d 个用户的一天；其中一个节点会宕机，厂商也会不时出故障。有的用户开了免打扰，有的消息被撤回或在别处已读，厂商还会发来回执。",
	wordStarting:   "启动",
	wordReplaying:  "重放这一天",
	wordSettling:   "等待最后的推送（已完成的用户）",
	wordVerifying:  "核对",
	wordEvents:     "事件\t%d\t来自 IM 节点；其中 %d 个重复或迟到，没有改变任何状态",
	wordMessages:   "消息\t%d\t共 %d 人次接收，涉及 %d 台设备、%d 个用户",
	wordPairs:      "结果\t%d\t每个（消息，设备）一个",
	wordWoken:      "已唤醒",
	wordSuppressed: "未推送",
	wordCancelled:  "已取消",
	wordSuperseded: "被替换",
	wordExpired:    "已过期",
	wordFailed:     "失败",
	wordBadges:     "最后一次推送后的角标",
	wordBadge:      "%s\t%s\t%s\t推送 %d 次\t下发 %d\t图标显示 %d",
	wordVendor:     "厂商侧\t%d\t次推送被接收，%d 个不同的推送 id，%d 次因结果未知而重发，%d 次重复打扰",
	wordReceipts:   "回执\t%d\t次推送已送达（华为、鸿蒙、荣耀、小米、OPPO、vivo、魅族的回执），其中 %d 次被点击（魅族的回执）",
	wordWhyIn:      "消息 %s（%s 发在群 %s）没有唤醒 %s 的 %s，为什么？",
	wordWhy:        "消息 %s（%s 发出）没有唤醒 %s 的 %s，为什么？",
	wordTime:       "用时\t%s\t事件 %s（每秒 %d 个），最后的结果再过 %s；总计 %s",
	wordKept:       "没有遗漏：每条消息对每台设备都有结果，每个结果都已终结，每个被接受的推送都以唯一的推送 id 到达该设备的厂商，角标无误，支持回执的厂商也都报告了结果。",
	wordBroken:     "承诺未兑现：%d 处",
	wordMore:       "……另有 %d 处",
	wordBreach:     "核对未通过，共 %d 处；请连同以上内容一并反馈",

	wordUntraced:  "最近 7 天内没有它的记录。如果消息一切正常且未被抽样，请指定接收者（--user）查询。",
	wordUnsampled: "没有保留判定步骤：一切正常，且未被抽样（应用设置 trace_sample）。",
	wordTruncated: "步骤超过保留上限，缺少一部分。",
}

// breaches in words, by language.
var (
	englishBreaches = map[demo.Breach]string{
		demo.Missing:    "no outcome",
		demo.Pending:    "the outcome has not ended",
		demo.Unseen:     "accepted, but no vendor saw the push",
		demo.Unknown:    "a vendor saw a push without an outcome",
		demo.SameID:     "two outcomes with one push id",
		demo.Doubled:    "messages came to a device under two push ids",
		demo.Astray:     "the push was for another device or of another message",
		demo.BadBadge:   "the push showed another badge",
		demo.Miscounted: "the badge is not the number of messages not fetched",
		demo.Unreported: "the vendor reported the push, but its outcome does not say so",
	}
	chineseBreaches = map[demo.Breach]string{
		demo.Missing:    "没有结果",
		demo.Pending:    "结果尚未终结",
		demo.Unseen:     "已被接受，但厂商没有收到推送",
		demo.Unknown:    "厂商收到了没有对应结果的推送",
		demo.SameID:     "两个结果使用同一个推送 id",
		demo.Doubled:    "同一消息以两个推送 id 到达同一设备",
		demo.Astray:     "推送发给了另一台设备，或属于另一条消息",
		demo.BadBadge:   "推送显示的角标不一致",
		demo.Miscounted: "角标与未拉取的消息数不符",
		demo.Unreported: "厂商已发回执，但结果中没有",
	}
)

var (
	english = language{englishWords, englishBreaches, englishSteps, englishVerdicts, reason.English}
	chinese = language{chineseWords, chineseBreaches, chineseSteps, chineseVerdicts, reason.Chinese}
)

// language is what the demo and the explanations speak.
type language struct {
	words    map[word]string
	breaches map[demo.Breach]string
	steps    map[rousev1.DecisionStep]string
	verdicts map[rousev1.StepVerdict]string
	reasons  reason.Language
}

// speak chooses as POSIX says: LC_ALL wins over LC_MESSAGES, and that over LANG.
func speak(env func(string) string) language {
	for _, name := range []string{"LC_ALL", "LC_MESSAGES", "LANG"} {
		if v := env(name); v == "" {
			continue
		} else if strings.HasPrefix(strings.ToLower(v), "zh") {
			return chinese
		}
		break
	}
	return english
}
