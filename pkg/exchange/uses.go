package exchange

import (
	"fmt"
	"time"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/policy"
	"go.etcd.io/bbolt"
)

// scanned is how many leaves one page of use records reads at most: a page may so
// be short, or empty, and still say where to go on.
const scanned = 20_000

// Inspection says which use records are wanted; what is empty does not limit.
type Inspection struct {
	Resource bus.ResourceID
	Grant    bus.GrantID
	Consumer bus.USCC
	Span
}

// Inspects refuses, with CodeForbidden, who may not inspect how a resource was
// used: its provider may, the data authority of the provider's division or of one
// above, and the auditor (decree 809 art. 29).
func Inspects(tx *state.Tx, p bus.Principal, id bus.ResourceID) error {
	provider := tx.Provider(id)
	d, ok := tx.Department(provider)
	if !ok {
		return bus.NotFound("resource", string(id))
	}
	may := p.Role == bus.RoleAuditor || p.Department == provider
	for _, code := range tx.Chain(d.Division) {
		above, _ := tx.Division(code)
		may = may || p.Department != "" && p.Department == above.Authority
	}
	if may {
		return nil
	}
	return bus.E(bus.CodeForbidden, bus.Defect{
		Field: "resource", Problem: bus.Text{ZH: "由提供部门及其上级数据主管部门检查使用记录", EN: "the provider and the data authorities above it inspect its use"}, Allowed: string(provider),
	})
}

// Uses returns use records in the order of this node's evidence log, and the leaf
// to go on after, or -1 at the end of the log.
func (x *Exchange) Uses(q Inspection) (uses []bus.UseRecord, next int64, err error) {
	next, err = x.leaves(q.Span, func(_ *bbolt.Tx, leaf audit.Leaf) (bool, error) {
		use, ok := useOf(leaf)
		if ok = ok && q.wants(use); ok {
			uses = append(uses, use)
		}
		return ok, nil
	})
	return uses, next, err
}

// Span is a page of the evidence log.
type Span struct {
	From, To time.Time // To is exclusive
	After    int64     // a leaf, -1: from the beginning
	Limit    int
}

// leaves shows a page of the evidence log, leaf by leaf, until take has taken as many
// as the page may have, and returns the leaf to go on after, or -1 at the end.
func (x *Exchange) leaves(s Span, take func(*bbolt.Tx, audit.Leaf) (taken bool, err error)) (next int64, err error) {
	next = -1
	err = x.Store.View(func(tx *bbolt.Tx) error {
		size, err := x.Log.Size(tx)
		if err != nil {
			return err
		}
		from, err := x.firstSince(tx, s)
		if err != nil {
			return err
		}
		to, taken := min(size, from+scanned), 0
		for leaf, err := range x.Log.Records(tx, from, to) {
			if err != nil {
				return fmt.Errorf("read evidence: %w", err)
			}
			if !s.To.IsZero() && !leaf.Record.At.Before(s.To) {
				return nil
			}
			ok, err := take(tx, leaf)
			if err != nil {
				return err
			}
			if ok {
				taken++
			}
			if taken == s.Limit && leaf.Index+1 < size {
				next = leaf.Index
				return nil
			}
		}
		if to < size {
			next = to - 1
		}
		return nil
	})
	return next, err
}

// firstSince is the leaf to begin with: after a page, or at the first of a time.
func (x *Exchange) firstSince(tx *bbolt.Tx, s Span) (int64, error) {
	from, err := x.Log.Since(tx, s.From)
	return max(from, s.After+1), err
}

func (q Inspection) wants(u bus.UseRecord) bool {
	return u.Resource == q.Resource && (q.Grant == "" || u.Grant == q.Grant) && (q.Consumer == "" || u.Consumer == q.Consumer)
}

// useOf makes a use record of a leaf that is a step of use. To publish is the
// provider's own, and to look for a resource is not to use it.
func useOf(leaf audit.Leaf) (use bus.UseRecord, ok bool) {
	r := leaf.Record
	use = bus.UseRecord{
		Leaf: leaf.Index, At: r.At, Step: string(r.Kind), Resource: r.Resource, Consumer: r.Consumer, System: r.Principal.System,
		Subscription: r.Subscription, Grant: r.Grant, Purpose: r.Purpose, Matter: r.Matter, Case: r.Case,
		Basis: r.Basis, Operator: r.Operator, Events: r.Events, DecisionID: r.DecisionID,
	}
	switch r.Kind {
	case audit.KindDecision:
		use.Action, use.Allowed, use.Reasons = r.Decision.Action, r.Decision.Allow, r.Decision.Reasons
		return use, use.Action != string(policy.ActionPublish) && use.Action != string(policy.ActionDiscover) && use.Action != string(policy.ActionApply)
	case audit.KindForwarded, audit.KindDelivered, audit.KindAnswered:
		use.Allowed = r.Code == ""
		return use, true
	case audit.KindWithheld, audit.KindFiltered, audit.KindHeld, audit.KindExpired:
		return use, true
	default:
		return use, false
	}
}
