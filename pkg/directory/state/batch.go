package state

import (
	"errors"
	"maps"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
)

// batch is one transaction of entries.
type batch struct {
	tx      *Tx
	touched map[Table]bus.Revision // index of the last change
	last    bus.Revision           // index of the last entry
	turns   uint32                 // entries so far that have it

	known  requests            // of the batches before
	added  requests            // by this one
	forgot map[requestKey]bool // by this one
}

func newBatch(tx *Tx, known requests) *batch {
	return &batch{tx: tx, touched: map[Table]bus.Revision{}, known: known, added: requests{}, forgot: map[requestKey]bool{}}
}

func (b *batch) apply(index bus.Revision, data []byte) (Result, error) {
	entry, err := command.Decode(data)
	if err != nil {
		return Result{}, err
	}
	if before, ok := b.answered(index, entry); ok {
		return before, nil
	}
	changes, rows, err := plan(b.tx, index, entry)
	result := Result{Index: index, Revision: index, Rows: rows}
	if refusal, ok := errors.AsType[*bus.Error](err); ok {
		result = Result{Index: index, Refusal: &Refusal{refusal.Code, refusal.Defects}}
	} else if err != nil {
		return Result{}, err
	}
	if err := b.journal(index, entry, result, changes); err != nil {
		return Result{}, err
	}
	return result, b.write(index, changes)
}

// turn numbers the entries of one index.
func (b *batch) turn(index bus.Revision) uint32 {
	if index != b.last {
		b.last, b.turns = index, 0
	}
	b.turns++
	return b.turns - 1
}

// Change is one value written or, where Value is nil, deleted.
type Change struct {
	Table Table
	Key   string
	Value []byte
}

func (b *batch) write(index bus.Revision, changes []Change) error {
	for _, c := range changes {
		bucket := b.tx.tx.Bucket([]byte(c.Table))
		var err error
		if c.Value == nil {
			err = bucket.Delete([]byte(c.Key))
		} else {
			err = bucket.Put([]byte(c.Key), c.Value)
		}
		if err != nil {
			return err
		}
		b.touched[c.Table] = index
	}
	return nil
}

// close writes what stands once a batch.
func (b *batch) close(last bus.Revision) error {
	for table, index := range b.touched {
		if err := b.tx.put(revisions, string(table), index); err != nil {
			return err
		}
	}
	return b.tx.put(meta, keyApplied, last)
}

// settle takes the batch's requests among the known, once it is committed.
func (b *batch) settle() {
	for key := range b.forgot {
		delete(b.known, key)
	}
	maps.Copy(b.known, b.added)
}
