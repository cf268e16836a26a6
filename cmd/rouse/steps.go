package main

import (
	rousev1 "github.com/rouse-im/rouse/api/rouse/v1"
	"github.com/rouse-im/rouse/internal/rpc"
)

// Steps of the decision in words, by language.
var (
	englishSteps = map[rousev1.DecisionStep]string{
		rousev1.DecisionStep_DECISION_STEP_REPEAT:       "decided before?",
		rousev1.DecisionStep_DECISION_STEP_CONVERSATION: "conversation",
		rousev1.DecisionStep_DECISION_STEP_KIND:         "kind of message",
		rousev1.DecisionStep_DECISION_STEP_GROUP_SIZE:   "size of the group",
		rousev1.DecisionStep_DECISION_STEP_AGE:          "age",
		rousev1.DecisionStep_DECISION_STEP_COUNT:        "offline count",
		rousev1.DecisionStep_DECISION_STEP_USER:         "user",
		rousev1.DecisionStep_DECISION_STEP_IGNORE:       "switched off by the sender",
		rousev1.DecisionStep_DECISION_STEP_POLICY:       "policy for several devices",
		rousev1.DecisionStep_DECISION_STEP_FORCE:        "forced",
		rousev1.DecisionStep_DECISION_STEP_QUIET:        "quiet times",
		rousev1.DecisionStep_DECISION_STEP_MODE:         "mode",
		rousev1.DecisionStep_DECISION_STEP_PRESENCE:     "presence",
		rousev1.DecisionStep_DECISION_STEP_FILTER:       "filter of the message",
		rousev1.DecisionStep_DECISION_STEP_BINDING:      "binding",
		rousev1.DecisionStep_DECISION_STEP_CREDENTIAL:   "credential",
		rousev1.DecisionStep_DECISION_STEP_CAP:          "marketing of the day",
		rousev1.DecisionStep_DECISION_STEP_CONTENT:      "content",
		rousev1.DecisionStep_DECISION_STEP_BADGE:        "badge",
		rousev1.DecisionStep_DECISION_STEP_LIFETIME:     "time to live",
		rousev1.DecisionStep_DECISION_STEP_LANE:         "lane",
		rousev1.DecisionStep_DECISION_STEP_VENDOR:       "vendor",
		rousev1.DecisionStep_DECISION_STEP_RECEIPT:      "receipt",
	}
	chineseSteps = map[rousev1.DecisionStep]string{
		rousev1.DecisionStep_DECISION_STEP_REPEAT:       "是否已决定过",
		rousev1.DecisionStep_DECISION_STEP_CONVERSATION: "会话",
		rousev1.DecisionStep_DECISION_STEP_KIND:         "消息类型",
		rousev1.DecisionStep_DECISION_STEP_GROUP_SIZE:   "群人数",
		rousev1.DecisionStep_DECISION_STEP_AGE:          "消息时效",
		rousev1.DecisionStep_DECISION_STEP_COUNT:        "离线计数",
		rousev1.DecisionStep_DECISION_STEP_USER:         "用户",
		rousev1.DecisionStep_DECISION_STEP_IGNORE:       "发送方关闭推送",
		rousev1.DecisionStep_DECISION_STEP_POLICY:       "多端策略",
		rousev1.DecisionStep_DECISION_STEP_FORCE:        "强制推送",
		rousev1.DecisionStep_DECISION_STEP_QUIET:        "免打扰",
		rousev1.DecisionStep_DECISION_STEP_MODE:         "通知方式",
		rousev1.DecisionStep_DECISION_STEP_PRESENCE:     "在线状态",
		rousev1.DecisionStep_DECISION_STEP_FILTER:       "消息的设备过滤",
		rousev1.DecisionStep_DECISION_STEP_BINDING:      "绑定",
		rousev1.DecisionStep_DECISION_STEP_CREDENTIAL:   "凭证",
		rousev1.DecisionStep_DECISION_STEP_CAP:          "当日营销上限",
		rousev1.DecisionStep_DECISION_STEP_CONTENT:      "内容",
		rousev1.DecisionStep_DECISION_STEP_BADGE:        "角标",
		rousev1.DecisionStep_DECISION_STEP_LIFETIME:     "有效期",
		rousev1.DecisionStep_DECISION_STEP_LANE:         "通道",
		rousev1.DecisionStep_DECISION_STEP_VENDOR:       "厂商",
		rousev1.DecisionStep_DECISION_STEP_RECEIPT:      "回执",
	}
	englishVerdicts = map[rousev1.StepVerdict]string{
		rousev1.StepVerdict_STEP_VERDICT_PASS: "passes",
		rousev1.StepVerdict_STEP_VERDICT_STOP: "STOPS",
		rousev1.StepVerdict_STEP_VERDICT_WAIT: "waits",
		rousev1.StepVerdict_STEP_VERDICT_SKIP: "skipped",
	}
	chineseVerdicts = map[rousev1.StepVerdict]string{
		rousev1.StepVerdict_STEP_VERDICT_PASS: "通过",
		rousev1.StepVerdict_STEP_VERDICT_STOP: "停止",
		rousev1.StepVerdict_STEP_VERDICT_WAIT: "等待",
		rousev1.StepVerdict_STEP_VERDICT_SKIP: "跳过",
	}
)

// step in words; one of a newer server by its name.
func (l *language) step(s rousev1.DecisionStep) string {
	if t, ok := l.steps[s]; ok {
		return t
	}
	return rpc.Word(s)
}

func (l *language) verdict(v rousev1.StepVerdict) string {
	if t, ok := l.verdicts[v]; ok {
		return t
	}
	return rpc.Word(v)
}
