package directory

import (
	"context"
	"iter"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

const batchChanges = 500 // changes that one batch holds at least, where there are as many

// Changes returns what changed after the log index from in the given tables, or
// in every watched one where none is given. Where this replica has nothing after
// from it waits; the batch can be empty all the same, for not every entry changes
// something. CodeResync where the change log does not reach back to from; an
// error of ctx with a batch that says to go on from where it was.
func (d *Directory) Changes(ctx context.Context, from bus.Revision, of ...state.Table) (state.Batch, error) {
	for {
		_, moved := d.store.Applied()
		var batch state.Batch
		err := d.store.View(func(tx *state.Tx) (err error) {
			batch, err = tx.Changes(from, batchChanges, of...)
			return err
		})
		if err != nil || batch.Through > from {
			return batch, err
		}
		select {
		case <-moved:
		case <-ctx.Done():
			return batch, ctx.Err()
		}
	}
}

// Watch yields the changes after from, as Changes does, until ctx ends or the
// change log no longer reaches back; the last pair is that error.
func (d *Directory) Watch(ctx context.Context, from bus.Revision, of ...state.Table) iter.Seq2[state.Batch, error] {
	return func(yield func(state.Batch, error) bool) {
		for {
			batch, err := d.Changes(ctx, from, of...)
			if !yield(batch, err) || err != nil {
				return
			}
			from = batch.Through
		}
	}
}
