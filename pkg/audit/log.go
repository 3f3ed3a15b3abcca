package audit

import (
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"

	"go.etcd.io/bbolt"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/gxbus/gxbus/pkg/bus"
)

// The buckets, all below one top bucket. DESIGN.md shows their keys.
var (
	topBucket         = []byte("evidence")
	leavesBucket      = []byte("leaves")
	hashesBucket      = []byte("hashes")
	checkpointsBucket = []byte("checkpoints")
	rangesBucket      = []byte("ranges")
	decisionsBucket   = []byte("decisions")
	partsBucket       = []byte("parts")
	segmentsBucket    = []byte("segments")
	originKey         = []byte("origin")
)

// Log is the evidence log of one node. It holds no state of the log: everything
// is read from the transaction, so a transaction rolled back leaves it right. It
// may be used from many goroutines, each with its own transaction.
type Log struct {
	origin  string
	node    bus.NodeID
	archive *Archive // nil: nothing of it is archived
	watch   func(Record)
}

// Origin names the log of a node in checkpoints: "gxbus/<cluster>/<node>".
func Origin(cluster string, node bus.NodeID) string {
	return "gxbus/" + cluster + "/" + string(node)
}

// parseOrigin returns the node of an origin.
func parseOrigin(origin string) (bus.NodeID, error) {
	parts := strings.Split(origin, "/")
	if len(parts) != 3 || parts[0] != "gxbus" || bus.CheckID("", parts[1]) != nil || bus.CheckID("", parts[2]) != nil {
		return "", bus.E(bus.CodeInvalid, bus.Defect{
			Field: "origin", Problem: bus.Text{ZH: "存证日志名称不正确", EN: "not the name of an evidence log"}, Allowed: "gxbus/<cluster>/<node>",
		})
	}
	return bus.NodeID(parts[2]), nil
}

// Open opens the log named origin in tx, and creates it where there is none; tx
// must be writable for that. A log of another origin is CodeForeignCluster.
func Open(tx *bbolt.Tx, origin string) (*Log, error) {
	if _, err := parseOrigin(origin); err != nil {
		return nil, err
	}
	if tx.Bucket(topBucket) == nil && tx.Writable() {
		if err := create(tx, origin); err != nil {
			return nil, fmt.Errorf("create evidence log: %w", err)
		}
	}
	l, err := OpenExisting(tx)
	if err != nil {
		return nil, err
	}
	if l.origin != origin {
		return nil, bus.E(bus.CodeForeignCluster, bus.Defect{
			Field: "origin", Problem: bus.Text{ZH: "存证日志属于 " + l.origin, EN: "the evidence log is that of " + l.origin}, Allowed: origin,
		})
	}
	return l, nil
}

// OpenExisting opens whatever log tx holds, for reading a data directory
// offline; CodeNotInitialized where it holds none.
func OpenExisting(tx *bbolt.Tx) (*Log, error) {
	top := tx.Bucket(topBucket)
	if top == nil {
		return nil, bus.E(bus.CodeNotInitialized)
	}
	origin := string(top.Get(originKey))
	node, err := parseOrigin(origin)
	if err != nil {
		return nil, err
	}
	return &Log{origin: origin, node: node}, nil
}

func create(tx *bbolt.Tx, origin string) error {
	top, err := tx.CreateBucket(topBucket)
	if err != nil {
		return err
	}
	for _, name := range [][]byte{leavesBucket, hashesBucket, checkpointsBucket, rangesBucket, decisionsBucket, partsBucket} {
		if _, err := top.CreateBucket(name); err != nil {
			return err
		}
	}
	return top.Put(originKey, []byte(origin))
}

// Node returns whose log it is.
func (l *Log) Node() bus.NodeID { return l.node }

// Origin returns the name of the log.
func (l *Log) Origin() string { return l.origin }

// tables are the buckets of the log in one transaction.
type tables struct {
	leaves, hashes, checkpoints, ranges, decisions *bbolt.Bucket
	top                                            *bbolt.Bucket
	blocks                                         *bbolt.Bucket // as parts
	parts                                          *bbolt.Bucket // nil in a file of before there were any, until something is appended
	sealed                                         *bbolt.Bucket // nil until something is archived
	archive                                        *Archive
}

func (l *Log) open(tx *bbolt.Tx) (tables, error) {
	top := tx.Bucket(topBucket)
	if top == nil {
		return tables{}, bus.E(bus.CodeNotInitialized)
	}
	t := tables{
		leaves: top.Bucket(leavesBucket), hashes: top.Bucket(hashesBucket), checkpoints: top.Bucket(checkpointsBucket),
		ranges: top.Bucket(rangesBucket), decisions: top.Bucket(decisionsBucket), parts: top.Bucket(partsBucket), top: top, blocks: top.Bucket(blocksBucket),
		sealed: top.Bucket(segmentsBucket), archive: l.archive,
	}
	for _, b := range []*bbolt.Bucket{t.leaves, t.hashes, t.checkpoints, t.ranges, t.decisions} {
		if b == nil {
			return tables{}, fmt.Errorf("evidence: a bucket is missing from the file")
		}
	}
	return t, nil
}

// size is the number of leaves, from the last key.
func (t tables) size() (int64, error) {
	last, _ := t.leaves.Cursor().Last()
	if last == nil {
		return 0, nil
	}
	n, ok := leafIndex(last)
	if !ok {
		return 0, fmt.Errorf("evidence: key %x is not that of a leaf", last)
	}
	return n + 1, nil
}

// leafKey is the key of leaf n; the keys sort as the leaves do.
func leafKey(n int64) []byte { return binary.BigEndian.AppendUint64(nil, uint64(n)) }

func leafIndex(key []byte) (int64, bool) {
	if len(key) != 8 || key[0]&0x80 != 0 {
		return 0, false
	}
	return int64(binary.BigEndian.Uint64(key)), true
}

// Watch has watch called with each record once it is committed, before the log is used.
func (l *Log) Watch(watch func(Record)) { l.watch = watch }

// Append adds records to the log, in order, and returns the index of the first.
// It sets V, and Node where it is empty. Either all records are good and all are
// written, or none is: a defect is CodeInvalid, a record over MaxLeaf
// CodeTooLarge. After any other error the transaction must be rolled back.
func (l *Log) Append(tx *bbolt.Tx, records ...Record) (first int64, err error) {
	records = slices.Clone(records) // the caller's stay as they are
	leaves, err := l.encode(records)
	if err != nil {
		return 0, err
	}
	t, err := l.open(tx)
	if err != nil {
		return 0, err
	}
	if t.parts == nil {
		if t.parts, err = tx.Bucket(topBucket).CreateBucket(partsBucket); err != nil {
			return 0, fmt.Errorf("append evidence: %w", err)
		}
	}
	if first, err = t.size(); err != nil {
		return 0, err
	}
	if t.blocks == nil {
		if err = t.makeBlocks(first); err != nil {
			return 0, fmt.Errorf("append evidence: %w", err)
		}
	}
	seen := map[string]bool{}
	// Keys only ever grow, so full pages are never split again.
	t.leaves.FillPercent, t.hashes.FillPercent = 1, 1
	right := edge{older: storedHashes{t.hashes}}
	for i, data := range leaves {
		n := first + int64(i)
		if err := t.put(&right, n, data); err != nil {
			return 0, fmt.Errorf("append evidence: %w", err)
		}
		if err := errors.Join(t.index(n, &records[i]), t.enter(n, &records[i], seen)); err != nil {
			return 0, fmt.Errorf("index evidence: %w", err)
		}
		if err := t.keep(records[i].Grounds); err != nil {
			return 0, fmt.Errorf("keep grounds: %w", err)
		}
	}
	if l.watch != nil {
		tx.OnCommit(func() {
			for _, r := range records {
				l.watch(r)
			}
		})
	}
	return first, nil
}

// encode checks records, completes them and gives the bytes of each, before any is
// written.
func (l *Log) encode(records []Record) ([][]byte, error) {
	leaves := make([][]byte, len(records))
	for i := range records {
		r := &records[i]
		var err error
		if r.Grounds, err = grounds(r.Decision); err != nil {
			return nil, err
		}
		defects := r.Check()
		if r.Node != "" && r.Node != l.node {
			defects = append(defects, bus.Defect{
				Field: "node", Problem: bus.Text{ZH: "不是本节点的记录", EN: "a record of another node"}, Allowed: string(l.node),
			})
		}
		for d := range defects {
			defects[d].Field = fmt.Sprintf("records[%d].%s", i, defects[d].Field)
		}
		if err := bus.Invalid(defects); err != nil {
			return nil, err
		}
		r.V, r.Node, r.At = RecordVersion, l.node, r.At.UTC()
		data, err := r.encode()
		if err != nil {
			return nil, err
		}
		leaves[i] = data
	}
	return leaves, nil
}

// put writes leaf n and the hashes that it completes.
func (t tables) put(right *edge, n int64, data []byte) error {
	hashes, err := right.add(n, tlog.RecordHash(data))
	if err != nil {
		return err
	}
	key := leafKey(n)
	if err := t.leaves.Put(key, data); err != nil {
		return err
	}
	return t.hashes.Put(key, joined(hashes))
}

// Size returns the number of leaves.
func (l *Log) Size(tx *bbolt.Tx) (int64, error) {
	t, err := l.open(tx)
	if err != nil {
		return 0, err
	}
	return t.size()
}

// Hashes reads the hashes of the tree, for the proofs of x/mod/sumdb/tlog; it
// holds as long as tx does.
func (l *Log) Hashes(tx *bbolt.Tx) (tlog.HashReader, error) {
	t, err := l.open(tx)
	return storedHashes{t.hashes}, err
}

// Root returns the tree head over all leaves (RFC 6962 §2.1), from the stored
// hashes.
func (l *Log) Root(tx *bbolt.Tx) (tlog.Hash, error) {
	t, err := l.open(tx)
	if err != nil {
		return tlog.Hash{}, err
	}
	size, err := t.size()
	if err != nil {
		return tlog.Hash{}, err
	}
	return tlog.TreeHash(size, storedHashes{t.hashes})
}

// Record returns the record of leaf n; CodeNotFound where there is none, or none any
// more; CodeEvidence where its segment is missing or damaged.
func (l *Log) Record(tx *bbolt.Tx, n int64) (Record, error) {
	t, err := l.open(tx)
	if err != nil {
		return Record{}, err
	}
	return t.record(n)
}

func (t tables) record(n int64) (Record, error) {
	data, err := t.leaf(n)
	if err != nil {
		return Record{}, err
	}
	r, err := decode(data)
	if err != nil {
		return Record{}, fmt.Errorf("leaf %d: %w", n, err)
	}
	return r, nil
}

// Records gives the leaves from index from up to, not including, index to or the
// end of the log, in order, without those that were pruned. It ends after the first
// error.
func (l *Log) Records(tx *bbolt.Tx, from, to int64) iter.Seq2[Leaf, error] {
	return func(yield func(Leaf, error) bool) {
		t, err := l.open(tx)
		if err != nil {
			yield(Leaf{}, err)
			return
		}
		size, err := t.size()
		if err != nil {
			yield(Leaf{}, err)
			return
		}
		for n := max(from, t.kept()); n < min(to, size); n++ {
			r, err := t.record(n)
			if !yield(Leaf{n, r}, err) || err != nil {
				return
			}
		}
	}
}
