package state

import (
	"errors"
	"fmt"

	"go.etcd.io/bbolt"
)

// layout numbers how the indexes are made from what is indexed. Whoever changes that
// counts up: files and snapshots with another number get their indexes anew.
const layout = 1

// indexes are the tables that say nothing of their own, with what makes them anew.
// An older release had none of them, or made them otherwise.
var indexes = map[Table]func(t *Tx, put func(key, value string) error) error{
	reviews: func(t *Tx, put func(key, value string) error) error {
		for d := range t.DraftsAfter("") {
			if d.Awaits() {
				if err := put(string(d.ID), "true"); err != nil {
					return err
				}
			}
		}
		return nil
	},
	certificates: func(t *Tx, put func(key, value string) error) error {
		for s := range t.Systems() {
			for _, c := range s.Credentials {
				if fingerprint, ok := c.Certificate(); ok {
					if err := put(fingerprint, string(s.ID)); err != nil {
						return err
					}
				}
			}
		}
		return nil
	},
}

// reindex makes the indexes anew where the file does not have them as this release
// makes them. They are the same as if this release had written the file all along.
func reindex(db *bbolt.DB) (err error) {
	defer func() {
		if p := recover(); p != nil { // over what cannot be read
			err = fmt.Errorf("index the directory: %v", p)
		}
	}()
	current := false
	err = db.View(func(tx *bbolt.Tx) error {
		have, _ := read[int](&Tx{tx: tx}, meta, keyLayout)
		current = have == layout
		return nil
	})
	if err != nil || current {
		return err
	}
	err = db.Update(func(tx *bbolt.Tx) error {
		t := &Tx{tx: tx}
		for table, rows := range indexes {
			if err := tx.DeleteBucket([]byte(table)); err != nil {
				return err
			}
			bucket, err := tx.CreateBucket([]byte(table))
			if err != nil {
				return err
			}
			if err := rows(t, func(key, value string) error { return bucket.Put([]byte(key), []byte(value)) }); err != nil {
				return err
			}
		}
		return t.put(meta, keyLayout, layout)
	})
	if err != nil {
		return fmt.Errorf("index the directory: %w", err)
	}
	return nil
}

// whole refuses a file to look at that an older release wrote: it lacks tables.
func whole(db *bbolt.DB) error {
	return db.View(func(tx *bbolt.Tx) error {
		for _, table := range tables {
			if tx.Bucket([]byte(table)) == nil {
				return errOlder
			}
		}
		if have, _ := read[int](&Tx{tx: tx}, meta, keyLayout); have != layout {
			return errOlder
		}
		return nil
	})
}

var errOlder = errors.New("the directory's file is of another release: start the node once with this one")
