package exchange

import (
	"cmp"
	"context"
	"slices"
	"strings"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/policy"
)

// Access asks what a department may do with a resource.
type Access struct {
	Resource   bus.ResourceID
	Department bus.USCC
	System     bus.SystemID  // of the department, where one asks
	Purposes   []bus.Purpose // none: every one
	Matter     string
}

// maxGrants is how many grants of a resource an explanation tries, those that end
// last first.
const maxGrants = 10

// someCase stands for the case that a query will name: what may be asked is explained
// beforehand.
const someCase = "-"

// decision is one that a use needs, and where it is taken.
type decision struct {
	action policy.Action
	stage  policy.Stage
}

// steps are the decisions that a use of each sharing mode needs.
var steps = map[string][]decision{
	"batch": {
		{policy.ActionSubscribe, policy.StageConsumer}, {policy.ActionForward, policy.StageProvider}, {policy.ActionDeliver, policy.StageConsumer},
	},
	"interface": {{policy.ActionQuery, policy.StageConsumer}, {policy.ActionQuery, policy.StageProvider}},
	"file":      {{policy.ActionDownload, policy.StageConsumer}},
}

// Explain works out what a department may do with a resource now, by the very
// decisions that doing it would need, and records that it was told. It changes
// nothing. CodeNotFound for a resource or department that is not there.
func (x *Exchange) Explain(ctx context.Context, by bus.Principal, request string, q Access) (bus.Access, error) {
	var provider bus.USCC
	var modes []string
	var flows []flow // without a grant, then with each
	err := x.Directory.View(func(tx *state.Tx) error {
		r, ok := tx.Resource(q.Resource)
		if !ok {
			return bus.NotFound("resource", string(q.Resource))
		}
		if _, ok := tx.Department(q.Department); !ok {
			return bus.NotFound("department", string(q.Department))
		}
		provider, modes = r.Provider, r.Modes
		for _, grant := range append([]bus.Grant{{}}, grantsOf(tx, r.ID, q.Department)...) {
			f, ok := x.flow(tx, bus.Subscription{Resource: r.ID, Consumer: q.Department, System: q.System, Grant: grant.ID, Matter: q.Matter})
			if !ok {
				return bus.NotFound("resource", string(q.Resource))
			}
			flows = append(flows, f)
		}
		return nil
	})
	if err != nil {
		return bus.Access{}, err
	}
	for i := range flows {
		if err := x.aged(&flows[i].input); err != nil {
			return bus.Access{}, err
		}
	}
	purposes := q.Purposes
	if len(purposes) == 0 {
		purposes = bus.Purposes()
	}
	access := bus.Access{Resource: q.Resource, Department: q.Department, Uses: []bus.Use{}}
	for _, mode := range modes {
		for _, purpose := range purposes {
			access.Uses = append(access.Uses, x.use(ctx, mode, purpose, flows))
		}
	}
	return access, x.Record(ctx, audit.Record{
		Kind: audit.KindExplained, Principal: by, Request: request, Resource: q.Resource, Provider: provider, Consumer: q.Department,
		Matter: q.Matter, Detail: told(access),
	})
}

// grantsOf lists the grants of a resource to a department, those that end last
// first.
func grantsOf(tx *state.Tx, id bus.ResourceID, consumer bus.USCC) []bus.Grant {
	var grants []bus.Grant
	for g := range tx.Grants() {
		if g.Resource == id && g.Consumer == consumer {
			grants = append(grants, g)
		}
	}
	slices.SortFunc(grants, func(a, b bus.Grant) int {
		return cmp.Or(b.NotAfter.Compare(a.NotAfter), cmp.Compare(a.ID, b.ID))
	})
	return grants[:min(len(grants), maxGrants)]
}

// use is the best that a department can do: without a grant, or with one of its.
func (x *Exchange) use(ctx context.Context, mode string, purpose bus.Purpose, flows []flow) bus.Use {
	var best bus.Use
	for i, f := range flows {
		f.input.Purpose = purpose
		u := x.under(ctx, f, steps[mode])
		u.Purpose = purpose
		if i == 0 || better(u, best) {
			best = u
		}
	}
	return best
}

// better reports whether a tells more than b: what is allowed, with more items, or
// lacks less.
func better(a, b bus.Use) bool {
	switch {
	case a.Allowed != b.Allowed:
		return a.Allowed
	case a.Allowed:
		return len(a.Items) > len(b.Items)
	default:
		return len(a.Missing) < len(b.Missing)
	}
}

// under takes the decisions of one use under one grant, or none. It is allowed
// where each of them is; what each lets through, in the strictest mask, passes.
func (x *Exchange) under(ctx context.Context, f flow, decisions []decision) bus.Use {
	u := bus.Use{Allowed: len(decisions) > 0, Grant: f.subscription.Grant}
	if f.input.Grant != nil {
		u.Until = f.input.Grant.NotAfter.Time
	}
	var verdicts []bus.Verdict
	for _, next := range decisions {
		u.Action = cmp.Or(u.Action, string(next.action))
		f.input.Action, f.input.Stage = next.action, next.stage
		if next.action == policy.ActionQuery {
			f.input.Case = someCase
		}
		d := x.decide(ctx, f)
		u.Allowed = u.Allowed && d.Allow
		for _, r := range d.Reasons {
			if !slices.ContainsFunc(u.Missing, func(m bus.Missing) bool { return m.Layer == r.Layer && m.Code == r.Code }) {
				u.Missing = append(u.Missing, bus.Missing{Reason: r, Next: f.remedy(r, next.action)})
			}
		}
		items := d.Obligations.Items
		if items == nil {
			items = []bus.ItemID{} // in a verdict nil stands for all
		}
		verdicts = append(verdicts, bus.Verdict{Layer: bus.BaseLayer, Allow: d.Allow, Items: items, Masks: d.Obligations.Masks,
			Rows: d.Obligations.Rows, Limits: d.Obligations.Limits, Watermark: d.Obligations.Watermark})
	}
	if u.Allowed {
		_, _, o := bus.Combine(itemsOf(f.resource), verdicts)
		u.Items, u.Masks = o.Items, o.Masks
	}
	return u
}

func itemsOf(r bus.Resource) []bus.ItemID {
	ids := make([]bus.ItemID, len(r.Items))
	for i, it := range r.Items {
		ids[i] = it.ID
	}
	return ids
}

// told is an explanation in one line.
func told(a bus.Access) string {
	var words []string
	for _, u := range a.Uses {
		word := u.Action + " for " + string(u.Purpose)
		if !u.Allowed {
			word = "no " + word
		}
		words = append(words, word)
	}
	if len(words) == 0 {
		return "nothing"
	}
	return strings.Join(words, ", ")
}
