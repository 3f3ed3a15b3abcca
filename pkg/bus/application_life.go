package bus

import (
	"maps"
	"slices"
)

// ApplicationStep is what moves an application from state to state.
type ApplicationStep string

// The steps.
const (
	ApplyWrite    ApplicationStep = "write"    // 编写: a draft is written or changed
	ApplyDiscard  ApplicationStep = "discard"  // a draft that was never submitted is thrown away
	ApplySubmit   ApplicationStep = "submit"   // 提交
	ApplyReturn   ApplicationStep = "return"   // 一次性告知补正
	ApplyApprove  ApplicationStep = "approve"  // 同意
	ApplyRefuse   ApplicationStep = "refuse"   // 不予同意
	ApplyExtend   ApplicationStep = "extend"   // 延期答复
	ApplyWithdraw ApplicationStep = "withdraw" // 撤回
)

// applicationSteps is the life of an application (decree 809 art. 20, 21). A step
// that is not listed is refused.
var applicationSteps = map[ApplicationState]map[ApplicationStep]ApplicationState{
	ApplicationNone:  {ApplyWrite: ApplicationDraft},
	ApplicationDraft: {ApplyWrite: ApplicationDraft, ApplyDiscard: ApplicationNone, ApplySubmit: ApplicationPending},
	ApplicationPending: {
		ApplyReturn: ApplicationReturned, ApplyApprove: ApplicationApproved, ApplyRefuse: ApplicationRefused,
		ApplyExtend: ApplicationPending, ApplyWithdraw: ApplicationWithdrawn,
	},
	ApplicationReturned:  {ApplyWrite: ApplicationReturned, ApplySubmit: ApplicationPending, ApplyWithdraw: ApplicationWithdrawn},
	ApplicationApproved:  {},
	ApplicationRefused:   {},
	ApplicationWithdrawn: {},
}

// After returns the state after a step, or CodeWrongState with what could be done
// instead. What an application needs is told once: one that came back is not
// returned again (一次性告知, decree 809 art. 21).
func (a Application) After(step ApplicationStep) (ApplicationState, error) {
	possible := maps.Clone(applicationSteps[a.State])
	if a.Returned != nil {
		delete(possible, ApplyReturn)
	}
	if a.Extension != nil {
		delete(possible, ApplyExtend)
	}
	if next, ok := possible[step]; ok {
		return next, nil
	}
	return a.State, E(CodeWrongState, Defect{
		Field:   "state",
		Problem: Text{"当前状态为 " + string(a.State) + "，不能 " + string(step), "it is " + string(a.State) + ": no " + string(step) + " now"},
		Allowed: join(slices.Sorted(maps.Keys(possible))),
	})
}

// Filers are the accounts that wrote or submitted a: none of them answers it.
func (a Application) Filers() []string {
	accounts := []string{a.Created.By.Account}
	for _, s := range []*Submission{a.Filed, a.Complete} {
		if s != nil {
			accounts = append(accounts, s.By.Account)
		}
	}
	return accounts
}
