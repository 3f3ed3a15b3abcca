package audit

import (
	"fmt"
	"io"
	"iter"
	"math/bits"
	"slices"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/gxbus/gxbus/pkg/bus"
)

// ExportWindow writes the leaves that were recorded from from on and before to, of
// which either may be zero, in a form that VerifyExport takes. What stands before
// them is told by the hashes of at most 63 subtrees, what follows by a consistency
// proof to the next signed checkpoint: nothing could be left out of the window, or
// put into it, without another root than was signed.
func (l *Log) ExportWindow(w io.Writer, tx *bbolt.Tx, key string, from, to time.Time) error {
	if from.IsZero() && to.IsZero() {
		return l.Export(w, tx, key)
	}
	t, err := l.open(tx)
	if err != nil {
		return err
	}
	size, err := t.size()
	if err != nil {
		return err
	}
	first, err := t.since(size, from)
	if err != nil {
		return err
	}
	end := size
	if !to.IsZero() {
		if end, err = t.since(size, to); err != nil {
			return err
		}
	}
	return l.exportIn(w, t, key, first, max(first, end))
}

// exportIn writes the leaves from first up to, not including, end.
func (l *Log) exportIn(w io.Writer, t tables, key string, first, end int64) error {
	header, after, err := l.windowOf(t, key, first, end)
	if err != nil {
		return err
	}
	return writeExport(w, header, chain(t.entriesIn(first, end), after))
}

// windowOf gives what an export of a window begins and ends with.
func (l *Log) windowOf(t tables, key string, first, end int64) (header exportHeader, after []entry, err error) {
	header = exportHeader{Format: windowFormat, Origin: l.origin, Key: key, Size: end, From: first}
	if header.Edge, err = t.edgeAt(first); err != nil {
		return header, nil, err
	}
	after, err = t.after(end)
	return header, after, err
}

func chain(entries iter.Seq[entry], after []entry) iter.Seq[entry] {
	return func(yield func(entry) bool) {
		for e := range entries {
			if !yield(e) {
				return
			}
		}
		for _, e := range after {
			if !yield(e) {
				return
			}
		}
	}
}

// edgeAt gives the hashes of the whole subtrees of the first n leaves, the largest
// first.
func (t tables) edgeAt(n int64) ([]tlog.Hash, error) {
	var indexes []int64
	for level := bits.Len64(uint64(n)) - 1; level >= 0; level-- {
		if n>>level&1 == 1 {
			indexes = append(indexes, tlog.StoredHashIndex(level, n>>level-1))
		}
	}
	return storedHashes{t.hashes}.ReadHashes(indexes)
}

// after is the first signed checkpoint of more than n leaves, with the proof that it
// extends them; none where there is no such checkpoint.
func (t tables) after(n int64) ([]entry, error) {
	if t.checkpoints.Get(leafKey(n)) != nil || n == 0 {
		return nil, nil // it is among the entries; and everything extends nothing
	}
	_, signed := t.checkpoints.Cursor().Seek(leafKey(n))
	if signed == nil {
		return nil, nil
	}
	h, err := unverified(signed)
	if err != nil {
		return nil, err
	}
	proof, err := tlog.ProveTree(h.size, n, storedHashes{t.hashes})
	if err != nil {
		return nil, fmt.Errorf("export evidence: %w", err)
	}
	return []entry{{checkpoint: &h.note, proof: proof}}, nil
}

// sound reports whether what h says of a window makes sense.
func (h exportHeader) sound() bool {
	if h.Format != windowFormat {
		return h.From == 0 && h.Edge == nil
	}
	return h.From >= 0 && h.From <= h.Size && len(h.Edge) == bits.OnesCount64(uint64(h.From))
}

// beginAt sets out from the leaves before a window, whose subtrees its header names.
// What others hold of other sizes cannot be compared.
func (x *examiner) beginAt(h exportHeader) {
	if h.Format != windowFormat {
		return
	}
	edge := h.Edge
	for level := bits.Len64(uint64(h.From)) - 1; level >= 0; level-- {
		if h.From>>level&1 == 1 {
			x.tree.newest[level], edge = edge[0], edge[1:]
			x.tree.known |= 1 << level
		}
	}
	x.report.First, x.report.Leaves, x.report.Signed = h.From, h.From, h.From
	x.known = slices.DeleteFunc(x.known, func(k head) bool { return k.size < h.From || k.size > h.Size })
}

// leadsTo compares the tree so far with a signed head of more leaves.
func (x *examiner) leadsTo(h head, proof []tlog.Hash) bool {
	at := x.report.Leaves
	if h.size <= at || tlog.CheckTree(proof, h.size, h.root, at, x.root()) != nil {
		return x.fault(x.report.Signed, at, bus.Text{
			ZH: fmt.Sprintf("第 %d 至 %d 片叶子不是大小为 %d 的检查点所签署的", x.report.Signed, at-1, h.size),
			EN: fmt.Sprintf("leaves %d to %d are not those that the checkpoint of size %d was signed for", x.report.Signed, at-1, h.size),
		})
	}
	x.report.Signed = at
	x.report.Checkpoints++
	return true
}
