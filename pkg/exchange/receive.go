package exchange

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/event"
	"go.etcd.io/bbolt"
)

// Batch is what one node forwards to another for one subscription: events with
// their sequence numbers, ascending, obligations applied.
type Batch struct {
	Heading
	Last       uint64     `json:"last"` // the provider's cursor will pass this
	DecisionID string     `json:"decision"`
	Began      time.Time  `json:"began,omitzero"`  // when the provider's node first decided on it
	Trace      string     `json:"trace,omitempty"` // of the first event that is part of one
	Events     []Delivery `json:"events"`
}

// Heading says what a provider's node sends a batch of.
type Heading struct {
	Subscription bus.SubscriptionID `json:"subscription"`
	Run          uint64             `json:"run,omitempty"` // how often the subscription had been begun anew
	From         bus.NodeID         `json:"from"`
	Attempt      uint64             `json:"attempt,omitempty"` // ascending

	// The epochs that the sender knows of the departments: one whose replica is
	// behind it says so rather than no.
	ProviderEpoch bus.Revision `json:"provider_epoch,omitempty"`
	ConsumerEpoch bus.Revision `json:"consumer_epoch,omitempty"`
}

// Delivery is one event of a batch.
type Delivery struct {
	Sequence uint64          `json:"sequence"`
	Event    json.RawMessage `json:"event"` // structured CloudEvent
}

// mark says how far a subscription has come on the consumer's node, in sequence
// numbers of the resource's log.
type mark struct {
	Run          uint64 `json:"run,omitempty"` // how often the subscription had been begun anew
	Received     uint64 `json:"received"`
	Delivered    uint64 `json:"delivered"`
	Acknowledged uint64 `json:"acknowledged"`
	Recalled     uint64 `json:"recalled,omitempty"` // attempt up to which none is taken any more
}

func markOf(tx *bbolt.Tx, id bus.SubscriptionID) (m mark, err error) {
	if data := tx.Bucket(bucketMarks).Get([]byte(id)); data != nil {
		err = json.Unmarshal(data, &m)
	}
	return m, err
}

func (m mark) put(tx *bbolt.Tx, id bus.SubscriptionID) error {
	data, err := json.Marshal(m)
	if err != nil {
		return err
	}
	return tx.Bucket(bucketMarks).Put([]byte(id), data)
}

// Receive takes a batch from the node from into the subscription's inbox, and
// returns once it is on the disk. What was received before is passed over, so
// that a batch may be sent again. A batch from a node that does not serve the
// provider, for a consumer that is not served here, or not in order, is refused
// and recorded.
func (x *Exchange) Receive(ctx context.Context, from bus.NodeID, batch Batch) error {
	record := audit.Record{Principal: bus.Principal{Node: from}, Subscription: batch.Subscription}
	return x.refuse(ctx, record, x.receive(ctx, from, batch))
}

func (x *Exchange) receive(ctx context.Context, from bus.NodeID, batch Batch) error {
	flow, err := x.addressed(from, batch.Heading)
	if err != nil {
		return err
	}
	if err := batch.check(); err != nil {
		return err
	}
	if err := x.Room(); err != nil {
		return err
	}
	err = x.Store.Commit(ctx, func(tx *bbolt.Tx) error { return x.take(tx, flow, batch) })
	if err == nil {
		x.inboxes.ring(batch.Subscription)
	}
	return err
}

// addressed gives the flow that the node from sends of, which has to be the provider's,
// to this one, which has to be the consumer's.
func (x *Exchange) addressed(from bus.NodeID, h Heading) (flow, error) {
	flow, ok, err := x.flowOf(h.Subscription)
	switch {
	case err != nil:
		return flow, err
	case !ok: // this replica may be behind the sender's
		return flow, bus.E(bus.CodeUnavailable, bus.Defect{Field: "subscription", Problem: bus.Text{ZH: "本节点尚无该订阅", EN: "this node does not know the subscription yet"}})
	case h.ProviderEpoch > flow.provider.epoch || h.ConsumerEpoch > flow.consumer.epoch: // and here it is
		return flow, bus.E(bus.CodeUnavailable, bus.Defect{Field: "epoch", Problem: bus.Text{ZH: "本节点尚不知该部门已迁移", EN: "this node does not know of the department's move yet"}})
	case from != flow.provider.node, from != h.From, h.ProviderEpoch != flow.provider.epoch, x.Self != flow.consumer.node:
		return flow, bus.E(bus.CodeWrongNode)
	case h.ConsumerEpoch != flow.consumer.epoch: // it may have been recalled at a node that was abandoned since
		return flow, bus.E(bus.CodeWrongNode)
	case flow.consumer.moving:
		return flow, moving(flow.consumer.department)
	}
	return flow, nil
}

// check refuses a batch that is not in order or holds what is not an event.
func (b Batch) check() error {
	if b.Trace != "" && !event.IsTraceID(b.Trace) {
		return bus.E(bus.CodeInvalid, bus.Defect{Field: "trace", Problem: bus.Text{ZH: "不是跟踪编号", EN: "is no trace id"}})
	}
	last := uint64(0)
	for _, d := range b.Events {
		if d.Sequence <= last || d.Sequence > b.Last {
			return bus.E(bus.CodeInvalid, bus.Defect{Field: "events.sequence", Problem: bus.Text{ZH: "序号不是递增的", EN: "sequence numbers do not ascend"}})
		}
		last = d.Sequence
		if _, err := event.Unmarshal(d.Event); err != nil {
			return err
		}
	}
	return nil
}

func (x *Exchange) take(tx *bbolt.Tx, flow flow, batch Batch) error {
	m, err := x.markIn(tx, flow, batch.Heading)
	if err != nil {
		return err
	}
	if batch.Run < m.Run { // sent before the subscription began anew
		return nil
	}
	if batch.Attempt <= m.Recalled && m.Recalled > 0 { // whoever waits for an answer tries anew
		return bus.E(bus.CodeUnavailable, bus.Defect{Field: "attempt", Problem: bus.Text{ZH: "提供方节点已撤回该批次", EN: "the provider's node has taken the batch back"}})
	}
	var fresh []numbered
	for _, d := range batch.Events {
		if d.Sequence > m.Received {
			fresh = append(fresh, numbered{Sequence: d.Sequence, stored: stored{Digest: sha256.Sum256(d.Event), Event: d.Event}})
		}
	}
	if len(fresh) == 0 {
		return nil
	}
	if err := x.Retention.holds(tx, batch.Subscription, fresh); err != nil {
		return err
	}
	if err := putInbox(tx, batch.Subscription, fresh...); err != nil {
		return err
	}
	m.Received = fresh[len(fresh)-1].Sequence
	if err := m.put(tx, batch.Subscription); err != nil {
		return err
	}
	record := flow.record(fresh)
	record.Kind, record.DecisionID, record.Principal, record.Began = audit.KindReceived, batch.DecisionID, bus.Principal{Node: batch.From}, batch.Began
	record.Trace = batch.Trace
	return x.append(tx, record)
}

// markIn reads how far a subscription has come in the run that the provider's node is in,
// or in a later one.
func (x *Exchange) markIn(tx *bbolt.Tx, flow flow, h Heading) (mark, error) {
	if err := keeps(tx, flow.consumer); err != nil {
		return mark{}, err
	}
	m, err := markOf(tx, h.Subscription)
	if err != nil || h.Run <= m.Run {
		return m, err
	}
	return mark{Run: h.Run, Recalled: m.Recalled}, x.beginAnew(tx, flow, h.Run)
}

// beginAnew empties the inbox of a subscription that its consumer has replayed: what
// waits in it comes again, or is from before the new start.
func (x *Exchange) beginAnew(tx *bbolt.Tx, flow flow, run uint64) error {
	first, last, count, err := clearInbox(tx, flow.subscription.ID, 0, math.MaxUint64)
	if err != nil || count == 0 {
		return err
	}
	return x.append(tx, audit.Record{
		Kind: audit.KindReplayed, Principal: bus.Principal{System: flow.subscription.System, Department: flow.subscription.Consumer},
		Resource: flow.resource.ID, Subscription: flow.subscription.ID, Grant: flow.subscription.Grant,
		Provider: flow.resource.Provider, Consumer: flow.subscription.Consumer, First: first, Last: last, Events: count,
		Detail: fmt.Sprintf("run %d", run),
	})
}
