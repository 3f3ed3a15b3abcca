package exchange

import (
	"context"
	"sync"

	"github.com/gxbus/gxbus/pkg/bus"
	"go.etcd.io/bbolt"
)

// bells tell who waits at an inbox that something has come into it.
type bells struct {
	mu   sync.Mutex
	open map[bus.SubscriptionID]chan struct{} // closed at the next ring
}

func (b *bells) next(id bus.SubscriptionID) <-chan struct{} {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.open == nil {
		b.open = map[bus.SubscriptionID]chan struct{}{}
	}
	bell, ok := b.open[id]
	if !ok {
		bell = make(chan struct{})
		b.open[id] = bell
	}
	return bell
}

func (b *bells) ring(id bus.SubscriptionID) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if bell, ok := b.open[id]; ok {
		close(bell)
		delete(b.open, id)
	}
}

// Await returns once events wait in a subscription's inbox behind a number, or with
// the error of ctx. It hands nothing out, and says nothing of who may have them.
func (x *Exchange) Await(ctx context.Context, id bus.SubscriptionID, after uint64) error {
	for {
		rung := x.inboxes.next(id)
		some := false
		err := x.Store.View(func(tx *bbolt.Tx) error {
			if inbox := tx.Bucket(bucketInbox).Bucket([]byte(id)); inbox != nil {
				key, _ := inbox.Cursor().Seek(sequenceKey(after + 1))
				some = key != nil
			}
			return nil
		})
		if err != nil || some {
			return err
		}
		select {
		case <-rung:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
