package bus

import (
	"fmt"
	"slices"
	"strings"
)

// Gate returns everything that keeps d from being published, all at once: its
// defects of form, what the entry lacks (decree 809 art. 13), a limit on sharing
// without the ground that the law wants beside it (art. 14, 15), and what should
// have been done before (art. 13). Fields are paths in the resource, as
// "items[2].grade", or in the clearance, as "clearance.consent".
func (d Draft) Gate() []Defect {
	defects := d.Resource.Check()
	if d.Resource.Secrecy != "" { // no draft has one; should one get here, it goes no further
		defects = append(defects, Defect{Field: "secrecy", Problem: Text{"涉密资源不得发布", "a resource with a secrecy mark is not published"}})
	}
	_, lacking := d.Elements()
	return append(defects, lacking...)
}

// wants says of an element that is required whether it is filled.
type wants struct {
	required int
	lacking  []Defect
}

func (w *wants) want(field string, filled bool, allowed string) {
	w.required++
	if !filled {
		lacking := missing(field)
		lacking.Allowed = allowed
		w.lacking = append(w.lacking, lacking)
	}
}

// Elements returns how many elements d requires (decree 809 art. 13), and those that
// it lacks.
func (d Draft) Elements() (required int, lacking []Defect) {
	var w wants
	r, want := d.Resource, w.want
	want("codes", len(r.Codes) > 0, resourceCode.String())
	want("name", filled(r.Name), "")
	want("abstract", filled(r.Abstract), "")
	want("format", r.Format != "", join(formats))
	want("items", len(r.Items) > 0, "")
	for i, item := range r.Items {
		at := fmt.Sprintf("items[%d]", i)
		want(at+".name", filled(item.Name), "")
		want(at+".type", item.Type != "", join(itemTypes))
		want(at+".grade", item.Grade != 0, "1–4")
	}
	if slices.ContainsFunc(r.Items, func(i Item) bool { return i.Source }) {
		want("entity", r.Entity != "", slugAllowed) // art. 19: a source of what about whom
	}
	r.ground(want)
	want("modes", len(r.Modes) > 0, join(modes))
	want("open", r.Open != "", join(opens))
	if r.Open == "conditional" {
		want("open_terms", filled(r.OpenTerms), "")
	}
	want("classification", filled(r.Class), "")
	want("update_cycle", r.UpdateCycle != "", join(cycles))
	want("clearance.secrecy_review", filled(d.Clearance.SecrecyReview), "")
	if slices.ContainsFunc(r.Items, Item.IsPersonal) {
		want("clearance.assessment", filled(d.Clearance.Assessment), "")
	}
	want("clearance.consent", filled(d.Clearance.Consent), "")
	return w.required, w.lacking
}

// Ungrounded returns what r lacks of the ground that the law wants beside a limit on
// sharing (decree 809 art. 14, 15): a valid basis, or range and purpose.
func (r Resource) Ungrounded() []Defect {
	var w wants
	r.ground(w.want)
	return append(r.Sharing.check(), w.lacking...)
}

// ground wants the sharing type, and what the law wants beside it. An item that is
// shared less than its resource has no ground of its own: the resource gives it.
func (r Resource) ground(want func(field string, filled bool, allowed string)) {
	s := r.Sharing
	want("sharing.type", s.Type != "", join(sharings))
	if r.limits(Conditional) {
		want("sharing.range", filled(s.Range), "")
		want("sharing.purposes", len(s.Purposes) > 0, join(purposes))
	}
	if r.limits(NotShared) {
		want("sharing.reason", filled(s.Reason), "")
		want("sharing.basis", s.Basis != nil, "")
		if s.Basis != nil {
			want("sharing.basis.kind", s.Basis.Kind != "", join(bases))
			want("sharing.basis.citation", filled(s.Basis.Citation), "")
		}
	}
}

// Limited reports whether r, or an item of it, is shared conditionally or not.
func (r Resource) Limited() bool { return r.limits(Conditional) || r.limits(NotShared) }

// limits reports whether r, or an item of what r shares, is shared as t says.
func (r Resource) limits(t SharingType) bool {
	return r.Sharing.Type == t ||
		r.Sharing.Type != NotShared && slices.ContainsFunc(r.Items, func(i Item) bool { return i.Sharing == t })
}

func filled(s string) bool { return strings.TrimSpace(s) != "" }
