package exchange

import (
	"io"

	"github.com/gxbus/gxbus/pkg/audit"
	"go.etcd.io/bbolt"
)

// Occurrences returns where this node keeps events with a CloudEvents id.
func (x *Exchange) Occurrences(id string) (found []Occurrence, err error) {
	if id == "" {
		return nil, nil
	}
	err = x.Store.View(func(tx *bbolt.Tx) error {
		found = findID(tx, id)
		return nil
	})
	return found, err
}

// Steps returns this node's leaves about one event of a resource.
func (x *Exchange) Steps(at Occurrence) (steps []audit.Leaf, err error) {
	err = x.Store.View(func(tx *bbolt.Tx) error {
		steps, err = x.Log.About(tx, at.Resource, at.Sequence)
		return err
	})
	return steps, err
}

// Export writes the evidence log as it stands, for verification elsewhere.
func (x *Exchange) Export(w io.Writer) error {
	return x.Store.View(func(tx *bbolt.Tx) error { return x.Log.Export(w, tx, x.EvidenceKey) })
}
