package state

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
)

// planApplicationPut writes the draft of an application, or completes one that came
// back. What is there must be well-formed; what is missing may come later.
func planApplicationPut(tx *Tx, r request[command.Application]) ([]Change, error) {
	have, _ := tx.Application(r.body.ID)
	if err := files(r.Principal, r.body.Content.Department); err != nil { // first: others learn no more than this
		return nil, err
	}
	if have.Revision != 0 && r.Expect != 0 && have.Content.Department != r.Principal.Department {
		return nil, bus.NotFound("application", string(r.body.ID))
	}
	if err := expect(r.Expect, have.Revision, "application", string(r.body.ID)); err != nil {
		return nil, err
	}
	next, err := have.After(bus.ApplyWrite)
	if err != nil {
		return nil, err
	}
	if err := bus.Invalid(append(bus.CheckID("id", r.body.ID), r.body.Content.Check()...)); err != nil {
		return nil, err
	}
	res, ok := tx.Resource(r.body.Content.Resource)
	if r.body.Content.Resource != "" && !ok {
		return nil, bus.E(bus.CodeInvalid, unknown("resource", string(r.body.Content.Resource)))
	}
	if res.Sharing.Type == bus.NotShared {
		return nil, notShared(res)
	}
	if have.Revision == 0 {
		have.ID, have.Created = r.body.ID, bus.Submission{By: r.Principal, At: r.At}
	}
	have.Content, have.State, have.Revision = r.body.Content, next, r.index
	return set(Applications, string(have.ID), have)
}

// notShared refuses an application for what the directory says is not shared.
func notShared(r bus.Resource) error {
	d := bus.Defect{Field: "resource", Problem: bus.Text{ZH: "不予共享：" + r.Sharing.Reason, EN: "not shared: " + r.Sharing.Reason}}
	if r.Sharing.Basis != nil {
		d.Problem.ZH += "（" + r.Sharing.Basis.Citation + "）"
		d.Problem.EN += " (" + r.Sharing.Basis.Citation + ")"
	}
	return bus.E(bus.CodeNotShared, d)
}

// files refuses who may not write applications for a department: its operators do.
func files(p bus.Principal, department bus.USCC) error {
	if p.Role == bus.RoleOperator && p.Department == department {
		return nil
	}
	return bus.E(bus.CodeForbidden, bus.Defect{
		Field: "department", Problem: bus.Text{ZH: "由申请部门的经办人办理", EN: "an operator of the applying department does"}, Allowed: string(p.Department),
	})
}

// application finds one at a revision; what the principal may not see is not there.
func application(tx *Tx, e command.Entry, id bus.ApplicationID) (bus.Application, error) {
	a, ok := tx.Application(id)
	if !ok || !tx.SeesApplication(e.Principal, a) {
		return a, bus.NotFound("application", string(id))
	}
	return a, expect(e.Expect, a.Revision, "application", string(id))
}

func planApplicationDelete(tx *Tx, r request[command.Key]) ([]Change, error) {
	a, err := application(tx, r.Entry, bus.ApplicationID(r.body.ID))
	if err != nil {
		return nil, err
	}
	if err := files(r.Principal, a.Content.Department); err != nil {
		return nil, err
	}
	if _, err := a.After(bus.ApplyDiscard); err != nil {
		return nil, err
	}
	return []Change{{Applications, string(a.ID), nil}}, nil
}

// planApplicationSubmit files an application whole or not at all. What is shared
// unconditionally is answered in the same entry.
func planApplicationSubmit(tx *Tx, r request[command.Key]) ([]Change, error) {
	a, err := application(tx, r.Entry, bus.ApplicationID(r.body.ID))
	if err != nil {
		return nil, err
	}
	if err := files(r.Principal, a.Content.Department); err != nil {
		return nil, err
	}
	next, err := a.After(bus.ApplySubmit)
	if err != nil {
		return nil, err
	}
	res, _ := tx.Resource(a.Content.Resource)
	if res.Sharing.Type == bus.NotShared {
		return nil, notShared(res)
	}
	if defects := tx.Lacking(a.Content, r.At); len(defects) > 0 {
		return nil, bus.E(bus.CodeIncomplete, defects...)
	}
	a.State, a.Revision, a.Sharing = next, r.index, a.Content.SharingOf(res)
	a.Complete = &bus.Submission{By: r.Principal, At: r.At}
	if a.Filed == nil {
		a.Filed = a.Complete
	}
	if a.Sharing != bus.Unconditional {
		return set(Applications, string(a.ID), a)
	}
	verdict := bus.Review{By: bus.Principal{Node: r.Node}, At: r.At, Opinion: "无条件共享 / shared unconditionally"}
	return consent(tx, r.index, a, verdict, bus.Terms{})
}

// planApplicationAnswer is the answer of the provider's sharing office
// (共享工作机构). Nobody answers what they filed, nor their own department.
func planApplicationAnswer(tx *Tx, r request[command.Answer]) ([]Change, error) {
	a, err := application(tx, r.Entry, r.body.Application)
	if err != nil {
		return nil, err
	}
	if err := answers(tx, r.Principal, a); err != nil {
		return nil, err
	}
	verdict := bus.Review{By: r.Principal, At: r.At, Opinion: r.body.Opinion}
	narrowed := r.body.Verdict == command.VerdictApprove && r.body.Terms.Narrows()
	if strings.TrimSpace(r.body.Opinion) == "" && (r.body.Verdict != command.VerdictApprove || narrowed) {
		return nil, bus.E(bus.CodeInvalid, bus.Defect{Field: "opinion", Problem: bus.Text{
			ZH: "不予同意、部分同意、退回补正均须说明理由", EN: "a refusal, a consent to less and a return each say why",
		}})
	}
	switch r.body.Verdict {
	case command.VerdictApprove:
		return consent(tx, r.index, a, verdict, r.body.Terms)
	case command.VerdictRefuse:
		return settleApplication(r.index, a, bus.ApplyRefuse, func(a *bus.Application) { a.Answer = &verdict })
	case command.VerdictReturn:
		return settleApplication(r.index, a, bus.ApplyReturn, func(a *bus.Application) { a.Returned = &verdict })
	default:
		return nil, bus.E(bus.CodeInvalid, bus.Defect{
			Field: "verdict", Problem: bus.Text{ZH: "取值不允许：" + string(r.body.Verdict), EN: "value not allowed: " + string(r.body.Verdict)}, Allowed: "approve, refuse, return",
		})
	}
}

// answers refuses who may not speak for the provider of what is applied for.
func answers(tx *Tx, p bus.Principal, a bus.Application) error {
	provider := tx.Provider(a.Content.Resource)
	if p.Role != bus.RoleReviewer || p.Department != provider || p.Department == a.Content.Department {
		return bus.E(bus.CodeForbidden, bus.Defect{
			Field: "by", Problem: bus.Text{ZH: "由提供部门共享工作机构的审核人答复", EN: "a reviewer of the provider's sharing office answers"}, Allowed: string(provider),
		})
	}
	if slices.Contains(a.Filers(), p.Account) { // whoever they are by now
		return bus.E(bus.CodeForbidden, bus.Defect{Field: "by", Problem: bus.Text{ZH: "不得答复本人提交的申请", EN: "nobody answers what they filed"}, Allowed: "another reviewer"})
	}
	return nil
}

// settleApplication takes a step and writes what it leaves.
func settleApplication(index bus.Revision, a bus.Application, step bus.ApplicationStep, change func(*bus.Application)) ([]Change, error) {
	next, err := a.After(step)
	if err != nil {
		return nil, err
	}
	a.State, a.Revision = next, index
	change(&a)
	return set(Applications, string(a.ID), a)
}

// consent answers an application with a grant: a new one, or the one that it renews.
func consent(tx *Tx, index bus.Revision, a bus.Application, verdict bus.Review, terms bus.Terms) ([]Change, error) {
	res, ok := tx.Resource(a.Content.Resource)
	if !ok {
		return nil, bus.E(bus.CodeWrongState, bus.Defect{Field: "resource", Problem: bus.Text{ZH: "该资源已撤销", EN: "the resource was withdrawn"}, Allowed: "a refusal, with the reason"})
	}
	if res.Sharing.Type == bus.NotShared {
		return nil, notShared(res)
	}
	g, defects := a.Granted(terms, res, verdict.At, tx.within)
	defects = append(defects, tx.unkept(res, g.Division)...)
	if _, ok := tx.Division(terms.Division); terms.Division != "" && !ok {
		defects = append(defects, unknown("division", string(terms.Division)))
	}
	if err := bus.Invalid(defects); err != nil {
		return nil, err
	}
	if a.Content.Renews != "" {
		have, ok := tx.Grant(a.Content.Renews)
		if !ok || have.Revoked != "" {
			return nil, bus.E(bus.CodeWrongState, bus.Defect{Field: "renews", Problem: bus.Text{ZH: "授权已终止", EN: "the grant has ended"}, Allowed: "a refusal, with the reason"})
		}
		if !g.NotAfter.After(have.NotAfter) { // another renewal came first, or the terms give less than there is
			return nil, bus.E(bus.CodeWrongState, bus.Defect{
				Field: "until", Problem: bus.Text{ZH: "授权已到更晚的时间", EN: "the grant runs at least as long already"},
				Allowed: "later than " + have.NotAfter.Format(time.RFC3339) + ", or a refusal with the reason",
			})
		}
		g = have.Renew(g)
	} else {
		g.ID = freeGrantID(tx, a.ID)
	}
	g.Revision = index
	written, err := set(Grants, string(g.ID), g)
	if err != nil {
		return nil, err
	}
	verdict.Approved = true
	settled, err := settleApplication(index, a, bus.ApplyApprove, func(a *bus.Application) { a.Answer, a.Grant = &verdict, g.ID })
	return append(written, settled...), err
}

// freeGrantID is the application's own id, or that with the first number that makes
// it one nobody has.
func freeGrantID(tx *Tx, id bus.ApplicationID) bus.GrantID {
	const longest = 56 // leaves room for the number
	free, stem := bus.GrantID(id), strings.TrimRight(string(id[:min(len(id), longest)]), "-")
	for n := 2; tx.bytes(Grants, string(free)) != nil; n++ {
		free = bus.GrantID(fmt.Sprint(stem, "-", n))
	}
	return free
}

func planApplicationWithdraw(tx *Tx, r request[command.ApplicationWithdrawal]) ([]Change, error) {
	a, err := application(tx, r.Entry, r.body.Application)
	if err != nil {
		return nil, err
	}
	if r.Principal.Department != a.Content.Department {
		return nil, bus.E(bus.CodeForbidden, bus.Defect{Field: "by", Problem: bus.Text{ZH: "由申请部门撤回", EN: "the applying department withdraws it"}, Allowed: string(a.Content.Department)})
	}
	return settleApplication(r.index, a, bus.ApplyWithdraw, func(a *bus.Application) {
		a.Withdrawn = &bus.Submission{By: r.Principal, At: r.At, Reason: r.body.Reason}
	})
}

// planApplicationExtend asks for more time to answer, once and before it is due.
func planApplicationExtend(tx *Tx, r request[command.MoreTime]) ([]Change, error) {
	a, err := application(tx, r.Entry, r.body.Application)
	if err != nil {
		return nil, err
	}
	if err := answers(tx, r.Principal, a); err != nil {
		return nil, err
	}
	var defects []bus.Defect
	if r.body.Days < 1 || r.body.Days > bus.AnswerExtensionDays {
		defects = append(defects, bus.Defect{Field: "days", Problem: bus.Text{ZH: "延期天数超出范围", EN: "out of range"}, Allowed: fmt.Sprint("1–", bus.AnswerExtensionDays)})
	}
	if strings.TrimSpace(r.body.Reason) == "" {
		defects = append(defects, bus.Defect{Field: "reason", Problem: bus.Text{ZH: "延期须说明理由", EN: "an extension needs a reason"}})
	}
	if err := bus.Invalid(defects); err != nil {
		return nil, err
	}
	if _, err := a.After(bus.ApplyExtend); err != nil {
		return nil, err
	}
	if err := beforeDue(tx, r.Entry, a); err != nil {
		return nil, err
	}
	return settleApplication(r.index, a, bus.ApplyExtend, func(a *bus.Application) {
		a.Extension = &bus.Extension{Days: r.body.Days, Reason: r.body.Reason, By: r.Principal, At: r.At}
	})
}

// planApplicationConsent is the data authority's answer to that. It counts only if
// it comes before the answer was due.
func planApplicationConsent(tx *Tx, r request[command.MoreTimeConsent]) ([]Change, error) {
	a, err := application(tx, r.Entry, r.body.Application)
	if err != nil {
		return nil, err
	}
	authority, ok := tx.Authority(tx.Provider(a.Content.Resource))
	if !ok || r.Principal.Role != bus.RoleReviewer || r.Principal.Department != authority {
		return nil, bus.E(bus.CodeForbidden, bus.Defect{
			Field: "by", Problem: bus.Text{ZH: "由提供部门的数据主管部门同意", EN: "the provider's data authority consents"}, Allowed: string(authority),
		})
	}
	if a.State != bus.ApplicationPending || a.Extension == nil || a.Extension.Consent != nil {
		return nil, bus.E(bus.CodeWrongState, bus.Defect{Field: "extension", Problem: bus.Text{ZH: "没有待答复的延期申请", EN: "no extension is asked for"}})
	}
	if a.Extension.By.Account == r.Principal.Account {
		return nil, bus.E(bus.CodeForbidden, bus.Defect{Field: "by", Problem: bus.Text{ZH: "不得同意本人提出的延期", EN: "nobody consents to what they asked for"}, Allowed: "another reviewer"})
	}
	if err := beforeDue(tx, r.Entry, a); err != nil {
		return nil, err
	}
	extension := *a.Extension
	extension.Consent = &bus.Review{By: r.Principal, At: r.At, Approved: r.body.Approve, Opinion: r.body.Opinion}
	a.Extension, a.Revision = &extension, r.index
	return set(Applications, string(a.ID), a)
}

// beforeDue refuses what comes after the answer was due without an extension.
func beforeDue(tx *Tx, e command.Entry, a bus.Application) error {
	if due := tx.Calendar().Deadline(a.Complete.At, bus.AnswerDays); !e.At.Before(due.Due) {
		return bus.E(bus.CodeWrongState, bus.Defect{
			Field: "extension", Problem: bus.Text{ZH: "已超过答复期限，不再延期", EN: "the answer was due; there is no more time to ask for"}, Allowed: "before " + due.Due.UTC().Format("2006-01-02T15:04:05Z"),
		})
	}
	return nil
}
