package state

import (
	"fmt"
	"slices"
	"strings"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
)

// planDivisionPut sets a division's name and data authority; what GB/T 2260 says of
// it stays.
func planDivisionPut(tx *Tx, r request[bus.Division]) ([]Change, error) {
	d := r.body
	have, ok := tx.Division(d.Code)
	if !ok {
		return nil, bus.NotFound("division", string(d.Code))
	}
	if err := expect(r.Expect, have.Revision, "division", string(d.Code)); err != nil {
		return nil, err
	}
	var defects []bus.Defect
	if strings.TrimSpace(d.Name) == "" {
		defects = append(defects, bus.Defect{Field: "name", Problem: bus.Text{ZH: "必填", EN: "required"}})
	}
	if d.Level != have.Level || d.Parent != have.Parent {
		defects = append(defects, bus.Defect{Field: "parent", Problem: bus.Text{ZH: "层级与上级区划不可变更", EN: "a division's level and parent never change"}})
	}
	if _, ok := tx.Department(d.Authority); d.Authority != "" && !ok {
		defects = append(defects, unknown("authority", string(d.Authority)))
	}
	if err := bus.Invalid(defects); err != nil {
		return nil, err
	}
	d.Revision = r.index
	return set(Divisions, string(d.Code), d)
}

func planDepartmentPut(tx *Tx, r request[bus.Department]) ([]Change, error) {
	d := r.body
	defects := d.Check()
	if _, ok := tx.Division(d.Division); d.Division != "" && !ok {
		defects = append(defects, unknown("division", string(d.Division)))
	}
	if _, ok := tx.Node(d.Node); d.Node != "" && !ok {
		defects = append(defects, unknown("node", string(d.Node)))
	}
	have, _ := tx.Department(d.ID)
	defects = append(defects, draining(tx, have, d)...)
	if err := bus.Invalid(defects); err != nil {
		return nil, err
	}
	if err := expect(r.Expect, have.Revision, "department", string(d.ID)); err != nil {
		return nil, err
	}
	if err := settled(tx, have, &d); err != nil {
		return nil, err
	}
	d.Revision = r.index
	return set(Departments, string(d.ID), d)
}

func planDepartmentDelete(tx *Tx, r request[command.Key]) ([]Change, error) {
	id := bus.USCC(r.body.ID)
	have, _ := tx.Department(id)
	if have.Revision == 0 {
		return nil, bus.NotFound("department", r.body.ID)
	}
	if err := expect(r.Expect, have.Revision, "department", r.body.ID); err != nil {
		return nil, err
	}
	if have.Move != nil {
		return nil, inUse("department", "a move to node "+string(have.Move.To))
	}
	for s := range tx.Systems() {
		if s.Department == id {
			return nil, inUse("department", "system "+string(s.ID))
		}
	}
	for res := range tx.Resources() {
		if res.Provider == id {
			return nil, inUse("department", "resource "+string(res.ID))
		}
	}
	for d := range tx.DraftsAfter("") {
		if d.Resource.Provider == id {
			return nil, inUse("department", "draft "+string(d.ID))
		}
	}
	for g := range tx.Grants() {
		if g.Consumer == id {
			return nil, inUse("department", "grant "+string(g.ID))
		}
	}
	if by := tx.caseOf(id); by != "" {
		return nil, inUse("department", by)
	}
	for a := range tx.Applications() {
		if a.Content.Department == id {
			return nil, inUse("department", "application "+string(a.ID))
		}
	}
	for d := range tx.Divisions() {
		if d.Authority == id {
			return nil, inUse("department", "division "+string(d.Code))
		}
	}
	for l := range tx.Libraries() {
		if l.Lead == id {
			return nil, inUse("department", "library "+string(l.ID))
		}
	}
	for a := range tx.Accounts() {
		if a.Department == id {
			return nil, inUse("department", "account "+a.Name)
		}
	}
	return leave(have)
}

func planSubscriptionPut(tx *Tx, r request[bus.Subscription]) ([]Change, error) {
	s := r.body
	defects := append(s.Check(), spent(tx, Subscriptions, string(s.ID))...)
	system, ok := tx.System(s.System)
	if s.System != "" && !ok {
		defects = append(defects, unknown("system", string(s.System)))
	}
	if ok && (system.Department != s.Consumer || r.Principal.Department != s.Consumer) {
		return nil, bus.E(bus.CodeForbidden)
	}
	res, ok := tx.Resource(s.Resource)
	if s.Resource != "" && !ok {
		defects = append(defects, unknown("resource", string(s.Resource)))
	}
	for i, id := range s.Items {
		if _, known := res.Item(id); ok && !known {
			defects = append(defects, unknown(fmt.Sprintf("items[%d]", i), string(id)))
		}
	}
	if g, ok := tx.Grant(s.Grant); s.Grant != "" && (!ok || g.Consumer != s.Consumer || g.Resource != s.Resource) {
		defects = append(defects, unknown("grant", string(s.Grant)))
	}
	if err := bus.Invalid(defects); err != nil {
		return nil, err
	}
	have, _ := tx.Subscription(s.ID)
	if have.Revision != 0 && have.Consumer != s.Consumer {
		return nil, bus.E(bus.CodeForbidden)
	}
	if err := expect(r.Expect, have.Revision, "subscription", string(s.ID)); err != nil {
		return nil, err
	}
	if have.Revision != 0 {
		if err := bus.Invalid(lasting(have, s)); err != nil {
			return nil, err
		}
	}
	s.Revision, s.Created, s.Replays, s.Paused = r.index, have.Created, have.Replays, have.Paused
	if have.Revision != 0 {
		s.Start = have.Start
	} else if s.Created = r.At; s.Start == bus.StartNow {
		s.Start = ""
	}
	return set(Subscriptions, string(s.ID), s)
}

// planSubscriptionStep pauses a subscription, lets it go on or begins it anew.
func planSubscriptionStep(tx *Tx, r request[command.SubscriptionStepped]) ([]Change, error) {
	have, ok := tx.Subscription(r.body.Subscription)
	if !ok || have.Consumer != r.Principal.Department {
		return nil, bus.NotFound("subscription", string(r.body.Subscription))
	}
	s, defects := have.Take(r.body.Step, r.body.From, r.At)
	if err := bus.Invalid(defects); err != nil {
		return nil, err
	}
	s.Revision = r.index
	return set(Subscriptions, string(s.ID), s)
}

// lasting finds what a change of a subscription would change that stays as it was:
// its place in the resource's log means something only together with these.
func lasting(have, s bus.Subscription) (defects []bus.Defect) {
	if have.Resource != s.Resource {
		defects = append(defects, bus.Defect{
			Field: "resource", Problem: bus.Text{ZH: "订阅的资源不可变更", EN: "a subscription's resource never changes"}, Allowed: string(have.Resource),
		})
	}
	if have.Source != s.Source || !slices.Equal(have.Types, s.Types) {
		defects = append(defects, bus.Defect{
			Field: "source, types", Problem: bus.Text{ZH: "订阅的事件来源和类型不可变更", EN: "a subscription's source and types never change"}, Allowed: "the same, or another subscription",
		})
	}
	if !slices.EqualFunc(have.Filters, s.Filters, bus.Filter.Equal) {
		defects = append(defects, bus.Defect{
			Field: "filters", Problem: bus.Text{ZH: "订阅的过滤条件不可变更", EN: "a subscription's filters never change"}, Allowed: "the same, or another subscription",
		})
	}
	return defects
}

// Ended is what is remembered of a subscription that was deleted.
type Ended struct {
	Resource bus.ResourceID `json:"resource"`
	Provider bus.USCC       `json:"provider"` // department, at that time
	Consumer bus.USCC       `json:"consumer"` // department
}

// Ended reports whether a subscription was deleted, and whose it was: its id is never
// used again.
func (t *Tx) Ended(id bus.SubscriptionID) (Ended, bool) {
	key := string(Subscriptions) + "/" + string(id)
	if string(t.bytes(retired, key)) == "true" { // deleted by a build that remembered no more
		return Ended{}, true
	}
	return read[Ended](t, retired, key)
}

func planSubscriptionDelete(tx *Tx, r request[command.Key]) ([]Change, error) {
	have, ok := tx.Subscription(bus.SubscriptionID(r.body.ID))
	if !ok || have.Consumer != r.Principal.Department {
		return nil, bus.NotFound("subscription", r.body.ID)
	}
	if err := expect(r.Expect, have.Revision, "subscription", r.body.ID); err != nil {
		return nil, err
	}
	resource, _ := tx.Resource(have.Resource)
	kept, err := set(retired, string(Subscriptions)+"/"+r.body.ID, Ended{have.Resource, resource.Provider, have.Consumer})
	return append(kept, Change{Subscriptions, r.body.ID, nil}), err
}
