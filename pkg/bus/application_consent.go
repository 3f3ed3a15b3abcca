package bus

import (
	"cmp"
	"time"
)

// Narrows reports whether t gives less than was applied for.
func (t Terms) Narrows() bool {
	return len(t.Items)+len(t.Purposes)+len(t.Matters) > 0 || t.Division != "" || !t.Until.IsZero()
}

// or fills what is empty from an application.
func (t Terms) or(c ApplicationContent) Terms {
	if len(t.Items) == 0 {
		t.Items = c.Items
	}
	if len(t.Purposes) == 0 {
		t.Purposes = c.Purposes
	}
	if len(t.Matters) == 0 {
		t.Matters = c.Matters
	}
	t.Division = cmp.Or(t.Division, c.Division)
	if t.Until.IsZero() {
		t.Until = c.Until
	}
	return t
}

// Granted returns the grant that consent to a at at comes to, or all that is wrong
// with the terms: they are wider than what was applied for, or than what r, the
// version in force, offers, or limit the matters where nothing in r does (decree
// 809 art. 15). The grant takes its conditions from r.
func (a Application) Granted(t Terms, r Resource, at time.Time, within Within) (Grant, []Defect) {
	c := a.Content
	full := t.or(c)
	given := limits{full.Items, full.Purposes, full.Matters, full.Division}
	defects := given.beyond(limits{c.Items, c.Purposes, c.Matters, c.Division}, within)
	if len(c.Matters) == 0 && len(t.Matters) > 0 {
		defects = append(defects, absent("matters", t.Matters, r.Matters)...)
	}
	if full.Until.After(c.Until) {
		defects = append(defects, Defect{"until", Text{"超出申请的使用时限", "later than was applied for"}, c.Until.UTC().Format(time.RFC3339)})
	}
	if !full.Until.After(at) {
		defects = append(defects, Defect{"until", Text{"使用时限已过", "it is past"}, "a time to come"})
	}
	c.Items, c.Purposes = full.Items, full.Purposes
	defects = append(defects, c.outside(r)...)
	begin := c.From
	if begin.Before(at) {
		begin = at
	}
	if !full.Until.After(begin) && full.Until.After(at) {
		defects = append(defects, Defect{"until", Text{"截止时间应晚于起始时间", "must be after from"}, "later than " + begin.UTC().Format(time.RFC3339)})
	}
	return Grant{
		Resource: c.Resource, Consumer: c.Department, Purposes: full.Purposes, Items: full.Items, Division: full.Division, Matters: full.Matters,
		NotBefore: begin, NotAfter: full.Until,
		Consent: &Consent{Application: a.ID, At: at, Version: r.Version, Range: r.Sharing.Range, Mode: c.Mode},
	}, defects
}

// Renew returns g as the grant that consent to its renewal came to makes it. It has
// begun when it did; and what is not yet delivered is not due any later.
func (g Grant) Renew(renewed Grant) Grant {
	next := g
	next.Purposes, next.Items, next.Division, next.Matters = renewed.Purposes, renewed.Items, renewed.Division, renewed.Matters
	next.NotAfter, next.Consent = renewed.NotAfter, renewed.Consent
	if g.Delivered == nil && g.Consent != nil {
		next.Consent.At = g.Consent.At
	}
	return next
}
