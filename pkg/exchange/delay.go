package exchange

import (
	"context"
	"time"

	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
)

// delay puts on record that events are not taken further for now, for the fault of a
// code: once, when that begins. Whoever tries again says so in vain, and no evidence grows
// by how often something fails.
func (x *Exchange) delay(ctx context.Context, at seat, record audit.Record, code bus.Code, detail string) error {
	record.Kind, record.Code, record.Detail = audit.KindDelayed, code, detail
	var known bool
	look := func(tx *bbolt.Tx) (err error) {
		known, err = x.delayed(tx, record)
		return err
	}
	if err := x.Store.View(look); err != nil || known {
		return err
	}
	return x.Store.Commit(ctx, func(tx *bbolt.Tx) error {
		if err := keeps(tx, at); err != nil {
			return err
		}
		if err := look(tx); err != nil || known { // another was faster
			return err
		}
		return x.append(tx, record)
	})
}

// delay puts on record that a batch does not leave, once it failed twice: a node that
// has just not heard of a subscription is no fault.
func (f *forwarder) delay(ctx context.Context, flow flow, began time.Time, d bus.Decision, going []sifted, failure error) error {
	records := forwarded(flow, began, d, going)
	if len(records) == 0 || ctx.Err() != nil || flow.consumer.node == f.x.Self {
		return nil
	}
	if first := records[0].First; f.failed != first {
		f.failed = first
		return nil
	}
	return f.x.delay(ctx, flow.provider, records[0], bus.CodeOf(failure), "node "+string(flow.consumer.node))
}

// delay puts on record that the endpoint does not take events, until it takes one.
func (p *pusher) delay(ctx context.Context, f flow, by bus.Principal, out Handout, a bus.Attempt) error {
	if p.failed {
		return nil
	}
	record := f.record([]numbered{{Sequence: out.Numbers[0]}})
	record.Principal, record.Digest = by, ""
	if err := p.x.delay(ctx, f.consumer, record, faultOf(a), a.Problem); err != nil {
		return err
	}
	p.failed = true
	return nil
}

// faultOf is the code of an attempt that failed.
func faultOf(a bus.Attempt) bus.Code {
	if a.Status == 0 {
		return bus.CodeEndpointUnreachable
	}
	return bus.CodeEndpointRefused
}

// delayed reports whether it is on record that the first of the events is delayed, and
// nothing has become of it since.
func (x *Exchange) delayed(tx *bbolt.Tx, record audit.Record) (known bool, err error) {
	leaves, err := x.Log.Covering(tx, record.Resource, record.Subscription, record.First)
	for _, leaf := range leaves {
		if kind := leaf.Record.Kind; kind == audit.KindDelayed || ends(kind) {
			known = kind == audit.KindDelayed
		}
	}
	return known, err
}

// ends reports whether a step ends a delay: an attempt does not, nor what is decided about
// it.
func ends(kind audit.Kind) bool {
	switch kind {
	case audit.KindDecision, audit.KindDelivered, audit.KindHeld, audit.KindDelayed:
		return false
	}
	return true
}
