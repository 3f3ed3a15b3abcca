package exchange

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

// bySubscription are the buckets with a row, or a bucket, a subscription. With the dead
// letters in the ledgers they are all that is kept of one; evidence aside.
var bySubscription = [][]byte{bucketCursors, bucketInbox, bucketMarks, bucketSinks, bucketTries, bucketTold, bucketReceipts}

// keepForgetting forgets, now and then, what is kept of subscriptions that were deleted:
// nobody may see it any more.
func (x *Exchange) keepForgetting(ctx context.Context) {
	timer := time.NewTicker(x.ReceiptEvery)
	defer timer.Stop()
	var seen bus.Revision // of the directory
	for {
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		applied, _ := x.Directory.Applied()
		if applied == seen {
			continue
		}
		done, err := x.forgetEnded(ctx)
		if err != nil && ctx.Err() == nil {
			x.Logger.Error("forget subscriptions that have ended", "error", err)
		}
		if done {
			seen = applied
		}
	}
}

// forgetEnded forgets what is kept of subscriptions that were deleted; no other will have
// their ids. What waited to be handed out is on record as discarded. It is not done while
// a department moves: what moves is counted before and after.
func (x *Exchange) forgetEnded(ctx context.Context) (done bool, err error) {
	ended, err := x.ended()
	if err != nil || len(ended) == 0 {
		return err == nil, err
	}
	return done, x.Store.Commit(ctx, func(tx *bbolt.Tx) error {
		moves, err := anyMoves(tx)
		if done = err == nil && !moves; !done {
			return err
		}
		var records []audit.Record
		for _, id := range slices.Sorted(maps.Keys(ended)) {
			of := ended[id]
			waited, dead, err := forgetSubscription(tx, id)
			if err != nil {
				return fmt.Errorf("subscription %s: %w", id, err)
			}
			if waited+dead > 0 {
				records = append(records, audit.Record{
					Kind: audit.KindDiscarded, Subscription: id, Events: waited + dead,
					Resource: of.Resource, Provider: of.Provider, Consumer: of.Consumer,
					Detail: fmt.Sprintf("the subscription was deleted: %d events waited, %d were dead letters", waited, dead),
				})
			}
		}
		if len(records) == 0 {
			return nil
		}
		return x.append(tx, records...)
	})
}

// ended lists the subscriptions that something is kept of, and that were deleted.
func (x *Exchange) ended() (all map[bus.SubscriptionID]state.Ended, err error) {
	all = map[bus.SubscriptionID]state.Ended{}
	return all, x.Directory.View(func(directory *state.Tx) error {
		note := func(key []byte) {
			id := bus.SubscriptionID(key)
			if of, ok := directory.Ended(id); ok {
				all[id] = of
			}
		}
		return x.Store.View(func(tx *bbolt.Tx) error {
			for _, name := range bySubscription {
				cursor := tx.Bucket(name).Cursor()
				for key, _ := cursor.First(); key != nil; key, _ = cursor.Next() {
					note(key)
				}
			}
			return eachLedger(tx, func(ledger *bbolt.Bucket) error {
				cursor := ledger.Cursor()
				for key, _ := cursor.Seek([]byte(deadPrefix)); bytes.HasPrefix(key, []byte(deadPrefix)); {
					id, _, _ := bytes.Cut(key[len(deadPrefix):], []byte{0})
					note(id)
					key, _ = cursor.Seek(append([]byte(deadPrefix+string(id)), 1)) // past the last of it
				}
				return nil
			})
		})
	})
}

func eachLedger(tx *bbolt.Tx, do func(*bbolt.Bucket) error) error {
	ledgers := tx.Bucket(bucketLedger)
	return ledgers.ForEachBucket(func(department []byte) error { return do(ledgers.Bucket(department)) })
}

// anyMoves reports whether what is kept of a department is on its way here or away.
func anyMoves(tx *bbolt.Tx) (moves bool, err error) {
	return moves, tx.Bucket(bucketHoldings).ForEach(func(department, _ []byte) error {
		h, err := holdingOf(tx, bus.USCC(department))
		moves = moves || h.State != kept && h.State != gone
		return err
	})
}

// forgetSubscription deletes what is kept of a subscription, and says how many events
// waited, and how many were given up.
func forgetSubscription(tx *bbolt.Tx, id bus.SubscriptionID) (waited, dead int, err error) {
	for _, name := range bySubscription {
		rows := tx.Bucket(name)
		if inbox := rows.Bucket([]byte(id)); inbox != nil {
			waited = inbox.Stats().KeyN
			err = errors.Join(weigh(tx, inbox, -int64(inbox.Sequence())), rows.DeleteBucket([]byte(id)))
		} else {
			err = rows.Delete([]byte(id))
		}
		if err != nil {
			return 0, 0, err
		}
	}
	return waited, dead, eachLedger(tx, func(ledger *bbolt.Bucket) error {
		prefix := deadKeys(id)
		cursor := ledger.Cursor()
		for key, _ := cursor.Seek(prefix); bytes.HasPrefix(key, prefix); key, _ = cursor.Seek(prefix) {
			if err := cursor.Delete(); err != nil {
				return err
			}
			dead++
		}
		return nil
	})
}
