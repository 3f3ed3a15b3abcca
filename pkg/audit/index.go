package audit

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"math/bits"
	"slices"

	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/pkg/bus"
)

// The ranges bucket finds the leaves whose range covers a sequence number. Its
// key is
//
//	resource 0 subscription 0 class last leaf
//
// with the range's first as the value. The class is the power of two at or below
// the range's length. Within a class a range that covers seq ends less than two
// such lengths after seq, so that a look-up seeks once a class and reads a few
// entries, whatever the order, length or overlap of the ranges.

// index enters the record of leaf n where it will be looked for.
func (t tables) index(n int64, r *Record) error {
	if r.HasRange() {
		if err := t.ranges.Put(rangeKey(r, n), binary.BigEndian.AppendUint64(nil, r.First)); err != nil {
			return err
		}
	}
	if r.Decision != nil && t.decisions.Get([]byte(r.Decision.ID)) == nil {
		return t.decisions.Put([]byte(r.Decision.ID), leafKey(n))
	}
	return nil
}

func rangeKey(r *Record, n int64) []byte {
	key := append(rangePrefix(r.Resource, r.Subscription), lengthClass(r.First, r.Last))
	key = binary.BigEndian.AppendUint64(key, r.Last)
	return binary.BigEndian.AppendUint64(key, uint64(n))
}

// rangePrefix is what the keys of one resource and subscription begin with; the
// ids' alphabet has no zero byte.
func rangePrefix(resource bus.ResourceID, subscription bus.SubscriptionID) []byte {
	key := make([]byte, 0, len(resource)+len(subscription)+2+1+8+8)
	key = append(append(key, resource...), 0)
	return append(append(key, subscription...), 0)
}

func lengthClass(first, last uint64) byte { return byte(bits.Len64(last-first+1) - 1) }

// Covering returns the leaves of a resource and subscription, of every kind,
// whose range First to Last covers seq, in the order of the log. The empty
// subscription stands for records that name none, such as those of publishing.
// Where the ranges of one kind do not overlap it reads at most three entries a
// kind and class; ranges that repeat cost one entry each.
func (l *Log) Covering(tx *bbolt.Tx, resource bus.ResourceID, subscription bus.SubscriptionID, seq uint64) ([]Leaf, error) {
	t, err := l.open(tx)
	if err != nil {
		return nil, err
	}
	found, err := t.covering(rangePrefix(resource, subscription), seq, seq)
	if err != nil {
		return nil, err
	}
	slices.Sort(found)
	leaves := make([]Leaf, len(found))
	for i, n := range found {
		r, err := t.record(n)
		if err != nil {
			return nil, err
		}
		if r.Resource != resource || r.Subscription != subscription || seq < r.First || seq > r.Last {
			return nil, fmt.Errorf("evidence: the range index is wrong about leaf %d", n)
		}
		leaves[i] = Leaf{n, r}
	}
	return leaves, nil
}

// About returns the leaves of a resource, of every subscription and of none,
// whose range covers seq, in the order of the log.
func (l *Log) About(tx *bbolt.Tx, resource bus.ResourceID, seq uint64) ([]Leaf, error) {
	t, err := l.open(tx)
	if err != nil {
		return nil, err
	}
	var leaves []Leaf
	for _, subscription := range t.subscriptions(resource) {
		some, err := l.Covering(tx, resource, subscription, seq)
		if err != nil {
			return nil, err
		}
		leaves = append(leaves, some...)
	}
	slices.SortFunc(leaves, func(a, b Leaf) int { return cmp.Compare(a.Index, b.Index) })
	return leaves, nil
}

// subscriptions lists those that the index knows of a resource, by one seek each.
func (t tables) subscriptions(resource bus.ResourceID) []bus.SubscriptionID {
	var found []bus.SubscriptionID
	prefix := append([]byte(resource), 0)
	cursor := t.ranges.Cursor()
	for key, _ := cursor.Seek(prefix); bytes.HasPrefix(key, prefix); {
		id, _, _ := bytes.Cut(key[len(prefix):], []byte{0})
		found = append(found, bus.SubscriptionID(id))
		key, _ = cursor.Seek(append(append(slices.Clip(prefix), id...), 1)) // past all keys of this one
	}
	return found
}

// Mentions reports whether a leaf that was not pruned is about any event of a resource
// from number first to last.
func (l *Log) Mentions(tx *bbolt.Tx, resource bus.ResourceID, first, last uint64) (bool, error) {
	t, err := l.open(tx)
	if err != nil {
		return false, err
	}
	for _, subscription := range t.subscriptions(resource) {
		found, err := t.covering(rangePrefix(resource, subscription), first, last)
		if err != nil || len(found) > 0 {
			return len(found) > 0, err
		}
	}
	return false, nil
}

// covering lists the leaves whose ranges have a number from first to last in them.
func (t tables) covering(prefix []byte, first, last uint64) ([]int64, error) {
	var found []int64
	cursor := t.ranges.Cursor()
	for class := range byte(64) {
		within := append(slices.Clip(prefix), class)
		reach := uint64(2)<<class - 1 // no range of the class is longer
		key, value := cursor.Seek(binary.BigEndian.AppendUint64(slices.Clip(within), first))
		for ; bytes.HasPrefix(key, within); key, value = cursor.Next() {
			rest := key[len(within):]
			if len(rest) != 16 || len(value) != 8 {
				return nil, fmt.Errorf("evidence: range index entry %x is damaged", key)
			}
			if end := binary.BigEndian.Uint64(rest); end > last && end-last >= reach {
				break
			}
			if leaf := int64(binary.BigEndian.Uint64(rest[8:])); binary.BigEndian.Uint64(value) <= last && leaf >= t.kept() {
				found = append(found, leaf)
			}
		}
	}
	return found, nil
}

// Decision returns the leaf that holds the decision with the given id, the first
// one where an id was recorded again; CodeNotFound where there is none.
func (l *Log) Decision(tx *bbolt.Tx, id string) (Leaf, error) {
	t, err := l.open(tx)
	if err != nil {
		return Leaf{}, err
	}
	return t.decision(id)
}

func (t tables) decision(id string) (Leaf, error) {
	n, ok := leafIndex(t.decisions.Get([]byte(id)))
	if !ok || n < t.kept() {
		return Leaf{}, bus.NotFound("decision", id)
	}
	r, err := t.record(n)
	if err != nil {
		return Leaf{}, err
	}
	if r.Decision == nil || r.Decision.ID != id {
		return Leaf{}, fmt.Errorf("evidence: the decision index is wrong about leaf %d", n)
	}
	return Leaf{n, r}, nil
}

// indexed reports whether the record of leaf n is found as index entered it.
func (t tables) indexed(n int64, r *Record) bool {
	if r.HasRange() {
		first := t.ranges.Get(rangeKey(r, n))
		if len(first) != 8 || binary.BigEndian.Uint64(first) != r.First {
			return false
		}
	}
	if r.Decision != nil {
		found, err := t.decision(r.Decision.ID)
		if err != nil || found.Index > n {
			return false
		}
	}
	return t.findable(n, r)
}
