package exchange

import (
	"context"
	"fmt"
	"time"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"go.etcd.io/bbolt"
)

// The first exchange under a grant ends the term to deliver (decree 809 art. 22).
// The provider's node notes it in the commit that the exchange is recorded in, and
// tells the directory after it, for as long as the directory does not know: a crash
// in between forgets nothing, and what is told twice counts once.

// bucketFirsts keeps when data was first exchanged under grants that the directory
// has as not delivered: grant → time, RFC 3339.
var bucketFirsts = []byte("firsts")

// noteFirst notes an exchange under the flow's grant, if it is the first.
func (x *Exchange) noteFirst(tx *bbolt.Tx, f flow) error {
	if !f.undelivered {
		return nil
	}
	firsts, grant := tx.Bucket(bucketFirsts), []byte(f.subscription.Grant)
	if firsts.Get(grant) != nil {
		return nil
	}
	return firsts.Put(grant, []byte(x.Now().UTC().Format(time.RFC3339Nano)))
}

// exchanged moves the cursor past a batch that the consumer's node has, with the
// records of it and, where it was the first under its grant, a note of that.
func (f *forwarder) exchanged(ctx context.Context, flow flow, first uint64, batch Batch, records []audit.Record) error {
	some := len(batch.Events) > 0
	err := f.x.Store.Commit(ctx, func(tx *bbolt.Tx) error {
		if some {
			if err := f.x.noteFirst(tx, flow); err != nil {
				return err
			}
		}
		return f.advance(tx, flow, first, batch.Last, records)
	})
	if err == nil && some && flow.undelivered {
		poke(f.x.firsts)
	}
	return err
}

// tellFirsts tells the directory of the first exchanges that were noted.
func (x *Exchange) tellFirsts(ctx context.Context) {
	retry := time.NewTimer(0)
	defer retry.Stop()
	for pause := x.RetryMin; ; {
		select {
		case <-x.firsts:
		case <-retry.C:
		case <-ctx.Done():
			return
		}
		err := x.tellNoted(ctx)
		if err == nil || ctx.Err() != nil {
			pause = x.RetryMin
			continue
		}
		x.Logger.Warn("tell of a first exchange", "error", err, "retry_in", pause)
		retry.Reset(pause)
		pause = min(2*pause, x.RetryMax)
	}
}

// tellNoted tells what is noted, and forgets it once it is known, or is no more this
// node's to tell.
func (x *Exchange) tellNoted(ctx context.Context) error {
	noted := map[bus.GrantID]time.Time{}
	err := x.Store.View(func(tx *bbolt.Tx) error {
		return tx.Bucket(bucketFirsts).ForEach(func(grant, at []byte) error {
			first, err := time.Parse(time.RFC3339Nano, string(at))
			if err != nil {
				return fmt.Errorf("first exchange under grant %s: %w", grant, err)
			}
			noted[bus.GrantID(grant)] = first
			return nil
		})
	})
	if err != nil {
		return err
	}
	for id, at := range noted {
		switch err := x.Delivered(ctx, id, at); bus.CodeOf(err) {
		case "", bus.CodeForbidden, bus.CodeNotFound: // the last two: its provider has moved away, or it is gone
		default:
			return fmt.Errorf("grant %s: %w", id, err)
		}
		err := x.Store.Commit(ctx, func(tx *bbolt.Tx) error { return tx.Bucket(bucketFirsts).Delete([]byte(id)) })
		if err != nil {
			return err
		}
	}
	return nil
}
