package audit

import (
	"bytes"
	"cmp"
	"fmt"
	"iter"
	"math"
	"slices"

	"go.etcd.io/bbolt"
	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Report is what a verification found. It stops at the first fault.
type Report struct {
	Origin      string    `json:"origin"`
	First       int64     `json:"first,omitempty"` // of a window: the leaf that it begins with
	Leaves      int64     `json:"leaves"`          // examined, or before First; all of them where Verified
	Root        tlog.Hash `json:"root"`            // recomputed over those; base64
	Checkpoints int       `json:"checkpoints"`     // signed heads that agreed, the known ones too
	Signed      int64     `json:"signed"`          // leaves below the largest of them
	Verified    bool      `json:"verified"`
	BadLeaf     int64     `json:"bad_leaf"` // the first bad or missing leaf; -1 if none can be named
	From        int64     `json:"from"`     // where not Verified: the fault lies in
	To          int64     `json:"to"`       // leaves From up to, not including, To
	Problem     bus.Text  `json:"problem,omitzero"`
}

// Verify recomputes the log in tx from its leaves: each leaf's hash, each hash
// of the tree, the root at each signed checkpoint, and that the index finds each
// leaf. Known are checkpoints of this log that others hold; they prove what the
// node itself could hide by signing again. Keys are the verifier keys that its
// checkpoints may be signed with, at least one. Memory grows with the distinct
// parts that decisions rest on, by their digests, and not with the leaves.
//
// What is wrong with the log is in the report. An error means that it could not
// be examined: no log, a key or known checkpoint that is not of this log
// (CodeInvalid).
func (l *Log) Verify(tx *bbolt.Tx, known []bus.Checkpoint, keys ...string) (Report, error) {
	t, err := l.open(tx)
	if err != nil {
		return Report{}, err
	}
	x, err := newExaminer(l.origin, known, keys)
	if err != nil {
		return Report{}, err
	}
	x.index = &t
	if kept := t.kept(); kept > 0 {
		edge, err := t.edgeAt(kept)
		if err != nil {
			return Report{}, err
		}
		x.beginAt(exportHeader{Format: windowFormat, From: kept, Size: math.MaxInt64, Edge: edge})
		x.gone = kept
	}
	for e := range t.entries() {
		if !x.examine(e) {
			return x.finish(), nil
		}
	}
	end := x.report.Leaves
	if key, _ := t.hashes.Cursor().Seek(leafKey(end)); key != nil {
		x.missing(end+1, bus.Text{ZH: "其后存有哈希", EN: "hashes are kept beyond the last leaf"})
	}
	return x.finish(), nil
}

// entry is one thing in a log as it is examined and exported: a leaf with the
// hashes kept with it, or a signed checkpoint, which stands before the first
// leaf that it does not cover, or a part, before the first leaf that names it.
type entry struct {
	checkpoint *string     // signed; nil: a leaf or a part
	proof      []tlog.Hash // of a checkpoint: that it extends the leaves so far; nil: it is of so many
	part       string      // digest; empty: no part
	leaf       int64       // claimed index; -1 where the key names none
	data       []byte
	hashes     []byte   // end to end, the leaf's own first
	segment    *Segment // from its first leaf on: one that is not as it was sealed
	lost       string   // segment that the leaf cannot be read from
}

// entries gives what the buckets hold, sound or not, in the order of the log.
func (t tables) entries() iter.Seq[entry] { return t.entriesIn(t.kept(), -1) }

// entriesIn gives those from leaf first up to, not including, leaf end, or the end
// of the log where that is -1.
func (t tables) entriesIn(first, end int64) iter.Seq[entry] {
	return func(yield func(entry) bool) {
		checkpoints := t.checkpoints.Cursor()
		at, signed := checkpoints.Seek(leafKey(first))
		signedUpTo := func(leaf int64) bool {
			for ; at != nil; at, signed = checkpoints.Next() {
				if size, ok := leafIndex(at); ok && leaf >= 0 && size > leaf {
					return true
				}
				if !yield(entry{checkpoint: new(string(signed))}) {
					return false
				}
			}
			return true
		}
		known := map[string]bool{}
		for e := range t.archivedIn(first, end) {
			if e.segment == nil && (!signedUpTo(e.leaf) || !t.partsFirst(e.data, known, yield)) || !yield(e) {
				return
			}
		}
		leaves := t.leaves.Cursor()
		for key, data := leaves.Seek(leafKey(max(first, t.archived()))); key != nil; key, data = leaves.Next() {
			if end >= 0 && bytes.Compare(key, leafKey(end)) >= 0 {
				break
			}
			e := entry{leaf: -1, data: data, hashes: t.hashes.Get(key)}
			if n, ok := leafIndex(key); ok {
				if e.leaf = n; !signedUpTo(n) {
					return
				}
			}
			if !t.partsFirst(e.data, known, yield) || !yield(e) {
				return
			}
		}
		signedUpTo(end)
	}
}

// partsFirst gives the parts that a leaf is the first to name, so far as they are
// there.
func (t tables) partsFirst(leaf []byte, known map[string]bool, yield func(entry) bool) bool {
	for _, digest := range partsOf(leaf) {
		text := t.part(digest)
		if known[digest] || text == nil {
			continue
		}
		known[digest] = true
		if !yield(entry{part: digest, data: text}) {
			return false
		}
	}
	return true
}

// examiner rebuilds a tree from its entries and compares.
type examiner struct {
	report Report
	keys   note.Verifiers
	known  []head // those still to be met, by size
	tree   edge
	index  *tables         // nil: an export, which carries no index
	lost   int64           // the first leaf that the index does not find; -1 none
	gone   int64           // leaves before the first that is kept
	pruned int64           // of which a leaf says that they were pruned
	broken *Segment        // that is being examined, and is not as it was sealed
	parts  map[string]bool // that were met
}

func newExaminer(origin string, known []bus.Checkpoint, keys []string) (*examiner, error) {
	v, err := verifiers(origin, keys)
	if err != nil {
		return nil, err
	}
	x := &examiner{report: Report{Origin: origin, BadLeaf: -1}, keys: v, lost: -1, parts: map[string]bool{}}
	for i, c := range known {
		h, err := openHead(c.Note, origin, v)
		if err == nil && (h.size != c.Size || string(h.root[:]) != string(c.Root)) {
			err = fmt.Errorf("the note says size %d, root %s", h.size, h.root)
		}
		if err != nil {
			return nil, badCheckpoint(fmt.Sprintf("known[%d]", i)).Because(err)
		}
		x.known = append(x.known, h)
	}
	slices.SortFunc(x.known, func(a, b head) int { return cmp.Compare(a.size, b.size) })
	return x, nil
}

// examine takes the next entry and reports whether all is well so far.
func (x *examiner) examine(e entry) bool {
	if !x.meetKnown() {
		return false
	}
	switch {
	case e.segment != nil:
		x.broken = e.segment
		return true
	case e.part != "":
		return x.part(e)
	case e.checkpoint == nil:
		return x.sealed(e.leaf) && x.leaf(e)
	}
	h, err := openHead(*e.checkpoint, x.report.Origin, x.keys)
	if err != nil {
		return x.fault(x.report.Signed, x.report.Leaves, bus.Text{
			ZH: fmt.Sprintf("第 %d 片叶子前的检查点无法验证", x.report.Leaves),
			EN: fmt.Sprintf("the checkpoint kept before leaf %d does not verify", x.report.Leaves),
		})
	}
	if e.proof != nil {
		return x.leadsTo(h, e.proof)
	}
	return x.agrees(h, bus.Text{ZH: "本节点签署的", EN: "that this node signed"})
}

// meetKnown compares with the known checkpoints of the present size.
func (x *examiner) meetKnown() bool {
	for len(x.known) > 0 && x.known[0].size <= x.report.Leaves {
		h := x.known[0]
		x.known = x.known[1:]
		if !x.agrees(h, bus.Text{ZH: "由他方保存的", EN: "that others hold"}) {
			return false
		}
	}
	return true
}

// agrees compares the tree so far with a signed head; which says whose copy.
func (x *examiner) agrees(h head, which bus.Text) bool {
	at := x.report.Leaves
	switch {
	case h.size > at:
		return x.missing(h.size, bus.Text{
			ZH: fmt.Sprintf("%s检查点覆盖 %d 片叶子", which.ZH, h.size),
			EN: fmt.Sprintf("a checkpoint %s covers %d leaves", which.EN, h.size),
		})
	case h.size < at:
		return x.fault(h.size, at, bus.Text{
			ZH: fmt.Sprintf("大小为 %d 的检查点位置不正确", h.size),
			EN: fmt.Sprintf("the checkpoint of size %d is not in its place", h.size),
		})
	}
	if root := x.root(); root != h.root {
		return x.fault(x.report.Signed, at, bus.Text{
			ZH: fmt.Sprintf("第 %d 至 %d 片叶子中有改动：根哈希与%s大小为 %d 的检查点不符", x.report.Signed, at-1, which.ZH, at),
			EN: fmt.Sprintf("a leaf from %d to %d was changed: the root differs from the checkpoint of size %d %s", x.report.Signed, at-1, at, which.EN),
		})
	}
	x.report.Signed = at
	x.report.Checkpoints++
	return true
}

// leaf takes the next leaf into the tree.
func (x *examiner) leaf(e entry) bool {
	n := x.report.Leaves
	if e.leaf > n {
		return x.missing(n+1, bus.Text{ZH: fmt.Sprintf("其后是第 %d 片", e.leaf), EN: fmt.Sprintf("leaf %d follows", e.leaf)})
	}
	if e.leaf != n {
		return x.bad(n, "位置上是多余的条目", "was due where a foreign entry stands")
	}
	var before tlog.Hash // the head that a leaf about a restore must tell
	if bytes.Contains(e.data, restoredMark) {
		before = x.root()
	}
	if e.lost != "" {
		return x.bad(n, "所在的归档段 "+e.lost+" 缺失或损坏", "is in segment "+e.lost+", which is missing or damaged")
	}
	x.report.Leaves++
	hash := tlog.RecordHash(e.data)
	hashes, err := x.tree.add(n, hash)
	if err != nil {
		return x.bad(n, "无法加入哈希树", "cannot be taken into the tree")
	}
	if len(e.hashes) < tlog.HashSize || hash != tlog.Hash(e.hashes[:tlog.HashSize]) {
		return x.bad(n, "与其哈希不符", "does not match its hash")
	}
	record, err := decode(e.data)
	if err != nil {
		return x.bad(n, "无法读取", "cannot be read as a record")
	}
	if record.Restored != nil && record.Restored.check(n, before) != nil {
		return x.bad(n, "所述恢复前的日志与其前各片不符", "tells of a log before the restore that is not the leaves before it")
	}
	if record.Kind == KindPruned {
		x.pruned = max(x.pruned, record.Segment.End)
	}
	for _, digest := range record.Grounds.digests() {
		if !x.parts[digest] {
			return x.bad(n, "所依据的内容缺失", "names grounds that are not there")
		}
	}
	if x.index == nil {
		return true
	}
	if x.lost < 0 && !x.index.indexed(n, &record) {
		x.lost = n // told last: a change of the leaves displaces others in the index
	}
	return x.compare(n, hashes, e.hashes)
}

// sealed tells of a segment that is not as it was sealed once its leaves, which come
// before leaf n, have all turned out right.
func (x *examiner) sealed(n int64) bool {
	if s := x.broken; s != nil && n >= s.End {
		return x.fault(s.First, s.End, bus.Text{
			ZH: "归档段 " + s.Name() + " 与封存时的摘要不符", EN: "segment " + s.Name() + " is not as it was sealed",
		})
	}
	return true
}

// part takes a part, which the leaf that is due names.
func (x *examiner) part(e entry) bool {
	if PartDigest(e.data) != e.part {
		return x.bad(x.report.Leaves, "所依据的内容与其摘要不符", "rests on grounds that do not match their digest")
	}
	x.parts[e.part] = true
	return true
}

// compare holds the stored hashes of leaf n, and of the subtrees that it
// completes, against the recomputed ones.
func (x *examiner) compare(n int64, hashes []tlog.Hash, stored []byte) bool {
	if len(stored) != len(hashes)*tlog.HashSize {
		return x.bad(n, "所存哈希的数量不正确", "is kept with the wrong number of hashes")
	}
	for level, h := range hashes {
		if h != tlog.Hash(stored[level*tlog.HashSize:(level+1)*tlog.HashSize]) {
			from := n + 1 - 1<<level
			return x.fault(from, n+1, bus.Text{
				ZH: fmt.Sprintf("第 %d 至 %d 片叶子与其上层哈希不符", from, n),
				EN: fmt.Sprintf("leaves %d to %d do not match the hash kept above them", from, n),
			})
		}
	}
	return true
}

func (x *examiner) root() tlog.Hash {
	root, err := tlog.TreeHash(x.report.Leaves, &x.tree)
	if err != nil {
		return tlog.Hash{} // no tree has it: SHA-256 gives no zeros that anyone knows
	}
	return root
}

// finish settles what the end of the log must show.
func (x *examiner) finish() Report {
	if x.report.Problem == (bus.Text{}) && x.meetKnown() && len(x.known) > 0 {
		x.agrees(x.known[len(x.known)-1], bus.Text{ZH: "由他方保存的", EN: "that others hold"})
	}
	if x.report.Problem == (bus.Text{}) && x.sealed(math.MaxInt64) && x.pruned < x.gone {
		x.report.BadLeaf = 0
		x.fault(0, x.gone, bus.Text{
			ZH: fmt.Sprintf("第 %d 片以前的叶子已不存在，日志中没有删除记录", x.gone),
			EN: fmt.Sprintf("the leaves before leaf %d are gone, and nothing on record says why", x.gone),
		})
	}
	if x.report.Problem == (bus.Text{}) && x.lost >= 0 {
		x.bad(x.lost, "在索引中找不到", "is sound, but not where the index has it")
	}
	x.report.Verified = x.report.Problem == (bus.Text{})
	x.report.Root = x.root()
	return x.report
}

// fault records that the leaves in [from, to) are not as they were.
func (x *examiner) fault(from, to int64, problem bus.Text) bool {
	x.report.From, x.report.To, x.report.Problem = from, to, problem
	return false
}

// bad records that leaf n is.
func (x *examiner) bad(n int64, zh, en string) bool {
	x.report.BadLeaf = n
	return x.fault(n, n+1, bus.Text{ZH: fmt.Sprintf("第 %d 片叶子%s", n, zh), EN: fmt.Sprintf("leaf %d %s", n, en)})
}

// missing records that the leaves from the present end up to to are gone.
func (x *examiner) missing(to int64, how bus.Text) bool {
	n := x.report.Leaves
	x.report.BadLeaf = n
	return x.fault(n, to, bus.Text{ZH: fmt.Sprintf("第 %d 片叶子缺失：%s", n, how.ZH), EN: fmt.Sprintf("leaf %d is missing: %s", n, how.EN)})
}
