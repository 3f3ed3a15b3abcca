package bus

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode/utf8"
)

// CorrectionDays is the term of the provider's feedback in working days. It cannot
// be extended (decree 809 art. 26).
const CorrectionDays = 10

// CorrectionState is where a correction is in its life.
type CorrectionState string

// The states of a correction.
const (
	CorrectionNone      CorrectionState = ""
	CorrectionOpen      CorrectionState = "open"      // 待核实
	CorrectionConfirmed CorrectionState = "confirmed" // 已确认，待更正: the term goes on
	CorrectionCorrected CorrectionState = "corrected" // 已更正，待复核
	CorrectionExplained CorrectionState = "explained" // 已说明无误，待确认
	CorrectionDisputed  CorrectionState = "disputed"  // 对说明有争议
	CorrectionFixed     CorrectionState = "fixed"     // 复核通过
	CorrectionAccepted  CorrectionState = "accepted"  // 说明已被接受，或裁定维持
	CorrectionWithdrawn CorrectionState = "withdrawn" // 已撤回
)

// CorrectionStep moves a correction from state to state.
type CorrectionStep string

// The steps. The first five lines are the consumer's, the next the provider's;
// what a dispute does to its correction comes last.
const (
	CorrectionReport   CorrectionStep = "report"   // 提出疑问
	CorrectionWithdraw CorrectionStep = "withdraw" // 撤回
	CorrectionPass     CorrectionStep = "pass"     // 复核通过
	CorrectionFail     CorrectionStep = "fail"     // 复核不通过
	CorrectionAccept   CorrectionStep = "accept"   // 接受说明
	CorrectionConfirm  CorrectionStep = "confirm"  // 确认有误
	CorrectionCorrect  CorrectionStep = "correct"  // 更正并反馈
	CorrectionExplain  CorrectionStep = "explain"  // 说明无误并反馈
	CorrectionDispute  CorrectionStep = "dispute"  // 提起争议
	CorrectionSettle   CorrectionStep = "settle"   // 争议协商一致
	CorrectionUphold   CorrectionStep = "uphold"   // 裁定支持使用方
	CorrectionReject   CorrectionStep = "reject"   // 裁定维持说明
)

// corrections is the life of a correction. A step that is not listed is refused.
var corrections = map[CorrectionState]map[CorrectionStep]CorrectionState{
	CorrectionNone: {CorrectionReport: CorrectionOpen},
	CorrectionOpen: {
		CorrectionConfirm: CorrectionConfirmed, CorrectionCorrect: CorrectionCorrected, CorrectionExplain: CorrectionExplained,
		CorrectionWithdraw: CorrectionWithdrawn,
	},
	CorrectionConfirmed: {CorrectionCorrect: CorrectionCorrected, CorrectionWithdraw: CorrectionWithdrawn},
	CorrectionCorrected: {CorrectionPass: CorrectionFixed, CorrectionFail: CorrectionConfirmed},
	CorrectionExplained: {
		CorrectionAccept: CorrectionAccepted, CorrectionDispute: CorrectionDisputed,
		CorrectionCorrect: CorrectionCorrected, // the provider has thought again
	},
	CorrectionDisputed: {
		CorrectionSettle: CorrectionExplained, CorrectionUphold: CorrectionConfirmed, CorrectionReject: CorrectionAccepted,
	},
}

// starts are the steps that set the provider's term running, answers those that
// end it.
var (
	starts  = []CorrectionStep{CorrectionReport, CorrectionFail, CorrectionUphold}
	answers = []CorrectionStep{CorrectionCorrect, CorrectionExplain}
)

// Provider reports whether the step is the provider's, and Consumer whether it is
// the consumer's.
func (s CorrectionStep) Provider() bool {
	return slices.Contains([]CorrectionStep{CorrectionConfirm, CorrectionCorrect, CorrectionExplain}, s)
}

// Consumer reports whether the step is the consumer's.
func (s CorrectionStep) Consumer() bool {
	return slices.Contains([]CorrectionStep{CorrectionReport, CorrectionWithdraw, CorrectionPass, CorrectionFail, CorrectionAccept}, s)
}

// Correction is a consumer's doubt about data of a resource and what the provider
// makes of it (数据校核, decree 809 art. 26). It never blocks a call. It says which
// record is meant by a digest or an opaque reference: no personal information is
// in it.
type Correction struct {
	ID          CorrectionID    `json:"id"`
	Resource    ResourceID      `json:"resource"`
	Version     int             `json:"version"` // of the resource's entry, when it was reported
	Items       []ItemID        `json:"items"`
	Record      string          `json:"record,omitempty"` // "sha256:…" or a reference that the two departments understand
	Description string          `json:"description"`
	Event       string          `json:"event,omitempty"` // id of an event that shows it
	Consumer    USCC            `json:"consumer"`
	Provider    USCC            `json:"provider"`
	State       CorrectionState `json:"state"`
	Steps       []CorrectionAct `json:"steps"` // the first is the report; all are kept
	Revision    Revision        `json:"revision"`

	Deadline *Deadline `json:"deadline,omitempty"` // of the feedback; worked out when it is shown
}

// CorrectionAct is one step that was taken.
type CorrectionAct struct {
	Step CorrectionStep `json:"step"`
	By   Principal      `json:"by"`
	At   time.Time      `json:"at"`
	Text string         `json:"text,omitempty"`
}

// Round is one term of the provider's: it begins with the report, or anew when a
// retest failed or the authority upheld a dispute.
type Round struct {
	Start    time.Time
	Answered *time.Time // when it was corrected or explained; nil: not yet
}

// Open reports whether something is still to be done about c.
func (c Correction) Open() bool { return len(corrections[c.State]) > 0 }

// After returns c after a step, or CodeWrongState with what could be done instead.
// A correction, an explanation and a failed retest say what was found.
func (c Correction) After(act CorrectionAct) (Correction, error) {
	next, ok := corrections[c.State][act.Step]
	if !ok {
		return c, E(CodeWrongState, Defect{
			Field:   "state",
			Problem: Text{"当前状态为 " + string(c.State) + "，不能 " + string(act.Step), "it is " + string(c.State) + ": no " + string(act.Step) + " now"},
			Allowed: join(slices.Sorted(maps.Keys(corrections[c.State]))),
		})
	}
	defects := CheckImpersonal("text", act.Text)
	if says := []CorrectionStep{CorrectionConfirm, CorrectionCorrect, CorrectionExplain, CorrectionFail}; slices.Contains(says, act.Step) && !filled(act.Text) {
		defects = append(defects, missing("text"))
	}
	if err := Invalid(defects); err != nil {
		return c, err
	}
	c.State, c.Steps = next, append(slices.Clone(c.Steps), act)
	return c, nil
}

// Rounds returns the provider's terms, the first one first. A correction that was
// withdrawn, or whose dispute is under way, is not waited for: its last round then
// has what answer it has.
func (c Correction) Rounds() []Round {
	var rounds []Round
	for _, act := range c.Steps {
		switch {
		case slices.Contains(starts, act.Step):
			rounds = append(rounds, Round{Start: act.At})
		case slices.Contains(answers, act.Step) && rounds[len(rounds)-1].Answered == nil:
			rounds[len(rounds)-1].Answered = new(act.At)
		}
	}
	return rounds
}

// Running returns when the provider's term began that runs now; ok is false where
// none does.
func (c Correction) Running() (start time.Time, ok bool) {
	if c.State != CorrectionOpen && c.State != CorrectionConfirmed {
		return start, false
	}
	rounds := c.Rounds()
	return rounds[len(rounds)-1].Start, true
}

// Check returns every defect of c that shows without looking anything up.
func (c Correction) Check() []Defect {
	defects := CheckID("id", c.ID)
	if c.Resource == "" {
		defects = append(defects, missing("resource"))
	}
	if len(c.Items) == 0 {
		defects = append(defects, missing("items"))
	}
	if c.Record != "" && !recordKey.MatchString(c.Record) {
		defects = append(defects, Defect{"record", Text{"记录须以摘要或者双方约定的编号指明", "a record is named by a digest or a reference"}, recordKey.String()})
	}
	if utf8.RuneCountInString(c.Event) > maxReference {
		defects = append(defects, Defect{"event", Text{"过长", "too long"}, fmt.Sprint(maxReference, " characters")})
	}
	if !filled(c.Description) {
		defects = append(defects, missing("description"))
	}
	if !strings.HasPrefix(c.Record, "sha256:") {
		defects = append(defects, CheckImpersonal("record", c.Record)...)
	}
	defects = append(defects, CheckImpersonal("event", c.Event)...)
	return append(defects, CheckImpersonal("description", c.Description)...)
}

const (
	maxReference = 256
	maxNote      = 2000 // characters of a text that people write
)

var (
	recordKey = regexp.MustCompile(`^(sha256:[0-9a-f]{64}|[A-Za-z0-9][A-Za-z0-9._/-]{0,63})$`)
	longDigit = regexp.MustCompile(`[0-9]{11,}[Xx]?`)
)

// CheckImpersonal returns the defects of a text that everybody in the directory may
// keep a copy of: it is too long, or has what can only be a citizen's identity
// number (GB 11643) or a mobile number. Names nobody can tell from other words.
func CheckImpersonal(field, text string) []Defect {
	var defects []Defect
	if utf8.RuneCountInString(text) > maxNote {
		defects = append(defects, Defect{field, Text{"过长", "too long"}, fmt.Sprint(maxNote, " characters")})
	}
	if personal(text) {
		defects = append(defects, Defect{field, Text{
			"不得写入身份证号、手机号等个人信息", "an identity or mobile number: personal information does not belong here",
		}, "a digest or a reference of the record"})
	}
	return defects
}

// personal reports whether text has an identity number or a mobile number in it.
func personal(text string) bool {
	return slices.ContainsFunc(longDigit.FindAllString(text, -1), func(digits string) bool {
		return identityNumber(digits) || len(digits) == 11 && digits[0] == '1' && digits[1] >= '3'
	})
}

// identityNumber reports whether s has the form, a date of birth and the check
// digit of GB 11643. (A USCC can be 18 digits too, and is no secret.)
func identityNumber(s string) bool {
	if len(s) != 18 {
		return false
	}
	if born, err := time.Parse("20060102", s[6:14]); err != nil || born.Year() < 1900 {
		return false
	}
	weights := [17]int{7, 9, 10, 5, 8, 4, 2, 1, 6, 3, 7, 9, 10, 5, 8, 4, 2}
	sum := 0
	for i, w := range weights {
		sum += w * int(s[i]-'0')
	}
	last := s[17]
	if last == 'x' {
		last = 'X'
	}
	return "10X98765432"[sum%11] == last
}
