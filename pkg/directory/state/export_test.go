package state

import (
	"io"

	"go.etcd.io/bbolt"
)

// KeptEntries lets a test reach the end of the journal.
const KeptEntries = keptEntries

// Build lets a fuzz target feed the reader of snapshots.
func Build(path string, r io.Reader) error { return build(path, r) }

// Dump yields every key and value of every table.
func (s *Store) Dump(yield func(table Table, key, value []byte) error) error {
	return s.View(func(tx *Tx) error {
		return tx.tx.ForEach(func(name []byte, bucket *bbolt.Bucket) error {
			return bucket.ForEach(func(k, v []byte) error { return yield(Table(name), k, v) })
		})
	})
}

// Corrupt writes a value behind the planners' back; an empty one deletes.
func (s *Store) Corrupt(table Table, key, value string) error {
	return s.db.Update(func(tx *bbolt.Tx) error {
		if value == "" {
			return tx.Bucket([]byte(table)).Delete([]byte(key))
		}
		return tx.Bucket([]byte(table)).Put([]byte(key), []byte(value))
	})
}

// NoSync lets a test that survives no crash do without the disk.
func (s *Store) NoSync() { s.db.NoSync = true }
