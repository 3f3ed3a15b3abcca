package exchange

import (
	"sync"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/policy"
)

// route is what data takes from a resource to a department, on a grant or on none.
type route struct {
	resource bus.ResourceID
	consumer bus.USCC
	system   bus.SystemID
	grant    bus.GrantID
}

// routes keeps what the directory says of routes, for as long as no table that this is
// read from changes. It is read for every decision, and the directory changes seldom.
type routes struct {
	mu    sync.Mutex
	basis basis
	flows map[route]flow
}

const maxRoutes = 4096

// between gives the part of a flow that the directory alone says. What it refers to is
// shared: nobody changes it. ok is false where the resource or one of its departments is
// not in the directory.
func (r *routes) between(tx *state.Tx, on route) (f flow, ok bool) {
	now := basisOf(tx)
	r.mu.Lock()
	if r.basis == now {
		f, ok = r.flows[on]
	}
	r.mu.Unlock()
	if ok {
		return f, true
	}
	if f, ok = on.read(tx, now); ok {
		r.keep(on, f)
	}
	return f, ok
}

func (r *routes) keep(on route, f flow) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.basis != f.basis || len(r.flows) >= maxRoutes {
		r.basis, r.flows = f.basis, map[route]flow{}
	}
	r.flows[on] = f
}

func (on route) read(tx *state.Tx, now basis) (f flow, ok bool) {
	f.basis = now
	if f.resource, ok = tx.Resource(on.resource); !ok {
		return f, false
	}
	provider, ok := tx.Department(f.resource.Provider)
	if !ok {
		return f, false
	}
	consumer, ok := tx.Department(on.consumer)
	if !ok {
		return f, false
	}
	f.provider, f.consumer = seatOf(tx, provider), seatOf(tx, consumer)
	f.input = policy.Input{
		Version: policy.InputVersion, Resource: policy.ResourceOf(f.resource),
		Consumer: party(tx, consumer, on.system), Provider: party(tx, provider, ""),
	}
	if grant, ok := tx.Grant(on.grant); ok && grant.Consumer == on.consumer { // another's is as good as none
		f.input.Grant = policy.GrantOf(grant)
		f.undelivered = grant.Delivered == nil
	}
	return f, true
}
