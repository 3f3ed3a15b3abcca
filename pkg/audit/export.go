package audit

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"

	"go.etcd.io/bbolt"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/gxbus/gxbus/pkg/bus"
)

// ExportFormat names the export form of this release. The one before it, which has
// no parts, is read as well.
const (
	ExportFormat       = "gxbus-evidence/2"
	windowFormat       = "gxbus-evidence/3" // of a window, see [Log.ExportWindow]
	formerExportFormat = "gxbus-evidence/1"
)

// maxLine bounds a line of an export: the base64 of the largest part and the rest
// of its line.
const maxLine = MaxPart*4/3 + 1024

// An export is JSON Lines: a header, then leaves, signed checkpoints and parts, a
// checkpoint before the first leaf that it does not cover, a part before the first
// that names it. So one pass verifies it.
type (
	exportHeader struct {
		Format string `json:"format"`
		Origin string `json:"origin"`
		Key    string `json:"key"`  // verifier key, for those who have it from nowhere else
		Size   int64  `json:"size"` // leaves that follow; of a window the leaf that it ends before

		From int64       `json:"from,omitempty"` // of a window: its first leaf
		Edge []tlog.Hash `json:"edge,omitempty"` // and the hashes of the whole subtrees before it, the largest first
	}
	exportLeaf struct {
		Leaf int64     `json:"leaf"` // index
		Data []byte    `json:"data"` // the exact bytes, base64
		Hash tlog.Hash `json:"hash"` // as stored beside it
	}
	exportCheckpoint struct {
		Checkpoint string      `json:"checkpoint"`      // signed note
		Proof      []tlog.Hash `json:"proof,omitempty"` // after a window: that the head extends its last leaf
	}
	exportPart struct {
		Part string `json:"part"` // digest
		Text []byte `json:"text"` // base64
	}
)

// Export writes the whole log to w, as the buckets hold it, whether it is sound
// or not: that is for VerifyExport to say. Key is the verifier key to name in
// the header.
func (l *Log) Export(w io.Writer, tx *bbolt.Tx, key string) error {
	t, err := l.open(tx)
	if err != nil {
		return err
	}
	if t.kept() > 0 { // what was pruned is told by its hashes, as what stands before a window
		return l.exportIn(w, t, key, t.kept(), t.claimedSize())
	}
	header := exportHeader{Format: ExportFormat, Origin: l.origin, Key: key, Size: t.claimedSize()}
	return writeExport(w, header, t.entries())
}

// writeExport writes a header and entries.
func writeExport(w io.Writer, header exportHeader, entries iter.Seq[entry]) error {
	if _, err := verifiers(header.Origin, []string{header.Key}); err != nil {
		return err
	}
	buffered := bufio.NewWriter(w)
	lines := json.NewEncoder(buffered)
	if err := lines.Encode(header); err != nil {
		return fmt.Errorf("export evidence: %w", err)
	}
	for e := range entries {
		if e.segment != nil || e.lost != "" {
			continue // what is missing is named by who verifies
		}
		if err := lines.Encode(e.line()); err != nil {
			return fmt.Errorf("export evidence: %w", err)
		}
	}
	if err := buffered.Flush(); err != nil {
		return fmt.Errorf("export evidence: %w", err)
	}
	return nil
}

// claimedSize is the size by the last key that is a leaf's, other keys aside.
func (t tables) claimedSize() int64 {
	leaves := t.leaves.Cursor()
	for key, _ := leaves.Last(); key != nil; key, _ = leaves.Prev() {
		if n, ok := leafIndex(key); ok {
			return n + 1
		}
	}
	return 0
}

// line gives the form of e in an export.
func (e entry) line() any {
	switch {
	case e.checkpoint != nil:
		return exportCheckpoint{*e.checkpoint, e.proof}
	case e.part != "":
		return exportPart{e.part, e.data}
	}
	line := exportLeaf{Leaf: e.leaf, Data: e.data}
	copy(line.Hash[:], e.hashes)
	return line
}

// VerifyExport verifies an export of the log that keys belong to, in one pass;
// memory is as of [Log.Verify]. Known and keys are as for [Log.Verify]; the key that the
// export names of itself is not trusted.
//
// What is wrong below the header is in the report, lines that cannot be read
// too; an error means that r is not an export (CodeInvalid with the field
// "header"), that a key or known checkpoint is not of its log (CodeInvalid), or
// that reading failed.
func VerifyExport(r io.Reader, known []bus.Checkpoint, keys ...string) (Report, error) {
	lines := bufio.NewReaderSize(r, maxLine)
	header, err := readHeader(lines)
	if err != nil {
		return Report{}, err
	}
	x, err := newExaminer(header.Origin, known, keys)
	if err != nil {
		return Report{}, err
	}
	x.beginAt(header)
	for number := 2; ; number++ {
		line, err := readLine(lines)
		if err == io.EOF {
			break
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return Report{}, fmt.Errorf("read export: %w", err)
		}
		e, ok := parseLine(line)
		if err != nil || !ok {
			x.unreadable(number)
			return x.finish(), nil
		}
		if !x.examine(e) {
			return x.finish(), nil
		}
	}
	x.sized(header.Size)
	return x.finish(), nil
}

// readLine returns the next line without its end; bufio.ErrBufferFull where it
// is over maxLine, io.EOF after the last.
func readLine(lines *bufio.Reader) ([]byte, error) {
	line, err := lines.ReadSlice('\n')
	if err == io.EOF && len(line) > 0 {
		err = nil
	}
	return bytes.TrimSuffix(line, []byte("\n")), err
}

func readHeader(lines *bufio.Reader) (exportHeader, error) {
	line, err := readLine(lines)
	if err != nil && err != io.EOF && !errors.Is(err, bufio.ErrBufferFull) {
		return exportHeader{}, fmt.Errorf("read export: %w", err)
	}
	var h exportHeader
	if err == nil {
		err = strictJSON(line, &h)
	}
	if err == nil && h.Format != ExportFormat && h.Format != formerExportFormat && h.Format != windowFormat {
		err = fmt.Errorf("format %.40q", h.Format)
	}
	if err == nil && (h.Size < 0 || !h.sound()) {
		err = fmt.Errorf("size %d", h.Size)
	}
	if err == nil {
		_, err = parseOrigin(h.Origin)
	}
	if err != nil {
		return exportHeader{}, bus.E(bus.CodeInvalid, bus.Defect{
			Field: "header", Problem: bus.Text{ZH: "不是存证导出文件", EN: "not an export of evidence"}, Allowed: "a first line of format " + ExportFormat,
		}).Because(err)
	}
	return h, nil
}

// parseLine reads a leaf or a checkpoint.
func parseLine(line []byte) (entry, bool) {
	var either struct {
		Leaf       *int64      `json:"leaf"`
		Data       []byte      `json:"data"`
		Hash       *tlog.Hash  `json:"hash"`
		Checkpoint *string     `json:"checkpoint"`
		Proof      []tlog.Hash `json:"proof"`
		Part       *string     `json:"part"`
		Text       []byte      `json:"text"`
	}
	if strictJSON(line, &either) != nil {
		return entry{}, false
	}
	isLeaf := either.Leaf != nil && either.Hash != nil && either.Proof == nil && either.Checkpoint == nil && either.Part == nil && either.Text == nil
	isCheckpoint := either.Checkpoint != nil && either.Leaf == nil && either.Hash == nil && either.Data == nil && either.Part == nil && either.Text == nil
	isPart := either.Part != nil && either.Proof == nil && *either.Part != "" && either.Leaf == nil && either.Hash == nil && either.Data == nil && either.Checkpoint == nil
	switch {
	case isCheckpoint:
		return entry{checkpoint: either.Checkpoint, proof: either.Proof}, true
	case isPart && len(either.Text) <= MaxPart:
		return entry{part: *either.Part, data: either.Text}, true
	case isLeaf && len(either.Data) <= MaxLeaf:
		return entry{leaf: *either.Leaf, data: either.Data, hashes: either.Hash[:]}, true
	}
	return entry{}, false
}

// strictJSON decodes one JSON value without unknown fields and nothing after it.
func strictJSON(data []byte, into any) error {
	d := json.NewDecoder(bytes.NewReader(data))
	d.DisallowUnknownFields()
	if err := d.Decode(into); err != nil {
		return err
	}
	if _, err := d.Token(); err != io.EOF {
		return errors.New("more than one value on a line")
	}
	return nil
}

// unreadable records that a line of an export makes no sense. It stands where
// the next leaf was due, unless it was a checkpoint once.
func (x *examiner) unreadable(number int) {
	n := x.report.Leaves
	x.report.BadLeaf = n
	x.fault(n, n+1, bus.Text{
		ZH: fmt.Sprintf("导出文件第 %d 行无法读取，其处应为第 %d 片叶子", number, n),
		EN: fmt.Sprintf("line %d of the export cannot be read where leaf %d is due", number, n),
	})
}

// sized compares the end of an export with the size that its header states.
func (x *examiner) sized(size int64) {
	switch n := x.report.Leaves; {
	case n < size:
		x.missing(size, bus.Text{ZH: fmt.Sprintf("导出文件声明 %d 片", size), EN: fmt.Sprintf("the export states %d leaves", size)})
	case n > size:
		x.bad(size, "超出导出文件声明的大小", "is beyond the size that the export states")
	}
}
