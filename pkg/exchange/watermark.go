package exchange

import (
	"strings"

	cloudevent "github.com/cloudevents/sdk-go/v2/event"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/event"
	"go.etcd.io/bbolt"
)

// A watermark is a code on each event of a batch, or on the answer to a query. It says nothing by itself; the
// node that set it finds by it the decision that it went out on, and so the grant, the system and the time. It is a keyed MAC of the decision's id:
// nobody can make one up that accuses somebody else.
var bucketWatermarks = []byte("watermarks") // code → decision id

// watermark is the code of a batch that goes out on a decision.
func watermark(secret []byte, decision string) string {
	return strings.ToLower(codeOf.EncodeToString(derive(secret, "watermark", decision)[:15]))
}

// stamp puts a watermark on e, unless the provider's node has; what a publisher
// wrote there is none.
func stamp(e *cloudevent.Event, second bool, mark string) {
	has := event.Extension(*e, event.ExtWatermark) != nil
	switch {
	case has && second:
	case mark != "":
		e.SetExtension(event.ExtWatermark, mark)
	case has:
		e.SetExtension(event.ExtWatermark, nil)
	}
}

// keepMark notes which decision a watermark stands for, in the transaction that
// records the decision: nothing goes out with one that leads nowhere.
func keepMark(tx *bbolt.Tx, mark, decision string) error {
	if mark == "" {
		return nil
	}
	return tx.Bucket(bucketWatermarks).Put([]byte(mark), []byte(decision))
}

// Watermark returns the leaf of the decision that a watermark stands for, and the
// first event that went out with it, which has no sequence number where that was the
// answer to a query; CodeNotFound for one that this node did not set.
func (x *Exchange) Watermark(mark string) (leaf audit.Leaf, first Occurrence, err error) {
	err = x.Store.View(func(tx *bbolt.Tx) error {
		id := tx.Bucket(bucketWatermarks).Get([]byte(mark))
		if id == nil {
			return bus.NotFound("watermark", mark)
		}
		if leaf, err = x.Log.Decision(tx, string(id)); err != nil {
			return err
		}
		r := leaf.Record
		first = Occurrence{r.Resource, r.First}
		if !r.HasRange() {
			return nil
		}
		for ; first.Sequence <= r.Last; first.Sequence++ {
			steps, err := x.Log.Covering(tx, r.Resource, r.Subscription, first.Sequence)
			if err != nil {
				return err
			}
			for _, s := range steps {
				if s.Record.DecisionID == string(id) && (s.Record.Kind == audit.KindForwarded || s.Record.Kind == audit.KindDelivered) {
					return nil
				}
			}
		}
		first.Sequence = r.First // it is on its way, or was lost on it
		return nil
	})
	return leaf, first, err
}
