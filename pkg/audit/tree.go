package audit

import (
	"fmt"

	"go.etcd.io/bbolt"
	"golang.org/x/mod/sumdb/tlog"
)

// storedHashes reads tree hashes from the hashes bucket, where the entry of leaf
// n holds the hash of the leaf and of each subtree that the leaf completes, from
// the bottom up.
type storedHashes struct{ bucket *bbolt.Bucket }

// ReadHashes implements tlog.HashReader.
func (s storedHashes) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		level, n := tlog.SplitStoredHashIndex(index)
		completedBy := (n+1)<<level - 1
		entry := s.bucket.Get(leafKey(completedBy))
		at := level * tlog.HashSize
		if len(entry) < at+tlog.HashSize {
			return nil, fmt.Errorf("evidence: no hash at level %d of leaf %d", level, completedBy)
		}
		copy(hashes[i][:], entry[at:])
	}
	return hashes, nil
}

// hashed reports whether data is leaf n by the hash that is kept of it.
func (t tables) hashed(n int64, data []byte) bool {
	kept := t.hashes.Get(leafKey(n))
	return len(kept) >= tlog.HashSize && tlog.RecordHash(data) == tlog.Hash(kept[:tlog.HashSize])
}

// edge is the right edge of a tree that grows: of each level the newest hash.
// Adding a leaf and taking the root read no other hash, so a batch reads the
// store only for the levels that it has not yet touched itself.
type edge struct {
	newest [64]tlog.Hash
	known  uint64          // bit per level: newest holds it
	older  tlog.HashReader // hashes from before the edge; nil where it began at leaf 0
}

// ReadHashes implements tlog.HashReader for the hashes along the edge.
func (e *edge) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	hashes := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		level, _ := tlog.SplitStoredHashIndex(index)
		if e.known>>level&1 == 1 {
			hashes[i] = e.newest[level]
			continue
		}
		if e.older == nil {
			return nil, fmt.Errorf("evidence: no hash at level %d yet", level)
		}
		older, err := e.older.ReadHashes(indexes[i : i+1])
		if err != nil {
			return nil, err
		}
		hashes[i] = older[0]
	}
	return hashes, nil
}

// add takes leaf n into the tree and returns the hashes to store with it.
func (e *edge) add(n int64, leaf tlog.Hash) ([]tlog.Hash, error) {
	hashes, err := tlog.StoredHashesForRecordHash(n, leaf, e)
	if err != nil {
		return nil, err
	}
	for level, h := range hashes {
		e.newest[level] = h
		e.known |= 1 << level
	}
	return hashes, nil
}

// joined lays hashes end to end, as the hashes bucket keeps them.
func joined(hashes []tlog.Hash) []byte {
	flat := make([]byte, 0, len(hashes)*tlog.HashSize)
	for i := range hashes {
		flat = append(flat, hashes[i][:]...)
	}
	return flat
}
