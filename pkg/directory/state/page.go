package state

import (
	"iter"

	"github.com/gxbus/gxbus/pkg/bus"
)

// ResourcesAfter yields the resources after id, in the order of their ids.
func (t *Tx) ResourcesAfter(id bus.ResourceID) iter.Seq[bus.Resource] {
	return from[bus.Resource](t, Resources, string(id)+"\x00")
}

// Count returns how many entries a table has; it walks the keys.
func (t *Tx) Count(table Table) int {
	n := 0
	cursor := t.tx.Bucket([]byte(table)).Cursor()
	for key, _ := cursor.First(); key != nil; key, _ = cursor.Next() {
		n++
	}
	return n
}
