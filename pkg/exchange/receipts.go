package exchange

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

// bucketTold keeps what receipts tell of subscriptions whose consumer is served here:
// subscription → DeliveryReceipt, and under toldKey the leaf that is looked at next.
var (
	bucketTold = []byte("told")
	toldKey    = []byte("/leaf") // no id of a subscription
)

const (
	receiptEvery = 5 * time.Second
	toldLeaves   = 20_000 // looked at in one round
)

// sendReceipts tells the providers' nodes, now and then, what became of their events
// here. What does not arrive is sent again with what is new.
func (x *Exchange) sendReceipts(ctx context.Context) {
	if x.Signer == nil {
		return
	}
	timer := time.NewTimer(0) // the first at once: so a node that was away is heard of
	defer timer.Stop()
	unsent, next, err := x.everyReceipt()
	if err != nil {
		x.Logger.Error("read receipts", "error", err)
	}
	for {
		select {
		case <-timer.C:
			timer.Reset(x.ReceiptEvery)
		case <-ctx.Done():
			return
		}
		changed, through, err := x.tell(ctx, next)
		if err != nil {
			if ctx.Err() == nil {
				x.Logger.Error("make receipts", "error", err)
			}
			continue
		}
		next = through
		for _, id := range changed {
			unsent[id] = true
		}
		x.send(ctx, unsent)
	}
}

// everyReceipt lists the subscriptions that there is something to tell of: after a
// start nobody knows what had arrived. Next is the leaf to look at.
func (x *Exchange) everyReceipt() (ids map[bus.SubscriptionID]bool, next int64, err error) {
	ids = map[bus.SubscriptionID]bool{}
	err = x.Store.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketTold).ForEach(func(key, value []byte) error {
			if string(key) == string(toldKey) {
				return json.Unmarshal(value, &next)
			}
			ids[bus.SubscriptionID(key)] = true
			return nil
		})
	})
	return ids, next, err
}

// tell takes what was recorded from a leaf on into the receipts, and returns those that
// changed, and the leaf to look at next. Where none changed it writes nothing.
func (x *Exchange) tell(ctx context.Context, from int64) (changed []bus.SubscriptionID, next int64, err error) {
	receipts := map[bus.SubscriptionID]*DeliveryReceipt{}
	err = x.Store.View(func(tx *bbolt.Tx) error {
		told := tx.Bucket(bucketTold)
		log, err := x.Log.Reader(tx)
		if err != nil {
			return err
		}
		size, err := log.Size()
		if err != nil {
			return err
		}
		for next = from; next < min(size, from+toldLeaves); next++ {
			leaf, ok, err := log.StepAt(next)
			if err != nil {
				return err
			}
			if !ok {
				continue
			}
			reasons, err := x.reasonsOf(tx, leaf.Record)
			if err == nil {
				err = toldOf(told, receipts, leaf.Record, reasons, &changed)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil || len(changed) == 0 {
		return nil, next, err
	}
	return changed, next, x.Store.Commit(ctx, func(tx *bbolt.Tx) error {
		told := tx.Bucket(bucketTold)
		for _, id := range changed {
			data, err := json.Marshal(receipts[id])
			if err == nil {
				err = told.Put([]byte(id), data)
			}
			if err != nil {
				return err
			}
		}
		data, err := json.Marshal(next)
		return errors.Join(err, told.Put(toldKey, data))
	})
}

// reasonsOf are the reasons of a denial that a step is on record for.
func (x *Exchange) reasonsOf(tx *bbolt.Tx, record audit.Record) ([]bus.Reason, error) {
	if record.Kind != audit.KindWithheld || record.DecisionID == "" {
		return nil, nil
	}
	leaf, err := x.Log.Decision(tx, record.DecisionID)
	if err != nil {
		if bus.CodeOf(err) == bus.CodeNotFound { // pruned
			err = nil
		}
		return nil, err
	}
	return leaf.Record.Decision.Reasons, nil
}

// toldOf takes one step into the receipt of its subscription.
func toldOf(told *bbolt.Bucket, receipts map[bus.SubscriptionID]*DeliveryReceipt, record audit.Record, reasons []bus.Reason, changed *[]bus.SubscriptionID) error {
	id := record.Subscription
	r, known := receipts[id]
	if !known {
		r = &DeliveryReceipt{Subscription: id}
		if data := told.Get([]byte(id)); data != nil {
			if err := json.Unmarshal(data, r); err != nil {
				return fmt.Errorf("what is told of subscription %s cannot be read: %w", id, err)
			}
		}
	}
	if !r.add(record, reasons) {
		return nil
	}
	if !known {
		receipts[id] = r
		*changed = append(*changed, id)
	}
	return nil
}

// send signs receipts and takes them to the nodes of their providers; what arrived is
// taken out of unsent, as is what is for this node or for none.
func (x *Exchange) send(ctx context.Context, unsent map[bus.SubscriptionID]bool) {
	to := map[bus.NodeID][]bus.SubscriptionID{}
	err := x.Directory.View(func(tx *state.Tx) error {
		for id := range unsent {
			s, _ := tx.Subscription(id)
			provider, consumer := seatsOf(tx, s)
			if node := provider.node; node != "" && node != x.Self && consumer.node == x.Self {
				to[node] = append(to[node], id)
			} else {
				delete(unsent, id)
			}
		}
		return nil
	})
	if err != nil {
		return
	}
	for node, ids := range to {
		for len(ids) > 0 && ctx.Err() == nil {
			n := min(len(ids), maxReceipts)
			if err := x.sendTo(ctx, node, ids[:n]); err != nil {
				x.Logger.Debug("receipts did not arrive", "node", node, "error", err)
				break
			}
			for _, id := range ids[:n] {
				delete(unsent, id)
			}
			ids = ids[n:]
		}
	}
}

func (x *Exchange) sendTo(ctx context.Context, node bus.NodeID, ids []bus.SubscriptionID) error {
	var signed []string
	err := x.Store.View(func(tx *bbolt.Tx) error {
		for _, id := range ids {
			var r DeliveryReceipt
			if err := json.Unmarshal(tx.Bucket(bucketTold).Get([]byte(id)), &r); err != nil {
				return fmt.Errorf("what is told of subscription %s cannot be read: %w", id, err)
			}
			r.Node, r.At = x.Self, x.Now().UTC()
			text, err := r.seal(x.Signer)
			if err != nil {
				return err
			}
			signed = append(signed, text)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return x.Peers.Receipts(ctx, node, signed)
}
