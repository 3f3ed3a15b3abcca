package exchange

import (
	"context"
	"errors"
	"slices"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"go.etcd.io/bbolt"
)

// Handover asks the old node of a department for what it keeps: without a
// position for the list of it, with one for the rows from there on.
type Handover struct {
	Department bus.USCC     `json:"department"`
	Epoch      bus.Revision `json:"epoch"` // of the move
	At         *position    `json:"at,omitempty"`
}

// Parcel is the answer: the list and what it adds up to, or about 1 MiB of rows
// and where to go on. Secrets are in clear in it: it goes to the node that asks, inside
// the TLS of the two, and nowhere else.
type Parcel struct {
	Contents *contents `json:"contents,omitempty"`
	Counted  *counted  `json:"counted,omitempty"`
	Rows     []row     `json:"rows,omitempty"`
	Next     position  `json:"next"`
	Digest   []byte    `json:"digest,omitempty"` // of the rows
}

func (p Parcel) digest() []byte {
	var sum [32]byte
	for _, r := range p.Rows {
		sum = r.link(sum)
	}
	return sum[:]
}

// check refuses a parcel that is not whole or does not lead on.
func (p Parcel) check(at position) error {
	if !slices.Equal(p.Digest, p.digest()) {
		return errors.New("its digest is not that of its rows")
	}
	forward := p.Next.Part > at.Part || p.Next.Part == at.Part && (p.Next.Item > at.Item || p.Next.Item == at.Item && slices.Compare(p.Next.Key, at.Key) > 0)
	if !forward {
		return errors.New("it does not lead on")
	}
	return nil
}

// Handover gives the node from, which a department moves to, what this node
// keeps of it. It answers to nobody else, and once the department is sealed:
// until then CodeUnavailable.
func (x *Exchange) Handover(ctx context.Context, from bus.NodeID, ask Handover) (Parcel, error) {
	parcel, err := x.handover(from, ask)
	return parcel, x.refuse(ctx, audit.Record{Principal: bus.Principal{Node: from}, Detail: "handover of department " + string(ask.Department)}, err)
}

func (x *Exchange) handover(from bus.NodeID, ask Handover) (p Parcel, err error) {
	later := bus.E(bus.CodeUnavailable, bus.Defect{Field: "department", Problem: bus.Text{ZH: "尚未准备好迁出", EN: "it is not ready to move yet"}})
	err = x.Directory.View(func(tx *state.Tx) error {
		if tx.Index() < ask.Epoch {
			return later
		}
		d, _ := tx.Department(ask.Department)
		if m := d.Move; m == nil || m.Epoch != ask.Epoch || m.To != from || m.From != x.Self {
			return bus.E(bus.CodeForbidden, bus.Defect{
				Field: "epoch", Problem: bus.Text{ZH: "该部门不在向请求节点迁移", EN: "the department is not moving from here to the node that asks"},
			})
		}
		return nil
	})
	if err != nil {
		return p, err
	}
	err = x.Store.View(func(tx *bbolt.Tx) error {
		h, err := holdingOf(tx, ask.Department)
		switch {
		case err != nil:
			return err
		case h.State != sealed || h.Move != ask.Epoch || h.Counted == nil:
			return later
		case ask.At == nil:
			p.Contents, p.Counted = h.Contents, h.Counted
		default:
			p.Rows, p.Next = h.Contents.read(tx, *ask.At, x.vaults())
			p.Digest = p.digest()
		}
		return nil
	})
	return p, err
}
