package exchange

import (
	"cmp"
	"encoding/hex"
	"fmt"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"go.etcd.io/bbolt"
)

// maxProven is how many digests of a leaf's events go into a proof.
const maxProven = 1 << 12

// Prove proves this node's leaves about events under a checkpoint that covers them;
// ok is false where it has none. Where the events that a record is over are still
// here, or their husks, their digests are with it.
func (x *Exchange) Prove(c bus.Checkpoint, events []Occurrence) (proof audit.LogProof, ok bool, err error) {
	err = x.Store.View(func(tx *bbolt.Tx) error {
		var leaves []audit.Leaf
		var of []Occurrence
		for _, at := range events {
			about, err := x.Log.About(tx, at.Resource, at.Sequence)
			if err != nil {
				return err
			}
			for _, leaf := range about {
				if leaf.Index < c.Size { // a later one is of a step after the question
					leaves, of = append(leaves, leaf), append(of, at)
				}
			}
		}
		if len(leaves) == 0 {
			return nil
		}
		ok = true
		numbers := make([]int64, len(leaves))
		for i, leaf := range leaves {
			numbers[i] = leaf.Index
		}
		if proof, err = x.Log.Prove(tx, c, numbers); err != nil {
			return err
		}
		for i, leaf := range leaves {
			if proof.Leaves[i].Events, proof.Leaves[i].Place, err = digestsOf(tx, leaf.Record, of[i]); err != nil {
				return err
			}
		}
		return nil
	})
	return proof, ok, err
}

// digestsOf gives the digests that a record's digest is over, and the place of an
// event among them from 1; none where the events went out as others than they came.
func digestsOf(tx *bbolt.Tx, r audit.Record, at Occurrence) (digests []string, place int, err error) {
	if r.Digest == "" || r.Events == 0 || r.Last-r.First >= maxProven {
		return nil, 0, nil
	}
	var all [][32]byte
	for n := r.First; n <= r.Last; n++ {
		digest, ok, err := digestAt(tx, Occurrence{r.Resource, n})
		if err != nil {
			return nil, 0, fmt.Errorf("resource %s, event %d: %w", r.Resource, n, err)
		}
		if !ok {
			return nil, 0, nil
		}
		if n == at.Sequence {
			place = len(all) + 1
		}
		all = append(all, digest)
	}
	if audit.Digest(all...) != r.Digest {
		return nil, 0, nil
	}
	digests = make([]string, len(all))
	for i := range all {
		digests[i] = hex.EncodeToString(all[i][:])
	}
	return digests, place, nil
}

// digestAt is the digest of an event as it was accepted, of itself or its husk.
func digestAt(tx *bbolt.Tx, at Occurrence) (digest [32]byte, ok bool, err error) {
	have, ok, err := eventAt(tx, at.Resource, at.Sequence)
	if err != nil || ok {
		return have.Digest, ok, err
	}
	h, ok, err := huskAt(tx, at)
	return h.digest, ok, err
}

// Compare orders occurrences by resource, then number.
func (o Occurrence) Compare(other Occurrence) int {
	return cmp.Or(cmp.Compare(o.Resource, other.Resource), cmp.Compare(o.Sequence, other.Sequence))
}
