package audit

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"math"

	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Reader reads a log within one transaction.
type Reader struct {
	log *Log
	tx  *bbolt.Tx
	t   tables
}

// Reader returns the reader of the log as tx sees it; it holds as long as tx does.
func (l *Log) Reader(tx *bbolt.Tx) (*Reader, error) {
	t, err := l.open(tx)
	return &Reader{l, tx, t}, err
}

// Size returns the number of leaves.
func (r *Reader) Size() (int64, error) { return r.t.size() }

// Decision returns the first leaf with a decision's id; CodeNotFound where there
// is none.
func (r *Reader) Decision(id string) (Leaf, error) { return r.t.decision(id) }

// Part returns a part, as [Log.Part] does.
func (r *Reader) Part(digest string) ([]byte, error) { return r.log.Part(r.tx, digest) }

var decisionMark = []byte(`"kind":"` + KindDecision + `"`)

// DecisionAt returns leaf n where it is a decision; ok is false where it is none,
// at a fraction of the cost of reading it.
func (r *Reader) DecisionAt(n int64) (leaf Leaf, ok bool, err error) {
	if n < r.t.kept() {
		return Leaf{}, false, nil
	}
	data, err := r.t.leaf(n)
	if err != nil || !bytes.Contains(data, decisionMark) {
		return Leaf{}, false, err
	}
	record, err := decode(data)
	return Leaf{n, record}, err == nil && record.Decision != nil, err
}

var subscriptionMark = []byte(`"subscription":"`)

// StepAt returns leaf n where it is a step of a subscription other than a decision, as
// DecisionAt does.
func (r *Reader) StepAt(n int64) (leaf Leaf, ok bool, err error) {
	if n < r.t.kept() {
		return Leaf{}, false, nil
	}
	data, err := r.t.leaf(n)
	if err != nil || !bytes.Contains(data, subscriptionMark) || bytes.Contains(data, decisionMark) {
		return Leaf{}, false, err
	}
	record, err := decode(data)
	return Leaf{n, record}, err == nil && record.Subscription != "" && record.Decision == nil, err
}

// ExportReader reads the leaves of an export. It verifies no more than that the
// lines are whole: [VerifyExport] does.
type ExportReader struct {
	lines  *bufio.Reader
	header exportHeader
	number int
	parts  map[string][]byte
}

// OpenExport reads the header of an export; CodeInvalid where it is none.
func OpenExport(r io.Reader) (*ExportReader, error) {
	lines := bufio.NewReaderSize(r, maxLine)
	header, err := readHeader(lines)
	return &ExportReader{lines: lines, header: header, number: 1, parts: map[string][]byte{}}, err
}

// Size returns the number of leaves that the header states.
func (e *ExportReader) Size() int64 { return e.header.Size }

// Node returns whose log it is.
func (e *ExportReader) Node() bus.NodeID {
	node, _ := parseOrigin(e.header.Origin) // read before
	return node
}

// Part returns a part that stands before the leaf read last; CodeNotFound where
// none does.
func (e *ExportReader) Part(digest string) ([]byte, error) {
	text, ok := e.parts[digest]
	if !ok {
		return nil, bus.NotFound("part", digest)
	}
	return text, nil
}

// Next returns the next decision; io.EOF after the last, CodeInvalid for a line
// that makes no sense.
func (e *ExportReader) Next() (Leaf, error) {
	for {
		leaf, err := e.next(decisionMark)
		if err != nil || leaf.Record.Decision != nil {
			return leaf, err
		}
	}
}

// NextLeaf is as Next, for leaves of any kind.
func (e *ExportReader) NextLeaf() (Leaf, error) { return e.next(nil) }

// next returns the next leaf that has a mark in it.
func (e *ExportReader) next(mark []byte) (Leaf, error) {
	for {
		line, err := readLine(e.lines)
		if err == io.EOF {
			return Leaf{math.MaxInt64, Record{}}, io.EOF
		}
		e.number++
		next, ok := parseLine(line)
		if err != nil || !ok {
			return Leaf{}, e.unreadable(err)
		}
		switch {
		case next.part != "":
			if PartDigest(next.data) != next.part {
				return Leaf{}, e.unreadable(fmt.Errorf("part %s was changed", next.part))
			}
			e.parts[next.part] = next.data
		case next.checkpoint == nil && bytes.Contains(next.data, mark):
			record, err := decode(next.data)
			if err != nil {
				return Leaf{}, e.unreadable(err)
			}
			return Leaf{next.leaf, record}, nil
		}
	}
}

func (e *ExportReader) unreadable(err error) error {
	return bus.E(bus.CodeInvalid, bus.Defect{
		Field: fmt.Sprintf("line %d", e.number), Problem: bus.Text{ZH: "导出文件此行无法读取", EN: "this line of the export cannot be read"},
		Allowed: "gxbus audit verify FILE",
	}).Because(err)
}
