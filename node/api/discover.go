package api

import (
	"context"
	"time"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/policy"
)

// Who finds which resource. A department finds what it provides; of the others each
// caller finds what policy lets him discover. What he does not find is not there
// for him, on whatever way he asks.

// viewer answers for one caller, at one state of the directory.
type viewer struct {
	ctx     context.Context
	tx      *state.Tx
	by      bus.Principal
	caller  policy.Party
	sight   policy.Sight
	parties map[bus.USCC]policy.Party
}

// viewer makes the viewer of a caller. Nobody is one while the policies have been
// older than the directory for longer than a compilation takes: CodeUndecided.
func (a *API) viewer(ctx context.Context, tx *state.Tx, p bus.Principal) (*viewer, error) {
	if layers := tx.Revision(state.Layers); !a.Layers.Decide(layers) {
		if a.Layers.Wait(ctx, layers); !a.Layers.Decide(layers) {
			return nil, bus.E(bus.CodeUndecided)
		}
	}
	age, err := a.Directory.Age()
	if err != nil {
		return nil, err
	}
	v := &viewer{ctx: ctx, tx: tx, by: p, parties: map[bus.USCC]policy.Party{}}
	if v.caller = v.party(p.Department); administrator(p) {
		v.caller = policy.Party{Role: p.Role}
	}
	v.caller.System = p.System
	v.sight = a.Policy.Sight(ctx, v.caller, a.Now(), policy.DirectoryState{Index: tx.Index(), AgeSeconds: seconds(age)})
	return v, nil
}

func seconds(age time.Duration) int { return int((age + time.Second - 1) / time.Second) }

func (v *viewer) party(id bus.USCC) policy.Party {
	p, ok := v.parties[id]
	if !ok {
		if d, found := v.tx.Department(id); found {
			p = policy.Party{Department: d.ID, Division: d.Division, Divisions: v.tx.Chain(d.Division)}
		}
		v.parties[id] = p
	}
	return p
}

func (v *viewer) own(provider bus.USCC) bool {
	return provider != "" && provider == v.by.Department && !administrator(v.by)
}

// Published says whether all published resources of a department are found, or
// none; where each has to be asked for, sure is false.
func (v *viewer) Published(provider bus.USCC) (seen, sure bool) {
	if v.own(provider) {
		return true, true
	}
	return v.sight.Provider(v.party(provider))
}

// Resource says whether one is found.
func (v *viewer) Resource(id bus.ResourceID) bool {
	r, ok := v.tx.Resource(id)
	return ok && v.finds(r)
}

func (v *viewer) finds(r bus.Resource) bool {
	return v.own(r.Provider) || v.sight.Resource(v.ctx, v.party(r.Provider), r)
}

// Drafts says whether the drafts of a department are to be seen.
func (v *viewer) Drafts(provider bus.USCC) bool { return v.tx.Sees(v.by, provider) }

// discovers is the rule for lists of changes, which know no context.
func (a *API) discovers(tx *state.Tx, p bus.Principal, r bus.Resource) bool {
	v, err := a.viewer(context.Background(), tx, p)
	return err == nil && v.finds(r)
}

// found refuses a caller for whom a resource is not there. That a policy hides it
// from him is recorded, as every denial is; he is not told.
func (a *API) found(ctx context.Context, p bus.Principal, id string) error {
	var denied *bus.Decision
	var r bus.Resource
	var consumer bus.USCC
	err := a.Directory.View(func(tx *state.Tx) error {
		var ok bool
		if r, ok = tx.Resource(bus.ResourceID(id)); !ok {
			// Of one that was withdrawn the last version in force stands for it.
			if r, ok = lastVersion(tx, bus.ResourceID(id)); !ok {
				return nil // what asks for it says so
			}
		}
		v, err := a.viewer(ctx, tx, p)
		if err != nil || v.finds(r) {
			return err
		}
		d := a.decideDiscovery(ctx, v, r)
		denied, consumer = &d, v.caller.Department
		return nil
	})
	if err != nil || denied == nil {
		return err
	}
	callerOf(ctx).recorded = true
	record := audit.Record{
		Kind: audit.KindDecision, Principal: p, Request: requestOf(ctx), Resource: r.ID, Provider: r.Provider, Consumer: consumer,
		Decision: denied, DecisionID: denied.ID,
	}
	if err := a.Exchange.Record(context.WithoutCancel(ctx), record); err != nil {
		return err
	}
	return bus.NotFound("resource", id)
}

// foundToChange is found for who might change catalogue entries; whoever changes
// none is refused as such, whether there is one or not.
func (a *API) foundToChange(ctx context.Context, p bus.Principal, id string) error {
	if p.System == "" && p.Role != bus.RoleOperator && p.Role != bus.RoleSystemAdministrator {
		return nil
	}
	return a.found(ctx, p, id)
}

func lastVersion(tx *state.Tx, id bus.ResourceID) (r bus.Resource, ok bool) {
	for v := range tx.Versions(id) {
		r, ok = v.Resource, true
	}
	return r, ok
}

func (a *API) decideDiscovery(ctx context.Context, v *viewer, r bus.Resource) bus.Decision {
	age, _ := a.Directory.Age() // asked a moment ago, without fault
	return a.Policy.Decide(ctx, policy.Input{
		Version: policy.InputVersion, Action: policy.ActionDiscover, Stage: policy.StageConsumer, Time: policy.Instant{Time: a.Now()},
		Consumer: v.caller, Provider: v.party(r.Provider), Resource: policy.ResourceOf(r),
		Directory: policy.DirectoryState{Index: v.tx.Index(), AgeSeconds: seconds(age)},
	})
}
