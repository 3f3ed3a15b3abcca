package state

import (
	"slices"
	"strconv"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Changed is a directory entry that a log entry put or deleted.
//
// Of a put entry Value is what it is now, not what was written then: whoever
// follows the changes sees of an entry that changed twice its newest value, maybe
// twice, and never an older value after a newer one.
type Changed struct {
	Index bus.Revision // of the log entry
	At    time.Time    // of the log entry
	Table Table
	Key   string
	Value []byte // as it is now; nil where it was deleted
	Was   []byte // what was deleted
}

// Batch is what changed over a stretch of the log.
type Batch struct {
	Changes []Changed    // in the log's order; all changes of a log entry are in one batch
	Through bus.Revision // where the stretch ends: go on from here
}

// Changes returns what changed after the log entry from in the given tables, or
// in every watched one where none is given. It reads no further than the entry
// that makes up limit changes. CodeResync where the journal does not reach back
// to from; to follow from an index that is yet to come is no fault.
func (t *Tx) Changes(from bus.Revision, limit int, of ...Table) (Batch, error) {
	if floor := t.ChangesFloor(); from < floor {
		return Batch{}, resync(floor)
	}
	batch := Batch{Through: max(from, t.Index())}
	cursor := t.tx.Bucket([]byte(journal)).Cursor()
	after, full := placeOf(from+1, 0), false
	for k, v := cursor.Seek(after[:]); k != nil; k, v = cursor.Next() {
		index := place(k).index()
		if full && index > batch.Through {
			break
		}
		entry := decodeJournalled(k, v)
		for _, c := range entry.Changes {
			value := t.bytes(c.Table, c.Key)
			gone := c.Was != nil
			if len(of) > 0 && !slices.Contains(of, c.Table) || gone != (value == nil) {
				continue // a later entry put it again, or deleted it, and tells
			}
			batch.Changes = append(batch.Changes, Changed{
				Index: index, At: entry.At, Table: c.Table, Key: c.Key,
				Value: slices.Clone(value), Was: slices.Clone(c.Was),
			})
		}
		if len(batch.Changes) >= limit {
			full, batch.Through = true, index // and what else has this index
		}
	}
	return batch, nil
}

// ChangesFloor is the oldest index that changes can be followed from.
func (t *Tx) ChangesFloor() bus.Revision {
	floor, _ := read[bus.Revision](t, meta, keyFloor)
	return floor
}

func resync(floor bus.Revision) error {
	return bus.E(bus.CodeResync, bus.Defect{
		Field: "from",
		Problem: bus.Text{
			ZH: "该位置之后的变更记录已清理：请重新读取全部目录条目，再从读取应答的 Gxbus-Index 起继续",
			EN: "the changes after this index are no longer kept: list the entries anew, then go on from the Gxbus-Index of that answer",
		},
		Allowed: strconv.FormatUint(uint64(floor), 10) + " or later",
	})
}
