package evaluation

import (
	"fmt"
	"iter"
	"slices"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
)

// Case is one thing that was due of a department, and what became of it. It counts
// for Due, and where it was met for Met.
type Case struct {
	Ref        Ref       `json:"ref"`
	Due        bus.Count `json:"due"`
	Met        bus.Count `json:"met,omitempty"`
	Department bus.USCC  `json:"department"`
	At         time.Time `json:"at"` // decides on the window, and on whose it is
	N          int64     `json:"n"`
	MetN       int64     `json:"met_n"`
	Started    time.Time `json:"started,omitzero"`
	Deadline   time.Time `json:"deadline,omitzero"`
	Done       time.Time `json:"done,omitzero"`
	Text       bus.Text  `json:"text"` // what became of it, in words
	Attributes `json:"-"`
}

// facts gives what c counts for.
func (c Case) facts(yield func(Fact) bool) bool {
	f := Fact{Count: c.Due, At: c.At, Department: c.Department, N: c.N, Ref: c.Ref, Attributes: c.Attributes}
	if !yield(f) {
		return false
	}
	if c.MetN == 0 {
		return true
	}
	f.Count, f.N = c.Met, c.MetN
	return yield(f)
}

// FactsOf gives what cases count for.
func FactsOf(cases []Case) iter.Seq[Fact] {
	return func(yield func(Fact) bool) {
		for _, c := range cases {
			if !c.facts(yield) {
				return
			}
		}
	}
}

// Directory is what the directory says that an evaluation rests on.
type Directory struct {
	Days         []calendar.Day                   `json:"days"`     // that are announced to differ from an ordinary week
	Versions     map[bus.ResourceID][]bus.Version `json:"versions"` // each resource's, the first one first
	Applications []bus.Application                `json:"applications"`
	Grants       []bus.Grant                      `json:"grants"`
	Triggers     []bus.Trigger                    `json:"triggers"`
	Corrections  []bus.Correction                 `json:"corrections"`
	Disputes     []bus.Dispute                    `json:"disputes"`
	Departments  []bus.Department                 `json:"departments"`
	Divisions    []bus.Division                   `json:"divisions"`
	Nodes        []bus.Node                       `json:"nodes"`
	Homes        map[bus.USCC]bus.NodeID          `json:"homes"`                 // the node that serves each department
	Attachments  []bus.Attachment                 `json:"attachments,omitempty"` // what those nodes' probes found
}

// view is one look at the directory, over one window.
type view struct {
	*Directory
	days      calendar.Calendar
	window    Window
	grants    map[bus.GrantID]bus.Grant
	divisions bus.Divisions
	of        map[bus.USCC]bus.DivisionCode
	cases     []Case
}

// Cases gives what was due in a window by what the directory says. It does not
// matter what is known after its end, but for a late answer, which is told.
func (d *Directory) Cases(w Window) []Case {
	v := &view{Directory: d, days: calendar.New(d.Days), window: w, grants: map[bus.GrantID]bus.Grant{}, divisions: bus.Divisions{}, of: map[bus.USCC]bus.DivisionCode{}}
	for _, g := range d.Grants {
		v.grants[g.ID] = g
	}
	for _, x := range d.Divisions {
		v.divisions[x.Code] = x
	}
	for _, x := range d.Departments {
		v.of[x.ID] = x.Division
	}
	v.entries()
	v.triggers()
	v.applications()
	v.corrections()
	v.disputes()
	slices.SortStableFunc(v.cases, func(a, b Case) int { return a.At.Compare(b.At) })
	return v.cases
}

// add adds a case of a resource, for the department that owns it then.
func (v *view) add(id bus.ResourceID, c Case) {
	if !v.window.Has(c.At) {
		return
	}
	if c.Department == "" {
		c.Department = v.owner(id, c.At)
	}
	c.Resource = id
	if version, ok := v.version(id, c.At); ok {
		if c.Sharing == "" {
			c.Sharing = version.Resource.Sharing.Type
		}
		c.Cycle = version.Resource.UpdateCycle
	}
	if c.N == 0 {
		c.N = 1
	}
	v.cases = append(v.cases, c)
}

// version is the version of a resource's entry that was in force at at; nil before the
// first one. ok is false where it was withdrawn by then.
func (d *Directory) version(id bus.ResourceID, at time.Time) (v *bus.Version, ok bool) {
	versions := d.Versions[id]
	for i := len(versions) - 1; i >= 0; i-- {
		if v := &versions[i]; !v.Resource.Published.After(at) {
			return v, v.Withdrawn == nil || v.Withdrawn.Approved.At.After(at)
		}
	}
	return nil, false
}

// owner is the department that provided a resource at at: departments are merged,
// and what they owed is then another's.
func (d *Directory) owner(id bus.ResourceID, at time.Time) bus.USCC {
	versions := d.Versions[id]
	if len(versions) == 0 {
		return ""
	}
	owner := versions[0].Resource.Provider
	for i := range versions[1:] {
		if v := &versions[i+1]; !v.Resource.Published.After(at) {
			owner = v.Resource.Provider
		}
	}
	return owner
}

// entries are those that are published at the end of the window: what they lack (A1),
// whether they are limited lawfully (A3), and whether they can be shared (B1).
func (v *view) entries() {
	at := lastOf(v.window.To)
	for id := range v.Versions {
		version, ok := v.version(id, at)
		if !ok {
			continue
		}
		ref := Ref(fmt.Sprintf("resource/%s/%d", id, version.Resource.Version))
		draft := bus.Draft{Resource: version.Resource, Clearance: version.Clearance}
		required, lacking := draft.Elements()
		v.add(id, Case{
			Ref: ref, Due: bus.CountElementsRequired, Met: bus.CountElementsFilled, At: at, N: int64(required), MetN: int64(required - len(lacking)), Text: filledIn(required, lacking),
		})
		if version.Resource.Limited() {
			missing := version.Resource.Ungrounded()
			c := Case{Ref: ref, Due: bus.CountLimitsStated, Met: bus.CountLimitsGrounded, At: at, MetN: 1, Text: bus.Text{ZH: "限制共享的依据齐备", EN: "the limit is grounded"}}
			if len(missing) > 0 {
				c.MetN, c.Text = 0, lacks(missing)
			}
			v.add(id, c)
		}
	}
}

func filledIn(required int, lacking []bus.Defect) bus.Text {
	if len(lacking) == 0 {
		return bus.Text{ZH: fmt.Sprintf("%d 项要素齐备", required), EN: fmt.Sprintf("all %d elements are filled", required)}
	}
	return lacks(lacking)
}

func lacks(defects []bus.Defect) bus.Text {
	fields := ""
	for i, d := range defects {
		if i > 0 {
			fields += ", "
		}
		fields += d.Field
	}
	return bus.Text{ZH: "缺少：" + fields, EN: "lacks " + fields}
}

// triggers are changes of entries that were due (A2).
func (v *view) triggers() {
	for _, t := range v.Triggers {
		due := v.days.Deadline(t.At, bus.ChangeDays+granted(t.Extension, v.days.Deadline(t.At, bus.ChangeDays).Due)).Due
		c := Case{
			Ref: Ref(fmt.Sprintf("trigger/%s/%d", t.Resource, t.Number)), Due: bus.CountTriggersDue, Met: bus.CountTriggersMet,
			At: lastOf(due), Started: t.At, Deadline: due,
		}
		c.judge(t.Met)
		v.add(t.Resource, c)
	}
}

// lastOf is the last moment of a term that ends at due: 24:00 belongs to the day
// that ends, and to its window.
func lastOf(due time.Time) time.Time { return due.Add(-time.Nanosecond) }

// granted is by how many working days a term that ends at due was extended: an
// extension counts only where the consent came before.
func granted(e *bus.Extension, due time.Time) int {
	if e.Granted() == 0 || !e.Consent.At.Before(due) {
		return 0
	}
	return e.Days
}

// judge settles c by when it was done, nil for not yet.
func (c *Case) judge(done *time.Time) {
	switch {
	case done == nil:
		c.Text = bus.Text{ZH: "逾期未办", EN: "not done when it was due"}
	case done.Before(c.Deadline):
		c.Done, c.MetN, c.Text = *done, 1, bus.Text{ZH: "按时办结", EN: "done in time"}
	default:
		c.Done, c.Text = *done, bus.Text{ZH: "逾期办结", EN: "done late"}
	}
}
