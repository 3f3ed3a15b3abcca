package exchange

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"

	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/pkg/bus"
)

// An event's id leads to the evidence about it as long as there is any, years after
// its arrival was forgotten. So a block of arrivals that is full is put on shelves: a
// shelf has the ids whose hashes begin with the same twelve bits, block by block, and
// of each some ten bytes. A look-up reads one shelf; a block adds a value to each.
//
//	ids     shelf(2) → block(8) → entries: hash of the id, next 6 bytes; stretch, number in it (uvarint)
//	shelved block(8) → what the entries of the block refer to
//
// The sequence of the ids bucket is the number of blocks that were shelved.
var (
	bucketIDs     = []byte("ids")
	bucketShelved = []byte("shelved")
)

const (
	shelves       = 1 << 12
	shelvesAtOnce = 1 << 8 // in one commit
	tailSize      = 6      // with the bits of the shelf 60 of an id's hash
)

// shelved is what a block on the shelves has in common.
type shelved struct {
	Leaves int64     `json:"leaves"` // of the evidence log when it was shelved
	Of     []stretch `json:"of"`
}

// stretch is a resource's part of a block.
type stretch struct {
	Resource bus.ResourceID `json:"resource"`
	First    uint64         `json:"first"`
	Last     uint64         `json:"last"`
}

// placeOf gives the shelf of an id's hash, and what stands there of it.
func placeOf(hash []byte) (shelf uint16, tail []byte) {
	return binary.BigEndian.Uint16(hash) >> 4, hash[2 : 2+tailSize]
}

func shelfKey(shelf uint16) []byte { return binary.BigEndian.AppendUint16(nil, shelf) }

// unshelved is the first block of arrivals that is not on the shelves; full says that
// nothing comes to it any more.
func unshelved(tx *bbolt.Tx) (block uint64, full bool) {
	arrivals := tx.Bucket(bucketArrivals)
	block = tx.Bucket(bucketIDs).Sequence()
	first, _ := arrivals.Cursor().First()
	if first == nil {
		return block, false
	}
	block = max(block, binary.BigEndian.Uint64(first)/blockSize)
	return block, arrivals.Sequence() >= (block+1)*blockSize
}

// shelve puts the blocks that are full on the shelves, each in some commits that delay
// others little. It counts as shelved from the last of them on: what is cut off begins
// anew, and writes over what is there.
func (x *Exchange) shelve(ctx context.Context) error {
	for {
		var block uint64
		var head shelved
		var entries [][]byte
		full := false
		err := x.Store.View(func(tx *bbolt.Tx) (err error) {
			if block, full = unshelved(tx); full {
				head, entries = sorted(tx, block)
				head.Leaves, err = x.Log.Size(tx)
			}
			return err
		})
		if err != nil || !full {
			return err
		}
		for from := 0; from < shelves && err == nil; from += shelvesAtOnce {
			err = x.Store.Commit(ctx, func(tx *bbolt.Tx) error { return putOn(tx, block, from, entries[from:from+shelvesAtOnce]) })
		}
		if err == nil {
			err = x.Store.Commit(ctx, func(tx *bbolt.Tx) error { return head.put(tx, block) })
		}
		if err != nil {
			return fmt.Errorf("shelve ids: %w", err)
		}
	}
}

// putOn puts the entries of a block on the shelves from one on.
func putOn(tx *bbolt.Tx, block uint64, from int, entries [][]byte) error {
	for i, some := range entries {
		on, err := tx.Bucket(bucketIDs).CreateBucketIfNotExists(shelfKey(uint16(from + i)))
		if err != nil {
			return err
		}
		on.FillPercent = 1 // blocks only grow
		if len(some) == 0 {
			err = on.Delete(sequenceKey(block)) // of a time that was cut off
		} else {
			err = on.Put(sequenceKey(block), some)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// put makes a block, which is on all shelves, one that is looked for there.
func (s shelved) put(tx *bbolt.Tx, block uint64) error {
	value, err := json.Marshal(s)
	if err != nil {
		return err
	}
	return errors.Join(tx.Bucket(bucketShelved).Put(sequenceKey(block), value), tx.Bucket(bucketIDs).SetSequence(block+1))
}

// sorted gives the entries of a block by their shelves.
func sorted(tx *bbolt.Tx, block uint64) (head shelved, entries [][]byte) {
	entries = make([][]byte, shelves)
	numbers := map[bus.ResourceID]int{}
	eachArrival(tx, block, func(key arrivalKey, where func() Occurrence) {
		at := where()
		number, ok := numbers[at.Resource]
		if !ok {
			number = len(head.Of)
			numbers[at.Resource] = number
			head.Of = append(head.Of, stretch{at.Resource, at.Sequence, at.Sequence})
		}
		of := &head.Of[number]
		of.Last = max(of.Last, at.Sequence)
		shelf, tail := placeOf(key[:])
		entry := binary.AppendUvarint(append(entries[shelf], tail...), uint64(number))
		entries[shelf] = binary.AppendUvarint(entry, at.Sequence-of.First)
	})
	return head, entries
}

var errShelf = errors.New("what is kept of an event's id is damaged")

// onShelf returns the events on the shelves with an id of this hash.
func onShelf(tx *bbolt.Tx, hash []byte) (found []Occurrence, err error) {
	shelf, tail := placeOf(hash)
	ids := tx.Bucket(bucketIDs)
	on, end := ids.Bucket(shelfKey(shelf)), sequenceKey(ids.Sequence())
	if on == nil {
		return nil, nil
	}
	cursor := on.Cursor()
	for block, entries := cursor.First(); block != nil && bytes.Compare(block, end) < 0; block, entries = cursor.Next() {
		for len(entries) > 0 {
			number, n := binary.Uvarint(entries[min(tailSize, len(entries)):])
			if n <= 0 {
				return nil, errShelf
			}
			behind, m := binary.Uvarint(entries[tailSize+n:])
			if m <= 0 {
				return nil, errShelf
			}
			if bytes.HasPrefix(entries, tail) {
				head, err := shelvedBlock(tx.Bucket(bucketShelved).Get(block))
				if err != nil || number >= uint64(len(head.Of)) {
					return nil, errors.Join(errShelf, err)
				}
				of := head.Of[number]
				found = append(found, Occurrence{of.Resource, of.First + behind})
			}
			entries = entries[tailSize+n+m:]
		}
	}
	return found, nil
}

func shelvedBlock(value []byte) (head shelved, err error) {
	err = json.Unmarshal(value, &head)
	return head, err
}

// unshelve takes the blocks off the shelves that lead to no evidence any more, the
// oldest first.
func (x *Exchange) unshelve(ctx context.Context) error {
	for {
		var block []byte
		spent := false
		err := x.Store.View(func(tx *bbolt.Tx) error {
			key, value := tx.Bucket(bucketShelved).Cursor().First()
			if key == nil {
				return nil
			}
			block = bytes.Clone(key)
			head, err := shelvedBlock(value)
			if err == nil {
				spent, err = x.spent(tx, block, head)
			}
			return err
		})
		if err == nil && spent {
			err = x.takeDown(ctx, block)
		}
		if err != nil {
			return fmt.Errorf("take ids off their shelves: %w", err)
		}
		if !spent {
			return nil
		}
	}
}

// spent reports whether the ids of a block lead nowhere: what was recorded up to when
// it was shelved is pruned, here and so where its events came from; nothing was
// recorded of them since that is not; and its arrivals are forgotten.
func (x *Exchange) spent(tx *bbolt.Tx, block []byte, head shelved) (bool, error) {
	kept, err := x.Log.Kept(tx)
	if err != nil || kept < head.Leaves {
		return false, err
	}
	number := binary.BigEndian.Uint64(block)
	if first, _ := tx.Bucket(bucketArrivals).Cursor().First(); first != nil && binary.BigEndian.Uint64(first)/blockSize <= number {
		return false, nil
	}
	for _, of := range head.Of {
		told, err := x.Log.Mentions(tx, of.Resource, of.First, of.Last)
		if err != nil || told {
			return false, err
		}
	}
	return true, nil
}

// takeDown deletes a block from all shelves, then what its entries refer to.
func (x *Exchange) takeDown(ctx context.Context, block []byte) error {
	for from := 0; from < shelves; from += shelvesAtOnce {
		err := x.Store.Commit(ctx, func(tx *bbolt.Tx) error {
			return putOn(tx, binary.BigEndian.Uint64(block), from, make([][]byte, shelvesAtOnce))
		})
		if err != nil {
			return err
		}
	}
	return x.Store.Commit(ctx, func(tx *bbolt.Tx) error { return tx.Bucket(bucketShelved).Delete(block) })
}
