package bus

import (
	"crypto/sha256"
	"encoding/hex"
	"maps"
	"slices"
	"strings"
)

// EntryStep is what moves a catalogue entry from state to state.
type EntryStep string

// The steps.
const (
	StepCompile  EntryStep = "compile"  // 编制: a draft is written or changed
	StepDiscard  EntryStep = "discard"  // the draft is thrown away; a version in force stays in force
	StepSubmit   EntryStep = "submit"   // 提交审核
	StepWithdraw EntryStep = "withdraw" // 申请撤销
	StepApprove  EntryStep = "approve"  // 审核通过
	StepReturn   EntryStep = "return"   // 退回
)

// StateNone is the state of an entry that is not there.
const StateNone EntryState = ""

// steps is the life of a catalogue entry. A step that is not listed is refused.
var steps = map[EntryState]map[EntryStep]EntryState{
	StateNone:        {StepCompile: StateDraft},
	StatePublished:   {StepCompile: StateDraft, StepWithdraw: StateWithdrawing},
	StateDraft:       {StepCompile: StateDraft, StepSubmit: StateInReview, StepDiscard: StateNone},
	StateReturned:    {StepCompile: StateDraft, StepSubmit: StateInReview, StepDiscard: StateNone},
	StateInReview:    {StepApprove: StatePublished, StepReturn: StateReturned},
	StateWithdrawing: {StepApprove: StateWithdrawn, StepReturn: StatePublished},
	StateWithdrawn:   {},
}

// After returns the state after a step, or CodeWrongState with what could be
// done instead. A discarded draft leaves StateNone, or StatePublished where a
// version is in force.
func (s EntryState) After(step EntryStep) (EntryState, error) {
	next, ok := steps[s][step]
	if ok {
		return next, nil
	}
	return s, E(CodeWrongState, Defect{
		Field:   "state",
		Problem: Text{"当前状态为 " + string(s) + "，不能 " + string(step), "it is " + string(s) + ": no " + string(step) + " now"},
		Allowed: join(slices.Sorted(maps.Keys(steps[s]))),
	})
}

// ResourceIDOf derives the id of a resource from a directory code, for those
// whose provider chose none: the code in lower case with a hyphen for the slash,
// and a piece of its digest where that would not be a code's own or too long.
func ResourceIDOf(code ResourceCode) ResourceID {
	id := strings.ReplaceAll(strings.ToLower(string(code)), "/", "-")
	if len(id) <= 63 && strings.ToLower(string(code)) == string(code) {
		return ResourceID(id)
	}
	sum := sha256.Sum256([]byte(code))
	return ResourceID(strings.TrimRight(id[:min(len(id), 50)], "-") + "-" + hex.EncodeToString(sum[:6]))
}
