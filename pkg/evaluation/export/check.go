package export

import (
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"io"
	"iter"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/xuri/excelize/v2"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/evaluation"
)

// What a workbook may be. Those of a province have 30 parts, which unpack to some
// twenty times their size.
const (
	maxWorkbook = 128 << 20 // bytes
	maxParts    = 1000
	maxUnpacked = 1 << 30   // of all parts together
	maxReport   = 256 << 20 // of the report in it
	maxRatio    = 200       // of what a part unpacks to; what is small may have any
	small       = 1 << 20
)

// Workbook is an exported workbook as somebody hands it in.
type Workbook struct {
	Report evaluation.Report // as it was signed; whether it still is so is for Report.Verify to say

	lang bus.Lang
	book *excelize.File
}

// OpenWorkbook reads a workbook that this package wrote, whatever program has
// stored it since. CodeInvalid where it is none, CodeTooLarge where it is too large or
// unpacks to too much: nothing of it is then unpacked.
func OpenWorkbook(r io.Reader) (*Workbook, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxWorkbook+1))
	if err != nil {
		return nil, notWorkbook(err)
	}
	if err := screen(data); err != nil {
		return nil, err
	}
	book, err := excelize.OpenReader(bytes.NewReader(data), excelize.Options{UnzipSizeLimit: maxUnpacked, RawCellValue: true})
	if err != nil {
		return nil, notWorkbook(err)
	}
	w := &Workbook{book: book}
	if err := w.unpack(); err != nil {
		book.Close()
		return nil, err
	}
	return w, nil
}

// screen refuses an archive by what its directory says that it unpacks to; a reader of
// archives gives no more of a part than that.
func screen(data []byte) error {
	if len(data) > maxWorkbook {
		return tooLarge("128 MiB")
	}
	archive, err := zip.NewReader(bytes.NewReader(data), int64(len(data)))
	if err != nil {
		return notWorkbook(err)
	}
	if len(archive.File) > maxParts {
		return tooLarge(fmt.Sprint(maxParts, " parts"))
	}
	var all uint64
	for _, part := range archive.File {
		size := part.UncompressedSize64
		if all += size; size > maxUnpacked || all > maxUnpacked {
			return tooLarge("1 GiB unpacked")
		}
		if size > small && size/maxRatio > part.CompressedSize64 {
			return tooLarge(fmt.Sprintf("parts of which a byte unpacks to %d at most", maxRatio))
		}
	}
	return nil
}

func tooLarge(allowed string) error {
	return bus.E(bus.CodeTooLarge, bus.Defect{Field: "file", Problem: bus.Text{ZH: "工作簿过大或者解压后过大", EN: "the workbook is too large, or unpacks to too much"}, Allowed: allowed})
}

// Close lets go of the file's contents.
func (w *Workbook) Close() error { return w.book.Close() }

func notWorkbook(err error) error {
	return bus.E(bus.CodeInvalid, bus.Defect{
		Field: "file", Problem: bus.Text{ZH: "不是评价报告的工作簿", EN: "not a workbook of an evaluation report"}, Allowed: "xlsx of gxbus evaluation export",
	}).Because(err)
}

func (w *Workbook) unpack() error {
	rows, err := w.book.GetRows(signedSheet)
	if err != nil {
		return notWorkbook(err)
	}
	var lines []string
	for _, row := range rows {
		lines = append(lines, strings.Join(row, ""))
	}
	if len(lines) < 3 || lines[0] != workbookFormat {
		return notWorkbook(fmt.Errorf("sheet %q does not hold a report", signedSheet))
	}
	w.lang = bus.Lang(lines[1])
	packed, err := base64.StdEncoding.DecodeString(strings.Join(lines[2:], ""))
	if err != nil {
		return notWorkbook(err)
	}
	unzipper, err := gzip.NewReader(bytes.NewReader(packed))
	if err != nil {
		return notWorkbook(err)
	}
	limit := min(maxReport, small+maxRatio*len(packed))
	data, err := io.ReadAll(io.LimitReader(unzipper, int64(limit)+1))
	if err != nil {
		return notWorkbook(err)
	}
	if len(data) > limit {
		return tooLarge(fmt.Sprintf("a report of %d bytes", limit))
	}
	w.Report, err = evaluation.DecodeReport(data)
	return err
}

// Check compares every cell with what the report in the workbook says there.
// CodeEvidence names the first that differs, by sheet and cell.
func (w *Workbook) Check() error {
	v, err := newView(w.Report, w.lang)
	if err != nil {
		return err
	}
	known := []string{signedSheet}
	for _, s := range v.sheets() {
		known = append(known, s.name)
		if err := w.checkSheet(s); err != nil {
			return err
		}
	}
	for _, name := range w.book.GetSheetList() {
		if !slices.Contains(known, name) {
			return edited(name, "", bus.Text{ZH: "多出的工作表", EN: "a sheet that the report does not have"}, "")
		}
	}
	return nil
}

func (w *Workbook) checkSheet(s sheet) error {
	rows, err := w.book.Rows(s.name)
	if err != nil {
		return edited(s.name, "", bus.Text{ZH: "缺少该工作表", EN: "the sheet is not there"}, s.name)
	}
	defer rows.Close()
	want, stop := iter.Pull(s.rows)
	defer stop()
	for r := 1; ; r++ {
		expected, more := want()
		var found []string
		if rows.Next() {
			if found, err = rows.Columns(); err != nil {
				return notWorkbook(err)
			}
		} else if !more {
			return rows.Error()
		}
		for i := range max(len(expected), len(found)) {
			var e cell
			var f string
			if i < len(expected) {
				e = expected[i]
			}
			if i < len(found) {
				f = found[i]
			}
			if err := w.checkCell(s.name, at(i+1, r), e, f); err != nil {
				return err
			}
		}
	}
}

func (w *Workbook) checkCell(sheet, at string, want cell, found string) error {
	written, err := w.book.GetCellFormula(sheet, at)
	if err != nil {
		return notWorkbook(err)
	}
	if bare(written) != bare(want.formula) {
		return edited(sheet, at, bus.Text{ZH: "公式被改动：" + cut(written), EN: "the formula was changed to: " + cut(written)}, want.formula)
	}
	if !same(want, found) {
		return edited(sheet, at, bus.Text{ZH: "单元格被改动：" + cut(found), EN: "the cell was changed to: " + cut(found)}, shown(want.value))
	}
	return nil
}

// same reports whether a cell says what it should. Programs that calculate anew
// may differ in the last bits of a formula's result.
func same(want cell, found string) bool {
	var number float64
	switch value := want.value.(type) {
	case nil:
		return found == ""
	case string:
		return found == value
	case int64:
		number = float64(value)
	case float64:
		number = value
	}
	n, err := strconv.ParseFloat(found, 64)
	if err != nil {
		return false
	}
	if want.formula == "" {
		return n == number
	}
	return math.Abs(n-number) <= 1e-9*max(1, math.Abs(number))
}

// bare is a formula without what programs write in one way or another.
func bare(formula string) string {
	return strings.ToUpper(strings.NewReplacer("'", "", "$", "", " ", "").Replace(strings.TrimPrefix(formula, "=")))
}

func shown(value any) string {
	if value == nil {
		return `""`
	}
	return fmt.Sprint(value)
}

// cut is an alien text in a message.
func cut(s string) string {
	if runes := []rune(s); len(runes) > 80 {
		return string(runes[:80]) + "…"
	}
	return s
}

func edited(sheet, cell string, problem bus.Text, allowed string) error {
	field := sheet
	if cell != "" {
		field += "!" + cell
	}
	return bus.E(bus.CodeEvidence, bus.Defect{Field: field, Problem: problem, Allowed: allowed})
}
