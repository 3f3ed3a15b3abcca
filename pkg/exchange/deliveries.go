package exchange

import (
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/event"
	"github.com/gxbus/gxbus/pkg/event/filter"
	"go.etcd.io/bbolt"
)

// Standings tells, for an event that its provider's node keeps, the subscriptions that
// it is for and how far it has come to each as this node knows. One that began after
// the event is not among them.
func (x *Exchange) Standings(at Occurrence) (source string, all []bus.Delivery, err error) {
	var subscriptions []bus.Subscription
	err = x.Directory.View(func(tx *state.Tx) error {
		for s := range tx.Subscriptions() {
			if s.Resource != at.Resource {
				continue
			}
			consumer, _ := tx.Department(s.Consumer)
			subscriptions = append(subscriptions, s)
			all = append(all, bus.Delivery{Subscription: s.ID, Consumer: s.Consumer, System: s.System, Node: seatOf(tx, consumer).node})
		}
		return nil
	})
	if err != nil {
		return "", nil, err
	}
	err = x.Store.View(func(tx *bbolt.Tx) error {
		stored, ok, err := eventAt(tx, at.Resource, at.Sequence)
		if err != nil {
			return err
		}
		if !ok {
			return bus.NotFound("event", string(at.Resource))
		}
		e, err := event.Unmarshal(stored.Event)
		if err != nil {
			return err
		}
		source = e.Source()
		leaves, err := x.Log.About(tx, at.Resource, at.Sequence)
		if err != nil {
			return err
		}
		known := all[:0]
		for i, d := range all {
			s := subscriptions[i]
			if stored.At.Before(s.Since()) {
				continue
			}
			if d, err = standing(tx, d, s, e, at.Sequence, leaves); err != nil {
				return err
			}
			if d.State == bus.DeliveryWaiting && x.inboxFull(s.ID) {
				d.Detail = "the consumer's inbox is full"
			}
			known = append(known, d)
		}
		all = known
		return nil
	})
	return source, all, err
}

// standing is how far an event has come at the provider's node: not to where the
// cursor stands, or past it.
func standing(tx *bbolt.Tx, d bus.Delivery, s bus.Subscription, e event.Event, sequence uint64, leaves []audit.Leaf) (bus.Delivery, error) {
	m, err := filter.Compile(s.Matching())
	if err != nil {
		return d, err
	}
	if ok, _ := m.Match(e); !ok { // what could not be evaluated did not match either
		d.State = bus.DeliveryUnmatched
		return d, nil
	}
	d.State = bus.DeliveryWaiting
	if s.Paused {
		d.Detail = "the subscription is paused"
	}
	c, begun, err := cursorOf(tx, s.ID)
	if err != nil {
		return d, err
	}
	reached := begun && c.run >= s.Replays && sequence < c.next
	followed := Follow(d, leaves)
	if !reached && followed.State != bus.DeliveryHeld { // what is on record is of an earlier run
		return d, nil
	}
	return followed, nil
}

// Follow moves deliveries on by what another node recorded, in the order of its log.
func Follow(d bus.Delivery, leaves []audit.Leaf) bus.Delivery {
	ended := d.State == bus.DeliveryUnmatched
	for _, leaf := range leaves {
		r := leaf.Record
		if r.Subscription != d.Subscription {
			continue
		}
		next, final := stateAfter(r)
		switch {
		case r.Kind == audit.KindDecision && !r.Decision.Allow:
			d.Reasons, d.DecisionID = r.Decision.Reasons, r.DecisionID
			if !ended && passing(*r.Decision) && (d.State == bus.DeliveryWaiting || d.State == bus.DeliveryHeld) {
				d.State, d.At = bus.DeliveryHeld, r.At
			}
			continue
		case r.Kind == audit.KindFiltered && r.Events == 0: // rows of it alone
			continue
		case r.Kind == audit.KindRedriven, r.Kind == audit.KindDiscarded, r.Kind == audit.KindReplayed:
			ended = false
		case next == "", ended: // a range of a later step also covers what was left out before it
			continue
		}
		if d.State, d.At, d.Detail, ended = next, r.At, r.Detail, final; next != bus.DeliveryDenied && next != bus.DeliveryHeld {
			d.Reasons, d.DecisionID = nil, r.DecisionID
		}
	}
	return d
}

// stateAfter is what an event is after a step, and whether that is the end.
func stateAfter(r audit.Record) (s bus.DeliveryState, final bool) {
	switch r.Kind {
	case audit.KindForwarded:
		return bus.DeliveryForwarded, false
	case audit.KindReceived, audit.KindRedriven:
		return bus.DeliveryReceived, false
	case audit.KindReplayed:
		return bus.DeliveryWaiting, false
	case audit.KindDelivered:
		return bus.DeliveryDelivered, false
	case audit.KindAcknowledged:
		return bus.DeliveryAcknowledged, false
	case audit.KindHeld:
		return bus.DeliveryHeld, false
	case audit.KindWithheld:
		return bus.DeliveryDenied, true
	case audit.KindFiltered:
		return bus.DeliveryFiltered, true
	case audit.KindExpired:
		return bus.DeliveryExpired, true
	case audit.KindDeadLettered:
		return bus.DeliveryDead, true
	case audit.KindDiscarded:
		return bus.DeliveryDiscarded, true
	default:
		return "", false
	}
}
