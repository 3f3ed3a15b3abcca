package exchange

import (
	"errors"

	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

// Backlog counts the events that this node has yet to forward, by the node that they
// are for; a node with none is there too. A paused subscription's wait, and count.
func (x *Exchange) Backlog() (waiting map[bus.NodeID]uint64, err error) {
	waiting = map[bus.NodeID]uint64{}
	to := map[bus.SubscriptionID]bus.NodeID{}
	of := map[bus.SubscriptionID]bus.ResourceID{}
	err = x.Directory.View(func(tx *state.Tx) error {
		for s := range tx.Subscriptions() {
			provider, consumer := seatsOf(tx, s)
			if consumer.node != "" && provider.node == x.Self {
				to[s.ID], of[s.ID], waiting[consumer.node] = consumer.node, s.Resource, 0
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	err = x.Store.View(func(tx *bbolt.Tx) (err error) {
		for id, node := range to {
			c, begun, failed := cursorOf(tx, id)
			err = errors.Join(err, failed)
			if newest := tail(tx, of[id]); begun && newest >= c.next {
				waiting[node] += newest - c.next + 1
			}
		}
		return err
	})
	return waiting, err
}
