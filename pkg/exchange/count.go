package exchange

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"hash"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"go.etcd.io/bbolt"
)

// Tally says how much a node keeps for a department.
type Tally struct {
	Resources     int   `json:"resources"`     // that it provides
	Events        int64 `json:"events"`        // of those
	Subscriptions int   `json:"subscriptions"` // to those, each with its cursor
	Inboxes       int   `json:"inboxes"`       // of its own subscriptions
	Waiting       int64 `json:"waiting"`       // events in them
	Sinks         int   `json:"sinks"`         // of those subscriptions
	Bindings      int   `json:"bindings"`      // of those resources
	Bytes         int64 `json:"bytes"`         // of all that
}

// String gives the tally as one line for logs and evidence.
func (t Tally) String() string {
	return fmt.Sprintf("%d resources with %d events, %d subscriptions and %d bindings, %d inboxes with %d events and %d sinks, %d bytes",
		t.Resources, t.Events, t.Subscriptions, t.Bindings, t.Inboxes, t.Waiting, t.Sinks, t.Bytes)
}

// counted is what a department's rows add up to.
type counted struct {
	Tally
	Digest  string   `json:"digest"` // of all rows
	Extents []extent `json:"extents,omitempty"`
}

// extent is a run of events that moves: a resource's, or those in an inbox.
type extent struct {
	Resource     bus.ResourceID     `json:"resource"`
	Subscription bus.SubscriptionID `json:"subscription,omitempty"` // of the inbox
	First        uint64             `json:"first"`
	Last         uint64             `json:"last"`
	Events       int                `json:"events"`
	Digest       string             `json:"digest"`
}

// count reads all rows, a chunk a transaction: nothing may change them meanwhile.
func (x *Exchange) count(ctx context.Context, c contents) (counted, error) {
	k := counter{contents: c}
	k.Resources, k.Subscriptions, k.Inboxes = len(c.Resources), len(c.Cursors), len(c.Inboxes)
	for at := (position{}); !at.end(); {
		if err := ctx.Err(); err != nil {
			return counted{}, err
		}
		var rows []row
		err := x.Store.View(func(tx *bbolt.Tx) error {
			rows, at = c.read(tx, at, x.vaults())
			return nil
		})
		if err != nil {
			return counted{}, err
		}
		for _, r := range rows {
			if err := k.add(r); err != nil {
				return counted{}, err
			}
		}
	}
	k.finish()
	return k.counted, nil
}

// counter adds rows up.
type counter struct {
	counted
	contents contents
	chain    [sha256.Size]byte
	open     row       // newest row of the extent that goes on
	digest   hash.Hash // of its events; nil where none goes on
}

func (k *counter) add(r row) error {
	k.chain = r.chain(k.chain)
	k.Bytes += int64(len(r.Value))
	switch r.Part {
	case partEvents:
		e, err := decodeStored(r.Value)
		if err != nil {
			return fmt.Errorf("resource %s: %w", k.contents.Resources[r.Item], err)
		}
		k.Events++
		k.extend(r, extent{Resource: k.contents.Resources[r.Item]}, e.Digest)
	case partInboxes:
		k.Waiting++
		in := k.contents.Inboxes[r.Item]
		k.extend(r, extent{Resource: in.Resource, Subscription: in.Subscription}, sha256.Sum256(r.Value))
	case partBindings:
		k.Bindings++
	case partSinks:
		k.Sinks++
	}
	return nil
}

// extend adds an event to the extent that goes on, or begins one.
func (k *counter) extend(r row, e extent, digest [32]byte) {
	sequence := binary.BigEndian.Uint64(r.Key)
	if k.digest == nil || k.open.Part != r.Part || k.open.Item != r.Item {
		k.finish()
		e.First, k.digest = sequence, sha256.New()
		k.Extents = append(k.Extents, e)
	}
	k.open = r
	last := &k.Extents[len(k.Extents)-1]
	last.Last = sequence
	last.Events++
	k.digest.Write(digest[:])
}

// finish closes the extent that goes on, and gives the digest of all rows so far.
func (k *counter) finish() {
	if k.digest != nil {
		k.Extents[len(k.Extents)-1].Digest = digestText(k.digest.Sum(nil))
		k.digest = nil
	}
	k.Digest = digestText(k.chain[:])
}

func digestText(sum []byte) string { return "sha256:" + hex.EncodeToString(sum) }

// records are the leaves of a department that went or came: one an extent, so
// that a trace finds it by any of its events, and one of the whole.
func (c counted) records(kind audit.Kind, id bus.USCC, by bus.NodeID, way string) []audit.Record {
	var records []audit.Record
	for _, e := range c.Extents {
		r := audit.Record{
			Kind: kind, Principal: bus.Principal{Node: by}, Resource: e.Resource, Subscription: e.Subscription,
			First: e.First, Last: e.Last, Events: e.Events, Digest: e.Digest, Detail: way,
		}
		if e.Subscription == "" {
			r.Provider = id
		} else {
			r.Consumer = id
		}
		records = append(records, r)
	}
	return append(records, audit.Record{
		Kind: kind, Principal: bus.Principal{Node: by}, Digest: c.Digest, Detail: fmt.Sprintf("department %s %s: %s", id, way, c.Tally),
	})
}

// Survey says how much this node keeps for a department, and how far a move has
// come here.
type Survey struct {
	State string       `json:"state"` // kept, sealed, importing, discarding, gone
	Epoch bus.Revision `json:"epoch"` // of the move that State is about; of the one that brought it, where it is kept
	Tally Tally        `json:"tally"` // bytes are an estimate unless a move has counted them
	Done  int64        `json:"done"`  // bytes that have come in
}

// Survey surveys a department here.
func (x *Exchange) Survey(id bus.USCC) (s Survey, err error) {
	c, err := x.contents(id)
	if err != nil {
		return s, err
	}
	err = x.Store.View(func(tx *bbolt.Tx) error {
		h, err := holdingOf(tx, id)
		if err != nil {
			return err
		}
		s = Survey{State: string(h.State), Epoch: max(h.Move, h.Epoch), Done: h.Done}
		switch {
		case h.Counted != nil:
			s.Tally = h.Counted.Tally
		case h.State == kept:
			s.State, s.Tally = "kept", c.estimate(tx)
		}
		return nil
	})
	return s, err
}

// estimate tells a tally from the ends of buckets; inboxes, which are short, it
// counts.
func (c contents) estimate(tx *bbolt.Tx) Tally {
	t := Tally{Resources: len(c.Resources), Subscriptions: len(c.Cursors), Inboxes: len(c.Inboxes)}
	for i := range c.Resources {
		if log, _ := c.bucket(tx, partEvents, i); log != nil {
			first, _ := log.Cursor().First()
			last, value := log.Cursor().Last()
			if first != nil {
				n := int64(binary.BigEndian.Uint64(last) - binary.BigEndian.Uint64(first) + 1)
				t.Events += n
				t.Bytes += n * int64(len(value)+keySize)
			}
		}
	}
	present := func(p part, item int) (n int) {
		if bucket, key := c.bucket(tx, p, item); bucket != nil && bucket.Get(key) != nil {
			n = 1
		}
		return n
	}
	for i := range c.Resources {
		t.Bindings += present(partBindings, i)
	}
	for i := range c.Inboxes {
		t.Sinks += present(partSinks, i)
		if box, _ := c.bucket(tx, partInboxes, i); box != nil {
			cursor := box.Cursor()
			for key, value := cursor.First(); key != nil; key, value = cursor.Next() {
				t.Waiting++
				t.Bytes += int64(len(value))
			}
		}
	}
	return t
}
