package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
)

// filing is one act on the catalogue entry of a resource: by whom, when, on what
// is there, and the changes that it comes to.
type filing struct {
	tx      *Tx
	by      bus.Principal
	at      time.Time
	index   bus.Revision
	id      bus.ResourceID
	draft   bus.Draft    // zero where there is none
	inForce bus.Resource // zero where there is none
	state   bus.EntryState
	changes []Change
}

func file(tx *Tx, e command.Entry, index bus.Revision, id bus.ResourceID) *filing {
	f := &filing{tx: tx, by: e.Principal, at: e.At, index: index, id: id}
	var compiled, published bool
	f.draft, compiled = tx.Draft(id)
	f.inForce, published = tx.Resource(id)
	f.state = tx.stateOf(id, f.draft.State, compiled, published)
	return f
}

// EntryState returns where the catalogue entry of a resource is in its life.
func (t *Tx) EntryState(id bus.ResourceID) bus.EntryState {
	d, compiled := t.Draft(id)
	return t.stateOf(id, d.State, compiled, t.bytes(Resources, string(id)) != nil)
}

func (t *Tx) stateOf(id bus.ResourceID, of bus.EntryState, compiled, published bool) bus.EntryState {
	switch {
	case compiled:
		return of
	case published:
		return bus.StatePublished
	case t.bytes(retired, string(Resources)+"/"+string(id)) != nil:
		return bus.StateWithdrawn
	default:
		return bus.StateNone
	}
}

// Authority returns the data authority that reviews the entries of a department:
// that of its division, else of the nearest one above that has one.
func (t *Tx) Authority(department bus.USCC) (authority bus.USCC, ok bool) {
	d, _ := t.Department(department)
	return t.authorityOf(d.Division)
}

func (t *Tx) authorityOf(division bus.DivisionCode) (authority bus.USCC, ok bool) {
	for d, found := t.Division(division); found; d, found = t.Division(d.Parent) {
		if d.Authority != "" {
			return d.Authority, true
		}
	}
	return "", false
}

// Sees reports whether p may look at the drafts of a department: the department
// itself may, the data authority that reviews them, and the separated
// administrators.
func (t *Tx) Sees(p bus.Principal, provider bus.USCC) bool {
	if p.Role.Administrator() {
		return true
	}
	if p.Department == "" {
		return false
	}
	authority, _ := t.Authority(provider)
	return p.Department == provider || p.Department == authority
}

// compiles reports whether p may write and submit the drafts of a department.
func compiles(p bus.Principal, provider bus.USCC) bool {
	return bySystemAdministrator(p) || (bySystem(p) || p.Role == bus.RoleOperator) && p.Department == provider
}

// compiling refuses who may not.
func compiling(p bus.Principal, provider bus.USCC) error {
	if compiles(p, provider) {
		return nil
	}
	return bus.E(bus.CodeForbidden, bus.Defect{
		Field: "provider", Problem: bus.Text{ZH: "只能编制本部门的资源", EN: "only the resources of its own department"}, Allowed: string(p.Department),
	})
}

// provider is the department that the entry belongs to, or belonged to before it
// was withdrawn; "" where there is none.
func (f *filing) provider() bus.USCC {
	if f.draft.ID != "" {
		return f.draft.Resource.Provider
	}
	return f.tx.Provider(f.id)
}

// put plans the write of a value.
func (f *filing) put(table Table, key string, value any) error {
	changes, err := set(table, key, value)
	f.changes = append(f.changes, changes...)
	return err
}

// compile makes content the entry's draft, to be kept. Whether by may, the caller
// has asked.
func (f *filing) compile(content bus.DraftContent) error {
	res := content.Resource
	if err := res.Form(); err != nil {
		return err
	}
	if err := bus.Invalid(f.references(res)); err != nil {
		return err
	}
	next, err := f.state.After(bus.StepCompile)
	if err != nil {
		return err
	}
	f.recode(res.Codes)
	f.state = next
	f.draft = bus.Draft{
		ID: f.id, Resource: written(res), State: next, Clearance: content.Clearance, Review: f.draft.Review, Revision: f.index,
	}
	return nil
}

// keep plans the write of the draft as it is now.
func (f *filing) keep() error {
	f.list(f.draft.Awaits())
	return f.put(Drafts, string(f.id), f.draft)
}

// drop plans that the draft is there no more.
func (f *filing) drop() {
	f.list(false)
	f.changes = append(f.changes, Change{Drafts, string(f.id), nil})
}

// list plans that the draft stands among those that await their review, or not.
func (f *filing) list(awaits bool) {
	switch listed := f.tx.bytes(reviews, string(f.id)) != nil; {
	case awaits && !listed:
		f.changes = append(f.changes, Change{reviews, string(f.id), []byte("true")})
	case listed && !awaits:
		f.changes = append(f.changes, Change{reviews, string(f.id), nil})
	}
}

// written is a resource without what publication gives it.
func written(r bus.Resource) bus.Resource {
	r.Version, r.Published, r.Revision = 0, time.Time{}, 0
	return r
}

// references lists what a resource names that is not there, or is another's.
func (f *filing) references(res bus.Resource) []bus.Defect {
	var defects []bus.Defect
	if f.tx.bytes(Departments, string(res.Provider)) == nil {
		defects = append(defects, unknown("provider", string(res.Provider)))
	}
	if f.state == bus.StateWithdrawn {
		defects = append(defects, spent(f.tx, Resources, string(f.id))...)
	}
	if have := f.provider(); have != "" && have != res.Provider {
		defects = append(defects, bus.Defect{Field: "provider", Problem: bus.Text{ZH: "提供方不可变更", EN: "a resource's provider never changes"}, Allowed: string(f.inForce.Provider)})
	}
	for i, code := range res.Codes {
		if owner := f.tx.bytes(Codes, string(code)); owner != nil && string(owner) != string(f.id) {
			defects = append(defects, bus.Defect{
				Field:   fmt.Sprintf("codes[%d]", i),
				Problem: bus.Text{ZH: "目录代码已用于 " + string(owner), EN: "this code belongs to " + string(owner)},
			})
		}
	}
	return defects
}

// recode gives the entry these codes, beside those of the version in force, and
// lets go of what else its draft had.
func (f *filing) recode(codes []bus.ResourceCode) {
	for _, code := range f.draft.Resource.Codes {
		if !slices.Contains(codes, code) && !slices.Contains(f.inForce.Codes, code) {
			f.changes = append(f.changes, Change{Codes, string(code), nil})
		}
	}
	for _, code := range codes {
		if f.tx.bytes(Codes, string(code)) == nil {
			f.changes = append(f.changes, Change{Codes, string(code), []byte(f.id)})
		}
	}
}

// lacking lists what keeps the draft from review: what the gate finds, and that
// there is nobody to review it.
func (f *filing) lacking() []bus.Defect {
	defects := f.draft.Gate()
	if _, ok := f.tx.Authority(f.draft.Resource.Provider); !ok {
		defects = append(defects, bus.Defect{
			Field:   "provider",
			Problem: bus.Text{ZH: "该部门所在区划及上级均未设数据主管部门，无人审核", EN: "no division above the department has a data authority to review this"},
			Allowed: "gxbus division set-authority",
		})
	}
	return defects
}

// submit puts the draft up for review, whole or not at all; it is to be kept.
func (f *filing) submit() error {
	next, err := f.state.After(bus.StepSubmit)
	if err != nil {
		return err
	}
	if defects := f.lacking(); len(defects) > 0 {
		return bus.E(bus.CodeIncomplete, defects...)
	}
	f.state = next
	f.draft.State, f.draft.Revision = next, f.index
	f.draft.Submitted, f.draft.Review = &bus.Submission{By: f.by, At: f.at}, nil
	return errors.Join(f.enter(), f.meet())
}

// review answers a submission. Nobody answers their own, whoever they are by then.
func (f *filing) review(verdict bus.Review) error {
	authority, ok := f.tx.Authority(f.draft.Resource.Provider)
	if !ok || f.by.Role != bus.RoleReviewer || f.by.Department != authority {
		return bus.E(bus.CodeForbidden, bus.Defect{
			Field: "by", Problem: bus.Text{ZH: "由数据主管部门的审核人审核", EN: "a reviewer of the division's data authority reviews"}, Allowed: string(authority),
		})
	}
	step := bus.StepReturn
	if verdict.Approved {
		step = bus.StepApprove
	}
	next, err := f.state.After(step)
	if err != nil {
		return err
	}
	if f.draft.Submitted == nil || f.draft.Submitted.By.Account == f.by.Account {
		return bus.E(bus.CodeForbidden, bus.Defect{Field: "by", Problem: bus.Text{ZH: "不得审核本人提交的内容", EN: "nobody reviews what they submitted"}, Allowed: "another reviewer"})
	}
	asked := f.state
	f.state = next
	switch {
	case next == bus.StateWithdrawn:
		return f.withdraw(verdict)
	case asked == bus.StateWithdrawing: // the version in force stays
		f.drop()
		return nil
	case next == bus.StatePublished:
		return f.publish(verdict)
	}
	f.draft.State, f.draft.Review, f.draft.Revision = next, &verdict, f.index
	if err := f.leave(f.draft.Resource, f.inForce); err != nil { // what is back with its department claims nothing
		return err
	}
	return f.keep()
}

// publish puts the draft in force as the next version. The gate is asked again:
// it may know more than when the draft was submitted.
func (f *filing) publish(approval bus.Review) error {
	if defects := f.lacking(); len(defects) > 0 {
		return bus.E(bus.CodeIncomplete, defects...)
	}
	if err := f.undecided(); err != nil {
		return err
	}
	if err := f.leave(f.inForce, f.draft.Resource); err != nil {
		return err
	}
	res := f.draft.Resource
	res.Version, res.Published, res.Revision = f.inForce.Version+1, f.at, f.index
	for _, code := range f.inForce.Codes {
		if !slices.Contains(res.Codes, code) {
			f.changes = append(f.changes, Change{Codes, string(code), nil})
		}
	}
	f.drop()
	version := bus.Version{Resource: res, Clearance: f.draft.Clearance, Submitted: *f.draft.Submitted, Approved: approval}
	if err := f.put(Versions, versionKey(f.id, res.Version), version); err != nil {
		return err
	}
	return f.put(Resources, string(f.id), res)
}

// askWithdrawal puts the withdrawal of the version in force up for review.
func (f *filing) askWithdrawal(reason string) error {
	next, err := f.state.After(bus.StepWithdraw)
	if err != nil {
		return err
	}
	f.state = next
	f.draft = bus.Draft{
		ID: f.id, Resource: f.inForce, State: next, Revision: f.index, Submitted: &bus.Submission{By: f.by, At: f.at, Reason: reason},
	}
	if err := f.meet(); err != nil {
		return err
	}
	return f.keep()
}

// withdraw takes the version in force out of the directory: nothing is shared of
// a resource that is not there. Its versions stay, and so do its id and codes,
// which nobody else gets.
func (f *filing) withdraw(approval bus.Review) error {
	last, ok := f.tx.Version(f.id, f.inForce.Version)
	if !ok {
		return fmt.Errorf("resource %s is in force without version %d", f.id, f.inForce.Version) // the tables contradict each other
	}
	if err := f.leave(f.inForce, bus.Resource{}); err != nil {
		return err
	}
	last.Withdrawn = &bus.Withdrawal{Asked: *f.draft.Submitted, Approved: approval}
	f.changes = append(f.changes, retire(Resources, string(f.id))...)
	f.drop()
	return f.put(Versions, versionKey(f.id, f.inForce.Version), last)
}

// discard throws the draft away.
func (f *filing) discard() error {
	if _, err := f.state.After(bus.StepDiscard); err != nil {
		return err
	}
	f.recode(f.inForce.Codes)
	f.drop()
	return nil
}

// same reports whether content says what is written there already. A clearance
// that is left out is that which is there.
func same(content bus.DraftContent, res bus.Resource, clearance bus.Clearance) bool {
	if content.Clearance != (bus.Clearance{}) && content.Clearance != clearance {
		return false
	}
	a, errA := json.Marshal(written(content.Resource))
	b, errB := json.Marshal(written(res))
	return errA == nil && errB == nil && string(a) == string(b)
}
