package exchange

import (
	"time"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/event"
	"github.com/gxbus/gxbus/pkg/event/filter"
	"go.etcd.io/bbolt"
)

// Standings tells, for an event that its provider's node keeps, or has evidence of,
// the subscriptions that it is for and how far it has come to each as this node knows.
// One that began after the event is not among them. The source is empty where the event
// itself has gone. CodeNotFound where nothing is left of it, or it is of another source
// than is asked for; none asked for is any.
func (x *Exchange) Standings(at Occurrence, asked string) (source string, all []bus.Delivery, err error) {
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
		e, ok, err := x.followed(tx, at)
		if err != nil {
			return err
		}
		if !ok || !e.from(asked) {
			return bus.NotFound("event", string(at.Resource))
		}
		if e.event != nil {
			source = e.event.Source()
		}
		known := all[:0]
		for i, d := range all {
			s := subscriptions[i]
			if e.at.Before(s.Since()) {
				continue
			}
			if d, err = e.standing(tx, d, s); err != nil {
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

// followed is an event whose way is told.
type followed struct {
	sequence uint64
	at       time.Time    // of its arrival, as near as is known
	event    *event.Event // nil: it has gone
	leaves   []audit.Leaf // about it
}

// followed reads what is left of an event: itself, or its husk and what is on record of
// it; ok is false where nothing is.
func (x *Exchange) followed(tx *bbolt.Tx, at Occurrence) (e followed, ok bool, err error) {
	e.sequence = at.Sequence
	if e.leaves, err = x.Log.About(tx, at.Resource, at.Sequence); err != nil {
		return e, false, err
	}
	have, ok, err := eventAt(tx, at.Resource, at.Sequence)
	if err != nil {
		return e, false, err
	}
	if ok {
		read, err := event.Unmarshal(have.Event)
		e.at, e.event = have.At, &read
		return e, true, err
	}
	if h, ok, err := huskAt(tx, at); err != nil || ok {
		e.at = h.at
		return e, ok, err
	}
	if len(e.leaves) == 0 {
		return e, false, nil
	}
	e.at = e.leaves[0].Record.At // it was accepted here, or came with its department
	return e, true, nil
}

// from reports whether an event is of a source; of one that has gone, whether it is of
// the system that the source belongs to.
func (e followed) from(source string) bool {
	if e.event != nil {
		return source == "" || source == e.event.Source()
	}
	for _, leaf := range e.leaves {
		if leaf.Record.Kind == audit.KindAccepted {
			return source == "" || bus.System{ID: leaf.Record.Principal.System}.OwnsSource(source)
		}
	}
	return source == ""
}

// standing is how far an event has come at the provider's node: not to where the
// cursor stands, or past it.
func (e followed) standing(tx *bbolt.Tx, d bus.Delivery, s bus.Subscription) (bus.Delivery, error) {
	if e.event == nil {
		return e.gone(d), nil
	}
	m, err := filter.Compile(s.Matching())
	if err != nil {
		return d, err
	}
	if ok, _ := m.Match(*e.event); !ok { // what could not be evaluated did not match either
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
	reached := begun && c.run >= s.Replays && e.sequence < c.next
	followed := Follow(d, e.leaves)
	if !reached && followed.State != bus.DeliveryHeld { // what is on record is of an earlier run
		return d, nil
	}
	if followed.State == bus.DeliveryWaiting { // the node that its department was at before has it on record
		followed.State, followed.Detail = bus.DeliveryUnknown, ""
	}
	return followed, nil
}

// gone is how far an event had come that all subscriptions were past when it went. What
// their filters looked at went with it: of a run that was passed over in part, nobody
// knows any more which part it was of.
func (e followed) gone(d bus.Delivery) bus.Delivery {
	var apart, along bool
	for _, leaf := range e.leaves {
		if leaf.Record.Subscription == d.Subscription {
			apart = apart || leaf.Record.Kind == audit.KindUnmatched
			along = along || leaf.Record.Kind != audit.KindUnmatched
		}
	}
	d.State = bus.DeliveryUnknown
	switch {
	case apart && along:
		d.Detail = "the event itself has gone: its run went on in part, and was passed over by the filters in part"
	case apart:
		d.State = bus.DeliveryUnmatched
	default:
		d = Follow(d, e.leaves)
	}
	return d
}

// Elsewhere reports whether the consumer's node has to be asked for more.
func Elsewhere(d bus.Delivery) bool {
	return d.State == bus.DeliveryForwarded || d.State == bus.DeliveryUnknown && d.Detail == ""
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
