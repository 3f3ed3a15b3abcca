package catalogue

import (
	"archive/zip"
	"fmt"
	"io"
	"os"
	"slices"

	"github.com/xuri/excelize/v2"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Names of the sheets of a template.
const (
	sheetEntries = "目录"
	sheetExample = "样例"
	sheetHelp    = "填写说明"
)

// xlsxTable reads a sheet of a workbook.
type xlsxTable struct {
	book     *excelize.File
	rows     *excelize.Rows
	number   int
	formulas map[string]bool
}

// openXLSX opens a sheet: the named one, else 目录, else the first.
func openXLSX(path, sheet string) (*xlsxTable, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer file.Close()
	info, err := file.Stat()
	if err != nil {
		return nil, err
	}
	archive, err := zip.NewReader(file, info.Size())
	if err != nil {
		return nil, notXLSX(err)
	}
	safe, err := screen(archive)
	if err != nil {
		return nil, err
	}
	book, err := excelize.OpenReader(file, excelize.Options{UnzipSizeLimit: maxUnpacked, UnzipXMLSizeLimit: inMemory, RawCellValue: true})
	if err != nil {
		return nil, notXLSX(err)
	}
	t := &xlsxTable{book: book}
	if err := t.choose(archive, safe, sheet); err != nil {
		book.Close()
		return nil, err
	}
	return t, nil
}

func (t *xlsxTable) choose(archive *zip.Reader, safe *screened, sheet string) error {
	sheets := t.book.GetSheetList()
	switch {
	case sheet == "" && slices.Contains(sheets, sheetEntries):
		sheet = sheetEntries
	case sheet == "" && len(sheets) > 0:
		sheet = sheets[0]
	case !slices.Contains(sheets, sheet):
		return unusable("sheet", bus.Text{ZH: "没有工作表 " + sheet, EN: "no sheet " + sheet}, fmt.Sprint(sheets))
	}
	part, err := sheetPart(archive, sheet)
	if err != nil {
		return err
	}
	t.formulas = safe.formulas[part]
	t.rows, err = t.book.Rows(sheet)
	if err != nil {
		return notXLSX(err)
	}
	return nil
}

func (t *xlsxTable) next() (row, error) {
	if !t.rows.Next() {
		if err := t.rows.Error(); err != nil {
			return row{}, notXLSX(err)
		}
		return row{}, io.EOF
	}
	t.number++
	cells, err := t.rows.Columns()
	if err != nil {
		return row{}, notXLSX(err)
	}
	if len(cells) > maxColumns {
		return row{}, tooWide(t.number)
	}
	r := row{number: t.number, cells: cells}
	for i := range cells {
		if len(t.formulas) > 0 && t.formulas[cellName(i, t.number)] {
			r.faults = append(r.faults, fault{i, bus.Defect{Problem: bus.Text{ZH: "单元格是公式，不是值", EN: "the cell is a formula, not a value"}, Allowed: "a value"}})
			continue
		}
		cells[i] = disarmed(cells[i])
	}
	r.examine()
	return r, nil
}

func (t *xlsxTable) Close() error {
	t.rows.Close()
	return t.book.Close()
}
