package bus

import (
	"cmp"
	"fmt"
	"slices"
	"time"
)

// SharingOf says how the items of r are shared that c asks for: unconditionally
// only if each is (decree 809 art. 21).
func (c ApplicationContent) SharingOf(r Resource) SharingType {
	if r.Sharing.Type != Unconditional {
		return r.Sharing.Type
	}
	for _, id := range c.Items {
		if item, _ := r.Item(id); item.Sharing == Conditional {
			return Conditional
		}
	}
	return Unconditional
}

// Gate returns everything that keeps c from being submitted at at, all at once: its
// defects of form, what decree 809 art. 20 wants and it lacks, and what it asks for
// that r, the version in force, does not offer.
func (c ApplicationContent) Gate(r Resource, at time.Time) []Defect {
	defects := c.Check()
	want := func(field string, filled bool, allowed string) {
		if !filled {
			lacking := missing(field)
			lacking.Allowed = allowed
			defects = append(defects, lacking)
		}
	}
	want("resource", c.Resource != "", "")
	want("basis", filled(c.Basis), "")
	want("scenario", filled(c.Scenario), "")
	want("items", len(c.Items) > 0, "")
	want("division", c.Division != "", "")
	want("mode", c.Mode != "", join(served))
	want("purposes", len(c.Purposes) > 0, join(purposes))
	want("until", !c.Until.IsZero(), "")
	if !c.Until.IsZero() && !c.Until.After(at) {
		defects = append(defects, Defect{"until", Text{"使用时限已过", "it is past"}, "a time to come"})
	}
	if r.ID == "" {
		return defects
	}
	if c.Department == r.Provider {
		defects = append(defects, Defect{"resource", Text{"本部门的数据无需申请", "a department needs no consent to its own data"}, "a resource of another department"})
	}
	if c.Version != r.Version {
		defects = append(defects, Defect{"version", Text{"不是目录现行版本", "not the version in force"}, fmt.Sprint(r.Version)})
	}
	return append(defects, c.outside(r)...)
}

// outside lists the mode, items and purposes that the directory entry does not offer,
// or no node serves.
func (c ApplicationContent) outside(r Resource) []Defect {
	defects := c.unserved(r)
	for i, id := range c.Items {
		item, ok := r.Item(id)
		at := fmt.Sprintf("items[%d]", i)
		switch {
		case !ok:
			defects = append(defects, Defect{at, Text{"不存在：" + string(id), "does not exist: " + string(id)}, "an item of the resource"})
		case item.Sharing == NotShared:
			defects = append(defects, Defect{at, Text{"该信息项不予共享：" + string(id), "this item is not shared: " + string(id)}, "an item that is shared"})
		}
	}
	for i, p := range c.Purposes {
		if listed := r.Sharing.Purposes; !slices.Contains(listed, p) && (len(listed) > 0 || r.Sharing.Type == Conditional) {
			defects = append(defects, Defect{
				fmt.Sprintf("purposes[%d]", i), Text{"超出目录载明的使用用途：" + string(p), "not among the purposes of the directory entry: " + string(p)}, join(listed),
			})
		}
	}
	return defects
}

// unserved returns the defect of a mode in which nobody gets r's data.
func (c ApplicationContent) unserved(r Resource) []Defect {
	problem := Text{"目录未提供该共享方式：" + c.Mode, "not a mode of the directory entry: " + c.Mode}
	switch {
	case c.Mode == "" || slices.Contains(r.Modes, c.Mode) && slices.Contains(served, c.Mode):
		return nil
	case slices.Contains(r.Modes, c.Mode):
		problem = Text{"目录载明该共享方式，但总线不提供：" + c.Mode, "a mode of the directory entry that the bus does not serve: " + c.Mode}
	}
	allowed := slices.DeleteFunc(slices.Clone(served), func(m string) bool { return !slices.Contains(r.Modes, m) })
	return []Defect{{"mode", problem, cmp.Or(join(allowed), "none: ask the provider to offer "+join(served))}}
}

// GateRenewal returns what keeps c from asking that g run on: it has ended, or c
// asks for more than g gives. More time is all that a renewal adds.
func (c ApplicationContent) GateRenewal(g Grant, at time.Time, within Within) []Defect {
	var defects []Defect
	refuse := func(field, zh, en, allowed string) {
		defects = append(defects, Defect{field, Text{zh, en}, allowed})
	}
	switch {
	case g.Revoked != "":
		refuse("renews", "授权已终止，须重新申请", "the grant has ended: apply anew", "a grant that stands")
	case !at.Before(g.NotAfter):
		refuse("renews", "授权已到期，须重新申请", "the grant has expired: apply anew", "a grant before its end")
	}
	if !c.Until.IsZero() && !c.Until.After(g.NotAfter) {
		refuse("until", "续期应晚于原截止时间", "no later than the grant ends", "later than "+g.NotAfter.UTC().Format(time.RFC3339))
	}
	if g.Consent != nil && c.Mode != "" && c.Mode != g.Consent.Mode {
		refuse("mode", "续期不改变共享方式", "a renewal keeps the mode of the grant", g.Consent.Mode)
	}
	given := limits{g.Items, g.Purposes, g.Matters, g.Division}
	asked := limits{c.Items, c.Purposes, c.Matters, c.Division}
	return append(defects, asked.beyond(given, within)...)
}

// Within reports whether a division is another or lies below it.
type Within func(code, root DivisionCode) bool

// limits are what bounds a use.
type limits struct {
	items    []ItemID
	purposes []Purpose
	matters  []string     // none: any
	division DivisionCode // none: all
}

// beyond lists what l has that other does not.
func (l limits) beyond(other limits, within Within) []Defect {
	defects := absent("items", l.items, other.items)
	defects = append(defects, absent("purposes", l.purposes, other.purposes)...)
	if len(other.matters) > 0 {
		if len(l.matters) == 0 {
			defects = append(defects, Defect{"matters", Text{"超出范围：未限定事项", "any matter is more than these"}, join(other.matters)})
		}
		defects = append(defects, absent("matters", l.matters, other.matters)...)
	}
	if other.division != "" && l.division != "" && !within(l.division, other.division) {
		defects = append(defects, Defect{"division", Text{"超出范围：" + string(l.division), "outside the range: " + string(l.division)}, string(other.division) + " and below"})
	}
	return defects
}

// absent lists the values that are not among others.
func absent[T ~string](field string, values, others []T) []Defect {
	var defects []Defect
	for i, v := range values {
		if !slices.Contains(others, v) {
			defects = append(defects, Defect{fmt.Sprintf("%s[%d]", field, i), Text{"超出范围：" + string(v), "outside the range: " + string(v)}, join(others)})
		}
	}
	return defects
}
