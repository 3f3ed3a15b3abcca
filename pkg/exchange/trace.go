package exchange

import (
	"context"
	"io"
	"slices"
	"time"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/policy"
	"go.etcd.io/bbolt"
)

// Occurrences returns where this node keeps, or kept, events with a CloudEvents id, as
// long as it keeps evidence of them.
func (x *Exchange) Occurrences(id string) (found []Occurrence, err error) {
	if id == "" {
		return nil, nil
	}
	err = x.Store.View(func(tx *bbolt.Tx) error {
		found, err = findID(tx, id)
		return err
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

// searched is how long one page of a search is looked for: beyond it, the page ends.
const searched = time.Second

// Find shows what a search is for, leaf by leaf in the order of the log, until take
// says that it has enough. Through is the leaf up to which it has looked; more says
// that it has not come to the end. A page can be empty, and always goes on.
func (x *Exchange) Find(ctx context.Context, s audit.Search, take func(audit.Leaf) (enough bool)) (through int64, more bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, searched)
	defer cancel()
	for {
		var found []audit.Leaf
		var next, size int64
		err = x.Store.View(func(tx *bbolt.Tx) (err error) {
			if size, err = x.Log.Size(tx); err == nil {
				found, next, err = x.Log.Find(tx, s)
			}
			return err
		})
		if err != nil {
			return 0, false, err
		}
		for _, leaf := range found {
			if take(leaf) {
				return leaf.Index, true, nil
			}
		}
		if next < 0 {
			return size - 1, false, nil
		}
		if s.After = next; ctx.Err() != nil {
			return next, true, nil
		}
	}
}

// Sees says which leaves a principal may be told of: the auditor of all, a department
// of those about itself, a data authority of those about the departments in its
// division and below. Who looked for a resource its provider sees, nobody else.
// CodeForbidden for who may look at none.
func Sees(tx *state.Tx, p bus.Principal) (func(audit.Record) bool, error) {
	if p.Role == bus.RoleAuditor {
		return func(audit.Record) bool { return true }, nil
	}
	watched, err := Watched(tx, p)
	if err != nil {
		return nil, err
	}
	return func(r audit.Record) bool {
		sought := r.Decision != nil && r.Decision.Action == string(policy.ActionDiscover)
		return slices.ContainsFunc([]bus.USCC{r.Provider, r.Consumer, r.Principal.Department}, func(d bus.USCC) bool {
			return d != "" && watched(d) && (!sought || d == r.Provider)
		})
	}, nil
}

// Export writes the evidence log as it stands, for verification elsewhere; only what
// was recorded from from on and before to, of which either may be zero.
func (x *Exchange) Export(w io.Writer, from, to time.Time) error {
	return x.Store.View(func(tx *bbolt.Tx) error { return x.Log.ExportWindow(w, tx, x.EvidenceKey, from, to) })
}
