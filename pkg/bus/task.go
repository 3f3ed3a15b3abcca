package bus

import "time"

// TaskKind says what is to be done.
type TaskKind string

// The kinds of task (待办).
const (
	TaskDraftReview      TaskKind = "draft-review"      // 审核目录编制稿
	TaskTrigger          TaskKind = "trigger"           // 提交目录更新
	TaskTriggerConsent   TaskKind = "trigger-consent"   // 答复目录更新的延期申请
	TaskClaimDecide      TaskKind = "claim-decide"      // 裁定数据源
	TaskCorrection       TaskKind = "correction"        // 核实、更正并反馈
	TaskCorrectionRetest TaskKind = "correction-retest" // 复核更正结果
	TaskCorrectionAccept TaskKind = "correction-accept" // 确认或者争议说明
	TaskDisputeNegotiate TaskKind = "dispute-negotiate" // 协商争议
	TaskDisputeDecide    TaskKind = "dispute-decide"    // 裁定争议
	TaskApplication      TaskKind = "application"       // 答复共享申请
	TaskApplicationEdit  TaskKind = "application-edit"  // 补正共享申请
	TaskAnswerConsent    TaskKind = "answer-consent"    // 答复申请答复的延期
	TaskDelivery         TaskKind = "delivery"          // 提供数据
	TaskRectification    TaskKind = "rectification"     // 限期整改
	TaskGrantExpiring    TaskKind = "grant-expiring"    // 授权即将到期
	TaskGrantConfirm     TaskKind = "grant-confirm"     // 确认被暂停的授权
	TaskLayerActivate    TaskKind = "layer-activate"    // 启用共享策略层的草稿
)

// Task is something that awaits people of a department, or a separated
// administrator (待办). It is worked out from the directory when it is read:
// nothing of it is stored.
type Task struct {
	ID         string    `json:"id"` // "kind/subject", the same for as long as it is one task
	Kind       TaskKind  `json:"kind"`
	Subject    string    `json:"subject"`              // id of what it is about
	Department USCC      `json:"department,omitempty"` // whose it is; empty: a separated administrator's
	Role       Role      `json:"role"`                 // of those who can do it; an operator's is its department's systems' too
	Except     string    `json:"except,omitempty"`     // account that may not do it: what it asked for is another's to answer
	Title      Text      `json:"title"`
	Since      time.Time `json:"since,omitzero"`
	Deadline   *Deadline `json:"deadline,omitempty"` // nil: the law sets none
	Left       *Left     `json:"left,omitempty"`     // to the deadline
	Command    string    `json:"command"`            // that does it, but for what only its reader knows
}

// Left is the time left to a deadline; both are 0 once it has passed.
type Left struct {
	Days  int `json:"working_days"` // working days after today, the last one included
	Hours int `json:"hours"`        // whole hours, nights and holidays included
}

// Awaits reports whether the task is p's.
func (t Task) Awaits(p Principal) bool {
	switch {
	case t.Department != p.Department || t.Except != "" && t.Except == p.Account:
		return false
	case p.System != "":
		return t.Role == RoleOperator
	default:
		return t.Role == p.Role
	}
}

// Threshold is how near a deadline is when somebody is reminded of it.
type Threshold string

// The thresholds.
const (
	ThresholdNone    Threshold = ""
	ThresholdThree   Threshold = "3-working-days"
	ThresholdOne     Threshold = "1-working-day"
	ThresholdOverdue Threshold = "overdue"
)

// Reached returns the last threshold that the task has reached.
func (t Task) Reached() Threshold {
	switch {
	case t.Deadline == nil || t.Left == nil:
		return ThresholdNone
	case t.Deadline.Overdue:
		return ThresholdOverdue
	case t.Left.Days <= 1:
		return ThresholdOne
	case t.Left.Days <= 3:
		return ThresholdThree
	default:
		return ThresholdNone
	}
}
