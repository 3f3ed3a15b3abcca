package exchange

import (
	"github.com/gxbus/gxbus/pkg/audit"
	"go.etcd.io/bbolt"
)

// ReadEvidence reads the evidence log as it stands. read should be short: what it
// reads keeps its place on the disk meanwhile.
func (x *Exchange) ReadEvidence(read func(*audit.Reader) error) error {
	return x.Store.View(func(tx *bbolt.Tx) error {
		reader, err := x.Log.Reader(tx)
		if err != nil {
			return err
		}
		return read(reader)
	})
}
