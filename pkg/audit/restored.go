package audit

import (
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Restored is what a log that goes on after a restore from a backup says of the
// log that it was: the head there, as the former key signed it. The leaf that holds
// it stands right after that head's leaves, so that whoever verifies the log sees
// whether it is true.
type Restored struct {
	Origin string    `json:"origin"` // the former name
	Key    string    `json:"key"`    // the former verifier key
	Size   int64     `json:"size"`   // leaves that were restored
	Root   tlog.Hash `json:"root"`   // their tree head
	Note   string    `json:"note"`   // the former key's signature on both
	Epoch  uint64    `json:"epoch"`  // policy epoch of the restored directory
	Taken  time.Time `json:"taken"`  // when the backup was taken
}

// Continue makes the log in tx, which was restored from a backup, one of a new
// name: the node whose log it was may have gone on, and two logs of one name must
// never differ. The former key signs the head a last time, the new name begins with
// a leaf that says so, and former checkpoints, which are of the old name, are
// dropped: the leaf's note covers all that they covered. former must be the key of
// the log.
func Continue(tx *bbolt.Tx, origin string, former note.Signer, formerKey string, r Restored, at time.Time) (*Log, error) {
	old, err := OpenExisting(tx)
	if err != nil {
		return nil, err
	}
	node, err := parseOrigin(origin)
	if err != nil {
		return nil, err
	}
	if origin == old.origin || node != old.node {
		return nil, fmt.Errorf("evidence: the log of %s cannot go on as %s", old.origin, origin)
	}
	head, err := old.Checkpoint(tx, former)
	if err != nil {
		return nil, err
	}
	top := tx.Bucket(topBucket)
	if err := top.DeleteBucket(checkpointsBucket); err != nil {
		return nil, err
	}
	if _, err := top.CreateBucket(checkpointsBucket); err != nil {
		return nil, err
	}
	if err := top.Delete(witnessedKey); err != nil {
		return nil, err
	}
	if err := top.Put(originKey, []byte(origin)); err != nil {
		return nil, err
	}
	log := &Log{origin: origin, node: node}
	r.Origin, r.Key, r.Size, r.Root, r.Note = old.origin, formerKey, head.Size, tlog.Hash(head.Root), head.Note
	_, err = log.Append(tx, Record{
		Kind: KindRestored, At: at, Principal: bus.Principal{Node: node}, Restored: &r,
		Detail: fmt.Sprintf("restored from a backup of %s, %d leaves, policy epoch %d", r.Taken.UTC().Format(time.RFC3339), r.Size, r.Epoch),
	})
	return log, err
}

// restoredMark is in the bytes of every leaf that holds one.
var restoredMark = []byte(`"restored":{`)

// check returns nil where r is true of the first n leaves of a log, which have root.
func (r Restored) check(n int64, root tlog.Hash) error {
	keys, err := verifiers(r.Origin, []string{r.Key})
	if err != nil {
		return err
	}
	h, err := openHead(r.Note, r.Origin, keys)
	switch {
	case err != nil:
		return err
	case r.Size != n || r.Root != root || h.size != n || h.root != root:
		return errors.New("the head is another")
	}
	return nil
}
