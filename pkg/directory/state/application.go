package state

import (
	"iter"
	"slices"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
)

// Application returns the application with this id.
func (t *Tx) Application(id bus.ApplicationID) (bus.Application, bool) {
	return read[bus.Application](t, Applications, string(id))
}

// Applications yields all applications by id.
func (t *Tx) Applications() iter.Seq[bus.Application] { return all[bus.Application](t, Applications) }

// ApplicationsAfter yields the applications after id, in the order of their ids.
func (t *Tx) ApplicationsAfter(id bus.ApplicationID) iter.Seq[bus.Application] {
	return from[bus.Application](t, Applications, string(id)+"\x00")
}

// SeesApplication reports whether p may look at an application: its department may
// and, once it is submitted, the provider and the provider's data authority; the
// separated administrators see all.
func (t *Tx) SeesApplication(p bus.Principal, a bus.Application) bool {
	if p.Role.Administrator() || p.Department != "" && p.Department == a.Content.Department {
		return true
	}
	return a.Filed != nil && t.Sees(p, t.Provider(a.Content.Resource))
}

// SeesGrant reports whether p may look at a grant: its consumer and its provider
// may, and the provider's data authority; the separated administrators see all.
func (t *Tx) SeesGrant(p bus.Principal, g bus.Grant) bool {
	return p.Department != "" && p.Department == g.Consumer || t.Sees(p, t.Provider(g.Resource))
}

// within reports whether a division is root or lies below it.
func (t *Tx) within(code, root bus.DivisionCode) bool { return slices.Contains(t.Chain(code), root) }

// unkept returns the defect of a range (使用范围) that nothing would keep to: no item of
// a resource that is shared under a condition tells which division a row is about, and
// its provider's division lies outside.
func (t *Tx) unkept(r bus.Resource, root bus.DivisionCode) []bus.Defect {
	conditional := r.Sharing.Type == bus.Conditional || slices.ContainsFunc(r.Items, func(i bus.Item) bool { return i.Sharing == bus.Conditional })
	tells := slices.ContainsFunc(r.Items, func(i bus.Item) bool { return i.Semantic == bus.SemanticDivision })
	provider, _ := t.Department(r.Provider)
	if _, ok := t.Division(root); !ok || !conditional || tells || t.within(provider.Division, root) {
		return nil
	}
	return []bus.Defect{{
		Field:   "division",
		Problem: bus.Text{ZH: "该资源没有说明数据所属区划的信息项，范围无法执行", EN: "no item of the resource tells which division a row is about: nothing would keep to the range"},
		Allowed: string(provider.Division) + " or one above",
	}}
}

// Lacking lists all that keeps an application from being submitted at at.
func (t *Tx) Lacking(c bus.ApplicationContent, at time.Time) []bus.Defect {
	res, ok := t.Resource(c.Resource)
	defects := append(c.Gate(res, at), t.unkept(res, c.Division)...)
	if c.Resource != "" && !ok {
		defects = append(defects, unknown("resource", string(c.Resource)))
	}
	if _, ok := t.Division(c.Division); c.Division != "" && !ok {
		defects = append(defects, unknown("division", string(c.Division)))
	}
	if c.Renews == "" {
		return defects
	}
	g, ok := t.Grant(c.Renews)
	if !ok || g.Consumer != c.Department || g.Resource != c.Resource { // another's is as good as none
		return append(defects, unknown("renews", string(c.Renews)))
	}
	return append(defects, c.GateRenewal(g, at, t.within)...)
}

// ShownApplication is an application with what follows from the directory: whose
// it is to answer, until when, and when the data is due.
func (t *Tx) ShownApplication(days calendar.Calendar, a bus.Application, now time.Time) bus.Application {
	shown := bus.ApplicationShown{Provider: t.Provider(a.Content.Resource)}
	shown.Authority, _ = t.Authority(shown.Provider)
	if a.Complete != nil && a.State != bus.ApplicationReturned && a.State != bus.ApplicationWithdrawn {
		due := days.Deadline(a.Complete.At, a.Days())
		if a.State == bus.ApplicationPending {
			due = due.At(now)
		}
		shown.Answer = &due
	}
	if g, ok := t.Grant(a.Grant); a.Grant != "" && ok && g.Consent != nil && g.Consent.Application == a.ID {
		shown.Delivery = delivery(days, g, now)
	}
	a.Shown = &shown
	return a
}

// ShownGrant is a grant with where it is in its life, and what is due.
func ShownGrant(days calendar.Calendar, g bus.Grant, now time.Time) bus.Grant {
	g.Shown = &bus.GrantShown{State: g.State(now), Expiring: g.Expiring(now), Delivery: delivery(days, g, now)}
	if held, ok := g.Held(); ok && held.Step == bus.GrantRectify && g.Revoked == "" {
		due := days.Deadline(held.At, held.Days).At(now)
		g.Shown.Rectification = &due
	}
	return g
}

// delivery is when the first exchange under a grant is due, or was; none of one that
// no application led to.
func delivery(days calendar.Calendar, g bus.Grant, now time.Time) *bus.Deadline {
	if g.Consent == nil {
		return nil
	}
	due := days.Deadline(g.Consent.At, bus.DeliveryDays)
	if g.Delivered == nil {
		due = due.At(now)
	}
	return &due
}
