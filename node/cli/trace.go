package cli

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/policy"
)

// step is a leaf of a trace with its record read.
type step struct {
	client.TraceStep
	record audit.Record
}

// stepsOf reads the records of a trace. One of a newer release that this
// program cannot read keeps its place and its leaf.
func stepsOf(t client.Trace) []step {
	steps := make([]step, len(t.Steps))
	for i, s := range t.Steps {
		steps[i].TraceStep = s
		if json.Unmarshal(s.Record, &steps[i].record) != nil {
			steps[i].record = audit.Record{}
		}
	}
	return steps
}

func (a *app) stepColumns() []column[step] {
	return []column[step]{
		{"time", "时间", func(s step) string { return instant(s.record.At) }},
		{"node", "节点", func(s step) string { return string(s.Node) }},
		{"leaf", "存证序号", func(s step) string { return sprint(s.Leaf) }},
		{"about", "对象", func(s step) string { return aboutOf(s.record) }},
		{"step", "环节", func(s step) string { return stepText(s.record).In(a.lang) }},
		{"who", "主体", func(s step) string { return strings.TrimSpace(s.record.Principal.String() + " " + s.record.Operator) }},
		{"decision", "裁决", func(s step) string { return outcome(s.record).In(a.lang) }},
		{"reason", "理由与义务", func(s step) string { return a.because(s.record) }},
	}
}

// aboutOf names the resource of a step with the run of its events, or the case of a query.
func aboutOf(r audit.Record) string {
	about := string(r.Resource)
	switch {
	case r.HasRange() && r.First == r.Last:
		about += sprint(" #", r.First)
	case r.HasRange():
		about += sprint(" #", r.First, "–", r.Last)
	}
	if r.Case != "" {
		about += " " + r.Case
	}
	return strings.TrimSpace(about)
}

// instant is a time to the millisecond, in the bus's time zone: steps of one
// event are often within a second.
func instant(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.In(china).Format("2006-01-02 15:04:05.000")
}

var stepTexts = map[audit.Kind]bus.Text{
	audit.KindDecision:     {ZH: "策略裁决", EN: "decided"},
	audit.KindAccepted:     {ZH: "受理发布", EN: "accepted from the provider"},
	audit.KindForwarded:    {ZH: "转发至使用方节点", EN: "forwarded to the consumer's node"},
	audit.KindReceived:     {ZH: "使用方节点收到", EN: "received by the consumer's node"},
	audit.KindDelivered:    {ZH: "交付使用方", EN: "handed to the consumer"},
	audit.KindAcknowledged: {ZH: "使用方确认", EN: "acknowledged by the consumer"},
	audit.KindWithheld:     {ZH: "扣留不再交付", EN: "withheld for good"},
	audit.KindRefused:      {ZH: "不予受理", EN: "refused"},
	audit.KindAdministered: {ZH: "目录管理", EN: "administered"},
	audit.KindRestored:     {ZH: "自备份恢复", EN: "restored from a backup"},
	audit.KindExplained:    {ZH: "说明权限", EN: "explained"},
	audit.KindInspected:    {ZH: "检查使用记录", EN: "inspected"},
	audit.KindReminded:     {ZH: "到期提醒", EN: "reminded"},
	audit.KindMovedOut:     {ZH: "随部门迁出", EN: "moved out with its department"},
	audit.KindMovedIn:      {ZH: "随部门迁入", EN: "moved in with its department"},
	audit.KindExpired:      {ZH: "已过期", EN: "expired"},
	audit.KindFiltered:     {ZH: "按行过滤", EN: "rows filtered out"},
	audit.KindUnmatched:    {ZH: "不符合订阅的过滤条件", EN: "not what the subscription is for"},
	audit.KindReplayed:     {ZH: "使用方重放订阅，清出待取", EN: "left the inbox: the consumer began anew"},
	audit.KindDeadLettered: {ZH: "多次推送失败，转为死信", EN: "given up: the webhook did not take it"},
	audit.KindRedriven:     {ZH: "死信重新投递", EN: "a dead letter is delivered after all"},
	audit.KindDiscarded:    {ZH: "死信被丢弃", EN: "a dead letter was discarded"},
	audit.KindDelayed:      {ZH: "因故障延迟", EN: "delayed by a fault"},
	audit.KindHeld:         {ZH: "限额已满，等待", EN: "waits for a limit"},
	audit.KindAsked:        {ZH: "放行查询", EN: "query let through"},
	audit.KindAnswered:     {ZH: "查询应答", EN: "query answered"},
	audit.KindArchived:     {ZH: "存证归档", EN: "evidence archived"},
	audit.KindPruned:       {ZH: "删除超期归档段", EN: "evidence past its retention deleted"},
	audit.KindHeartbeat:    {ZH: "实时服务心跳", EN: "heartbeat of a realtime service"},
}

var actionTexts = map[string]bus.Text{
	string(policy.ActionPublish):   {ZH: "发布", EN: "publish"},
	string(policy.ActionSubscribe): {ZH: "订阅", EN: "subscribe"},
	string(policy.ActionForward):   {ZH: "转发", EN: "forward"},
	string(policy.ActionDeliver):   {ZH: "交付", EN: "deliver"},
	string(policy.ActionDiscover):  {ZH: "检索", EN: "discover"},
	string(policy.ActionQuery):     {ZH: "查询", EN: "query"},
	string(policy.ActionApply):     {ZH: "申请", EN: "apply"},
}

// stepText names a step; a decision says on what.
func stepText(r audit.Record) bus.Text {
	text, ok := stepTexts[r.Kind]
	if !ok {
		return bus.Text{ZH: "未知环节 " + string(r.Kind), EN: "unknown step " + string(r.Kind)}
	}
	if r.Decision == nil {
		return text
	}
	action, ok := actionTexts[r.Decision.Action]
	if !ok {
		action = bus.Text{ZH: r.Decision.Action, EN: r.Decision.Action}
	}
	return bus.Text{ZH: text.ZH + "：" + action.ZH, EN: text.EN + ": " + action.EN}
}

func outcome(r audit.Record) bus.Text {
	switch {
	case r.Decision == nil:
		return bus.Text{}
	case r.Decision.Allow:
		return bus.Text{ZH: "允许", EN: "allow"}
	default:
		return bus.Text{ZH: "拒绝", EN: "deny"}
	}
}

// because says why something was denied or refused, or what an allowed decision
// obliges to.
func (a *app) because(r audit.Record) string {
	var parts []string
	switch d := r.Decision; {
	case d == nil && r.Code != "":
		parts = append(parts, r.Code.Text().In(a.lang))
	case d == nil:
	case d.Allow:
		if len(d.Obligations.Masks) > 0 {
			masked := make([]string, 0, len(d.Obligations.Masks))
			for _, item := range slices.Sorted(maps.Keys(d.Obligations.Masks)) {
				masked = append(masked, string(item))
			}
			parts = append(parts, a.say("脱敏 ", "masked: ")+strings.Join(masked, ", "))
		}
	default:
		for _, reason := range d.Reasons {
			parts = append(parts, string(reason.Layer)+":"+reason.Code+" "+reason.Message.In(a.lang))
		}
	}
	if r.Rows > 0 {
		parts = append(parts, sprint(a.say("滤除行数 ", "rows left out: "), r.Rows))
	}
	if r.Watermark != "" {
		parts = append(parts, a.say("水印 ", "watermark ")+r.Watermark)
	}
	if r.Detail != "" {
		parts = append(parts, r.Detail)
	}
	return strings.Join(parts, "; ")
}
