package state

import (
	"iter"
	"strings"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
)

// Claim returns who claims to be the one source of an item of an entity.
func (t *Tx) Claim(entity bus.EntityID, item bus.ItemID) (bus.Claim, bool) {
	return read[bus.Claim](t, Claims, claimKey(entity, item))
}

// Claims yields all claims by entity and item.
func (t *Tx) Claims() iter.Seq[bus.Claim] { return all[bus.Claim](t, Claims) }

func claimKey(entity bus.EntityID, item bus.ItemID) string {
	return string(entity) + "/" + string(item)
}

// Arbiter returns the data authority that decides between the source of a claim
// and a resource that disputes it: that of the lowest division that both are of.
func (t *Tx) Arbiter(c bus.Claim, second bus.ResourceID) (authority bus.USCC, ok bool) {
	source, _ := c.Source()
	other, _ := c.Claimant(second)
	a, _ := t.Department(source.Department)
	b, _ := t.Department(other.Department)
	above := t.Chain(a.Division)
	for _, code := range t.Chain(b.Division) {
		for _, candidate := range above {
			if code == candidate {
				return t.authorityOf(code)
			}
		}
	}
	return "", false
}

// SeesClaim reports whether p may look at a claim: a claimant's department may,
// and whoever may look at a claimant's drafts or decides.
func (t *Tx) SeesClaim(p bus.Principal, c bus.Claim) bool {
	if p.Role.Administrator() {
		return true
	}
	for _, x := range c.Claimants {
		if t.Sees(p, x.Department) {
			return true
		}
		if arbiter, ok := t.Arbiter(c, x.Resource); ok && arbiter == p.Department {
			return true
		}
	}
	return false
}

// Conflicts lists the items of a draft that another resource is the source of.
func (t *Tx) Conflicts(d bus.Draft) []bus.Conflict {
	var conflicts []bus.Conflict
	for _, item := range sources(d.Resource) {
		c, _ := t.Claim(d.Resource.Entity, item)
		source, ok := c.Source()
		if !ok || source.Resource == d.ID {
			continue
		}
		own, _ := c.Claimant(d.ID)
		conflicts = append(conflicts, bus.Conflict{Entity: c.Entity, Item: c.Item, Source: source, Standing: own.Standing})
	}
	return conflicts
}

// sources are the items that a resource claims to be the one source of.
func sources(r bus.Resource) []bus.ItemID {
	var items []bus.ItemID
	for _, item := range r.Items {
		if item.Source && r.Entity != "" {
			items = append(items, item.ID)
		}
	}
	return items
}

// enter makes the entry a claimant for the items that its draft marks.
func (f *filing) enter() error {
	for _, item := range sources(f.draft.Resource) {
		c, _ := f.tx.Claim(f.draft.Resource.Entity, item)
		if _, there := c.Claimant(f.id); there {
			continue
		}
		c.Entity, c.Item = f.draft.Resource.Entity, item
		if err := f.putClaim(c.Enter(f.id, f.draft.Resource.Provider, f.at)); err != nil {
			return err
		}
	}
	return nil
}

// leave takes the entry out of the claims of one resource that another, which
// stays, does not make.
func (f *filing) leave(gone, stays bus.Resource) error {
	kept := map[string]bool{}
	for _, item := range sources(stays) {
		kept[claimKey(stays.Entity, item)] = true
	}
	for _, item := range sources(gone) {
		if kept[claimKey(gone.Entity, item)] {
			continue
		}
		c, ok := f.tx.Claim(gone.Entity, item)
		if !ok {
			continue
		}
		if err := f.putClaim(c.Leave(f.id)); err != nil {
			return err
		}
	}
	return nil
}

func (f *filing) putClaim(c bus.Claim) error {
	if len(c.Claimants) == 0 && len(c.Decisions) == 0 {
		f.changes = append(f.changes, Change{Claims, claimKey(c.Entity, c.Item), nil})
		return nil
	}
	c.Revision = f.index
	return f.put(Claims, claimKey(c.Entity, c.Item), c)
}

// undecided refuses a draft whose claims the authority has not decided on.
func (f *filing) undecided() error {
	refusal := bus.E(bus.CodeClaim)
	for _, c := range f.tx.Conflicts(f.draft) {
		if c.Standing == bus.StandingDisputed {
			refusal.Defects = append(refusal.Defects, bus.Defect{
				Field: "items[" + string(c.Item) + "].source",
				Problem: bus.Text{
					ZH: "已有数据源：部门 " + string(c.Source.Department) + " 的 " + string(c.Source.Resource),
					EN: "the source is " + string(c.Source.Resource) + " of department " + string(c.Source.Department),
				},
				Allowed: "gxbus claim decide " + string(c.Entity) + " " + string(c.Item),
			})
		}
	}
	if len(refusal.Defects) == 0 {
		return nil
	}
	return refusal
}

func planClaimDecide(tx *Tx, r request[command.Decision]) ([]Change, error) {
	c, ok := tx.Claim(r.body.Entity, r.body.Item)
	if !ok || !tx.SeesClaim(r.Principal, c) {
		return nil, bus.NotFound("claim", claimKey(r.body.Entity, r.body.Item))
	}
	if err := expect(r.Expect, c.Revision, "claim", claimKey(r.body.Entity, r.body.Item)); err != nil {
		return nil, err
	}
	if strings.TrimSpace(r.body.Reason) == "" {
		return nil, bus.E(bus.CodeInvalid, bus.Defect{Field: "reason", Problem: bus.Text{ZH: "裁定须说明理由", EN: "a decision needs a reason"}})
	}
	decided, err := c.Decide(bus.ClaimDecision{
		Second: r.body.Resource, Transfer: r.body.Transfer, Reason: r.body.Reason, By: r.Principal, At: r.At,
	})
	if err != nil {
		return nil, err
	}
	if arbiter, ok := tx.Arbiter(c, r.body.Resource); !ok || arbiter != r.Principal.Department {
		return nil, bus.E(bus.CodeForbidden, bus.Defect{
			Field: "by", Problem: bus.Text{ZH: "由双方共同上级区划的数据主管部门裁定", EN: "the data authority of the lowest division that both are of decides"}, Allowed: string(arbiter),
		})
	}
	decided.Revision = r.index
	return set(Claims, claimKey(c.Entity, c.Item), decided)
}
