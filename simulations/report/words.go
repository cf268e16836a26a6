package report

// promises of the checks in Chinese, by name.
var promises = map[string]string{
	"acked-is-stored":   "已确认的事实，无论如何重启都在存储中。",
	"one-outcome":       "每个（消息，设备）恰有一个终态，且计数器一致。",
	"one-push-id":       "厂商对每个（消息，设备）最多见到一个推送号，仅在结果未知后重复。",
	"none-after-online": "已确认在线的设备不再收到推送。",
	"no-removed-token":  "不向已移除的令牌推送；旧的应答不移除新令牌。",
	"one-writer":        "同一任期内一个分片只有一个节点提交，任期递增，寄存器可线性化。",
	"within-limits":     "遵守厂商限速与重试等待，主节点切换后也是。",
	"bulkheads":         "一个厂商故障时，其他厂商的延迟不超过平时的两倍。",
	"bounded":           "内存与队列不超过上限。",
	"quiet-times":       "免打扰时段内不唤醒任何人。",
	"bad-input":         "坏输入得到有类型的错误并被计数；不挂起、不崩溃、不改变任何东西。",
	"orderly-stop":      "被要求停止的节点按时停止。",
	"clock-back":        "时钟回拨不丢失也不重复延迟的推送。",
	"tenants":           "任何应用都读不到、也影响不了别的应用。",
	"secrets":           "令牌、正文与密钥不进入日志、指标与追踪。",
	"erased":            "被删除用户的数据不留任何痕迹。",
	"audited":           "控制台的每次写操作恰有一条审计记录。",
	"in-order":          "重发的推送先于同一令牌的后续推送。",
	"drains":            "最后一个故障结束后，积压按时清零。",
}

var units = map[string]string{
	"devices": "设备", "events": "个", "pushes": "条", "outcomes": "条", "errors": "处", "s": "秒", "ms": "毫秒",
}

var kinds = map[string]string{
	"presence": "在线状态", "bind": "绑定令牌", "unbind": "解绑", "dead": "令牌失效", "message": "消息", "read": "已读", "fetched": "已拉取", "recall": "撤回与编辑",
	"settings": "设置", "policy": "多设备策略", "im-up": "IM 节点启动", "im-down": "IM 节点崩溃",
}
