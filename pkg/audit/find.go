package audit

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"iter"
	"math"
	"slices"
	"sort"
	"time"

	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/pkg/bus"
)

// The blocks bucket finds the leaves that name a grant, a matter, a department or a
// case. Its key is
//
//	field value 0 block
//
// where a block is a run of blockLeaves leaves: most leaves of a batch name the same,
// so that a batch costs a few entries and not some for each leaf. A look-up reads the
// blocks, of which it decodes only the leaves that have the value in them.
var (
	blocksBucket = []byte("blocks")
	blocksFrom   = []byte("blocks-from") // the first block that is whole in the bucket; those before are read
)

const blockLeaves = 256

// field is what a key of the blocks bucket begins with.
type field byte

const (
	fieldGrant      field = 'g'
	fieldMatter     field = 'm'
	fieldDepartment field = 'd'
	fieldCase       field = 'c'
)

// Search says which leaves are wanted; what is empty does not limit. The times are
// those that the node's clock had.
type Search struct {
	Grant      bus.GrantID `json:"grant,omitempty"`
	Case       string      `json:"case,omitempty"`       // 办件号
	Matter     string      `json:"matter,omitempty"`     // 实施清单编码
	Department bus.USCC    `json:"department,omitempty"` // on either side, or who asked
	From       time.Time   `json:"from,omitzero"`
	To         time.Time   `json:"to,omitzero"` // exclusive
	After      int64       `json:"after"`       // a leaf; -1: from the beginning
	Limit      int         `json:"limit"`       // leaves

	Correlation string `json:"correlation,omitempty"` // of a query; not in the index, so the rest should say where to look
	Trace       string `json:"trace,omitempty"`       // W3C trace id; likewise
}

// Check returns every defect of s.
func (s Search) Check() []bus.Defect {
	var defects []bus.Defect
	if len(s.keys()) == 0 && s.From.IsZero() {
		defects = append(defects, bus.Defect{
			Field: "grant", Problem: bus.Text{ZH: "须给出授权、办件号、事项、部门或起始时间", EN: "say what to look for"}, Allowed: "a grant, case, matter, department or time to begin at",
		})
	}
	for name, value := range map[string]string{"case": s.Case, "matter": s.Matter} {
		if len(value) > maxValue {
			defects = append(defects, bus.Defect{Field: name, Problem: bus.Text{ZH: "过长", EN: "too long"}, Allowed: fmt.Sprintf("at most %d bytes", maxValue)})
		}
	}
	if s.Limit < 1 {
		defects = append(defects, bus.Defect{Field: "limit", Problem: bus.Text{ZH: "须为正数", EN: "not a number of leaves"}, Allowed: "1 or more"})
	}
	return defects
}

// maxValue bounds what is indexed of a value: longer ones are found by their
// beginning, and compared whole.
const maxValue = 512

// blockKey is what the keys of a value begin with.
func blockKey(f field, value string) []byte {
	return append(append([]byte{byte(f)}, value[:min(len(value), maxValue)]...), 0)
}

// keys are the entries that a leaf which s wants has in the index.
func (s Search) keys() [][]byte {
	return valued(map[field]string{fieldCase: s.Case, fieldGrant: string(s.Grant), fieldMatter: s.Matter, fieldDepartment: string(s.Department)})
}

func valued(values map[field]string) (keys [][]byte) {
	for f, value := range values {
		if value != "" {
			keys = append(keys, blockKey(f, value))
		}
	}
	slices.SortFunc(keys, bytes.Compare) // a case is the rarest
	return keys
}

// wants reports whether r is one of those that s is for.
func (s Search) wants(r *Record) bool {
	return (s.Grant == "" || r.Grant == s.Grant) && (s.Matter == "" || r.Matter == s.Matter) && (s.Case == "" || r.Case == s.Case) &&
		(s.Correlation == "" || r.Correlation == s.Correlation) && (s.Trace == "" || r.Trace == s.Trace) &&
		(s.Department == "" || r.Provider == s.Department || r.Consumer == s.Department || r.Principal.Department == s.Department) &&
		(s.From.IsZero() || !r.At.Before(s.From)) && (s.To.IsZero() || r.At.Before(s.To))
}

// blockKeys are the entries of leaf n in the index.
func (r *Record) blockKeys(n int64) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for _, v := range [...]struct {
			f     field
			value string
		}{
			{fieldGrant, string(r.Grant)}, {fieldMatter, r.Matter}, {fieldDepartment, string(r.Provider)}, {fieldDepartment, string(r.Consumer)},
			{fieldDepartment, string(r.Principal.Department)}, {fieldCase, r.Case},
		} {
			if v.value != "" && !yield(binary.BigEndian.AppendUint64(blockKey(v.f, v.value), uint64(n/blockLeaves))) {
				return
			}
		}
	}
}

// findable reports whether leaf n is in the index as enter put it.
func (t tables) findable(n int64, r *Record) bool {
	if n/blockLeaves < t.indexedFrom() {
		return true // of before there was one
	}
	for key := range r.blockKeys(n) {
		if t.blocks.Get(key) == nil {
			return false
		}
	}
	return true
}

// indexedFrom is the first block that is whole in the index.
func (t tables) indexedFrom() int64 {
	if from := t.top.Get(blocksFrom); t.blocks != nil && len(from) == 8 {
		return int64(binary.BigEndian.Uint64(from))
	}
	return math.MaxInt64
}

// makeBlocks begins the index of a log of so many leaves.
func (t *tables) makeBlocks(size int64) (err error) {
	if t.blocks, err = t.top.CreateBucket(blocksBucket); err != nil {
		return err
	}
	return t.top.Put(blocksFrom, leafKey((size+blockLeaves-1)/blockLeaves))
}

// enter puts the values that leaf n names into the index. seen holds what the batch
// has entered already.
func (t tables) enter(n int64, r *Record, seen map[string]bool) error {
	for key := range r.blockKeys(n) {
		if seen[string(key)] {
			continue
		}
		seen[string(key)] = true
		if t.blocks.Get(key) != nil { // of an earlier batch: writing it again would cost a page
			continue
		}
		if err := t.blocks.Put(key, []byte{1}); err != nil {
			return err
		}
	}
	return nil
}

// Find returns leaves in the order of the log, and the leaf to go on after, or -1
// where there are no more. What it reads is bounded by limit and by maxBlocks
// blocks: a page can be short, and still say where to go on.
func (l *Log) Find(tx *bbolt.Tx, s Search) (found []Leaf, next int64, err error) {
	if err := bus.Invalid(s.Check()); err != nil {
		return nil, -1, err
	}
	t, err := l.open(tx)
	if err != nil {
		return nil, -1, err
	}
	size, err := t.size()
	if err != nil {
		return nil, -1, err
	}
	first, err := t.since(size, s.From)
	if err != nil {
		return nil, -1, err
	}
	end := size
	if !s.To.IsZero() {
		if end, err = t.since(size, s.To); err != nil {
			return nil, -1, err
		}
	}
	first = max(first, s.After+1, t.kept())
	marks := s.marks()
	blocks := t.candidates(s.keys(), first/blockLeaves, (end+blockLeaves-1)/blockLeaves)
	for i, block := range blocks {
		if i == maxBlocks {
			return found, block*blockLeaves - 1, nil
		}
		for n := max(first, block*blockLeaves); n < min(end, (block+1)*blockLeaves); n++ {
			leaf, ok, err := t.wanted(n, s, marks)
			if err != nil {
				return nil, -1, err
			}
			if !ok {
				continue
			}
			if len(found) == s.Limit {
				return found, found[len(found)-1].Index, nil
			}
			found = append(found, leaf)
		}
	}
	return found, -1, nil
}

// maxBlocks is how many blocks one page reads.
const maxBlocks = 256

// marks are in the bytes of every leaf that s wants.
func (s Search) marks() (marks [][]byte) {
	for _, v := range [...]struct{ name, value string }{
		{`"grant":`, string(s.Grant)}, {`"matter":`, s.Matter}, {`"case":`, s.Case}, {`"correlation":`, s.Correlation}, {`"trace":`, s.Trace}, {"", string(s.Department)},
	} {
		if v.value != "" {
			text, err := json.Marshal(v.value)
			if err == nil { // always, of a string
				marks = append(marks, append([]byte(v.name), text...))
			}
		}
	}
	return marks
}

// wanted reads leaf n where it has the marks, and tells whether it is one that s is
// for.
func (t tables) wanted(n int64, s Search, marks [][]byte) (Leaf, bool, error) {
	data, err := t.leaf(n)
	if err != nil {
		return Leaf{}, false, err
	}
	for _, mark := range marks {
		if !bytes.Contains(data, mark) {
			return Leaf{}, false, nil
		}
	}
	r, err := decode(data)
	if err != nil {
		return Leaf{}, false, fmt.Errorf("leaf %d: %w", n, err)
	}
	return Leaf{n, r}, s.wants(&r), nil
}

// candidates are the blocks from first up to end that may have what is looked for,
// in order: those that have the value with the fewest of them.
func (t tables) candidates(keys [][]byte, first, end int64) (blocks []int64) {
	indexed := t.indexedFrom()
	for block := first; block < min(end, indexed); block++ {
		blocks = append(blocks, block)
	}
	first = max(first, indexed)
	if first >= end {
		return blocks
	}
	if len(keys) == 0 {
		for block := first; block < end; block++ {
			blocks = append(blocks, block)
		}
		return blocks
	}
	var fewest []int64
	for i, key := range keys {
		var having []int64
		cursor := t.blocks.Cursor()
		for k, _ := cursor.Seek(binary.BigEndian.AppendUint64(slices.Clip(key), uint64(first))); bytes.HasPrefix(k, key) && len(k) == len(key)+8; k, _ = cursor.Next() {
			having = append(having, int64(binary.BigEndian.Uint64(k[len(key):])))
			if i > 0 && len(having) >= len(fewest) {
				break
			}
		}
		if i == 0 || len(having) < len(fewest) {
			fewest = having
		}
	}
	return append(blocks, fewest...)
}

// Since returns the first leaf of a time, of those that are kept; the size of the log
// where there is none.
func (l *Log) Since(tx *bbolt.Tx, from time.Time) (int64, error) {
	t, err := l.open(tx)
	if err != nil {
		return 0, err
	}
	size, err := t.size()
	if err != nil {
		return 0, err
	}
	return t.since(size, from)
}

// since is the first leaf of a time. The clock of a node may have been set back, by
// less than anybody asks by.
func (t tables) since(size int64, from time.Time) (first int64, err error) {
	kept := t.kept()
	if from.IsZero() {
		return kept, nil
	}
	n := sort.Search(int(size-kept), func(n int) bool {
		r, failed := t.record(kept + int64(n))
		if failed != nil {
			err = failed
		}
		return !r.At.Before(from)
	})
	return kept + int64(n), err
}
