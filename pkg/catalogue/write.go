package catalogue

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
	"unicode/utf8"

	"github.com/xuri/excelize/v2"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Writer writes entries, the counterpart of [Source].
type Writer interface {
	// Write writes an entry. exact tells whether reading the file gives this
	// entry back: a sheet can't hold control characters, for one.
	Write(d bus.Draft) (exact bool, err error)
	// Close ends the file; it does not close what is written to.
	Close() error
}

// NewWriter makes a writer of a format. Headings are in lang; departments give
// the names of providers, for people to read.
func NewWriter(w io.Writer, f Format, lang bus.Lang, departments map[bus.USCC]string) (Writer, error) {
	switch f {
	case JSONL:
		return &lineWriter{bufio.NewWriterSize(w, 64<<10)}, nil
	case CSV:
		return newSheetWriter(newCSVRows(w), lang, departments)
	case XLSX:
		rows, err := newXLSXRows(w, sheetEntries)
		if err != nil {
			return nil, err
		}
		return newSheetWriter(rows, lang, departments)
	default:
		return nil, unusable("format", bus.Text{ZH: "文件格式不支持：" + string(f), EN: "not a format of entries: " + string(f)}, "xlsx, csv, jsonl")
	}
}

// lineWriter writes JSON Lines.
type lineWriter struct{ out *bufio.Writer }

func (l *lineWriter) Write(d bus.Draft) (bool, error) {
	enc := json.NewEncoder(l.out)
	enc.SetEscapeHTML(false)
	return true, enc.Encode(bus.DraftContent{Resource: d.Resource, Clearance: d.Clearance})
}

func (l *lineWriter) Close() error { return l.out.Flush() }

// rowWriter takes the rows of a sheet.
type rowWriter interface {
	write(cells []string) error
	Close() error
}

// sheetWriter writes entries as rows of the layout.
type sheetWriter struct {
	rows        rowWriter
	departments map[bus.USCC]string
}

func newSheetWriter(rows rowWriter, lang bus.Lang, departments map[bus.USCC]string) (Writer, error) {
	return &sheetWriter{rows, departments}, rows.write(headings(lang))
}

func headings(lang bus.Lang) []string {
	cells := make([]string, len(layout))
	for i, c := range layout {
		cells[i] = c.heading.In(lang)
	}
	return cells
}

func (s *sheetWriter) Write(d bus.Draft) (bool, error) {
	rows := rowsOf(d, s.departments[d.Resource.Provider])
	for _, r := range rows {
		if err := s.rows.write(r); err != nil {
			return false, err
		}
	}
	return exact(d, rows), nil
}

func (s *sheetWriter) Close() error { return s.rows.Close() }

// rowsOf lays an entry out: the resource on its first row, an item a row.
func rowsOf(d bus.Draft, provider string) [][]string {
	rows := make([][]string, max(1, len(d.Resource.Items)))
	p := place{draft: &d, provider: provider}
	for n := range rows {
		p.item = &bus.Item{}
		if n < len(d.Resource.Items) {
			p.item = &d.Resource.Items[n]
		}
		rows[n] = make([]string, len(layout))
		for i, c := range layout {
			if c.ofItem() || n == 0 {
				rows[n][i] = c.cell(&p)
			}
		}
	}
	return rows
}

// exact reads rows back as a file with them would be, and compares.
func exact(d bus.Draft, rows [][]string) bool {
	a := &assembler{columns: layout}
	var b *building
	for n, cells := range rows {
		r := row{number: n + 1, cells: cells}
		for _, cell := range cells {
			if bytes.IndexByte([]byte(cell), '\r') >= 0 || !utf8.ValidString(cell) {
				return false // these do not survive a file
			}
		}
		if r.examine(); len(r.faults) > 0 {
			return false
		}
		if b == nil {
			b = a.begin(r)
			continue
		}
		b.add(r)
	}
	back := b.end()
	want := Entry{Draft: d}
	want.unset()
	was, errWas := json.Marshal(bus.DraftContent{Resource: want.Draft.Resource, Clearance: want.Draft.Clearance})
	is, errIs := json.Marshal(bus.DraftContent{Resource: back.Draft.Resource, Clearance: back.Draft.Clearance})
	return errWas == nil && errIs == nil && bytes.Equal(was, is)
}

// csvRows writes RFC 4180 in UTF-8 with a byte order mark, without which
// spreadsheets take Chinese for something else.
type csvRows struct{ out *csv.Writer }

func newCSVRows(w io.Writer) csvRows {
	_, err := w.Write(bom)
	out := csv.NewWriter(w)
	if err != nil {
		out = csv.NewWriter(failed{err})
	}
	out.UseCRLF = true
	return csvRows{out}
}

// failed is a writer that has failed already.
type failed struct{ err error }

func (f failed) Write([]byte) (int, error) { return 0, f.err }

func (c csvRows) write(cells []string) error {
	safe := make([]string, len(cells))
	for i, cell := range cells {
		safe[i] = Neutralised(cell)
	}
	return c.out.Write(safe)
}

func (c csvRows) Close() error {
	c.out.Flush()
	return c.out.Error()
}

// xlsxRows streams rows into a workbook of one sheet.
type xlsxRows struct {
	w      io.Writer
	book   *excelize.File
	stream *excelize.StreamWriter
	head   int // a style
	number int
}

func newXLSXRows(w io.Writer, sheet string) (*xlsxRows, error) {
	x := &xlsxRows{w: w, book: excelize.NewFile()}
	err := x.book.SetSheetName("Sheet1", sheet)
	if err == nil {
		x.head, err = headStyle(x.book, false)
	}
	if err == nil {
		x.stream, err = x.book.NewStreamWriter(sheet)
	}
	if err == nil {
		err = x.stream.SetColWidth(1, len(layout), 16)
	}
	if err == nil {
		err = x.stream.SetPanes(&excelize.Panes{Freeze: true, YSplit: 1, TopLeftCell: "A2", ActivePane: "bottomLeft"})
	}
	return x, err
}

func (x *xlsxRows) write(cells []string) error {
	x.number++
	values := make([]any, len(cells))
	for i, cell := range cells {
		switch {
		case x.number == 1:
			values[i] = excelize.Cell{StyleID: x.head, Value: Neutralised(cell)}
		case cell != "":
			values[i] = Neutralised(cell)
		}
	}
	return x.stream.SetRow(cellName(0, x.number), values)
}

func (x *xlsxRows) Close() error {
	err := x.stream.Flush()
	if err == nil {
		err = x.book.Write(x.w)
	}
	if closing := x.book.Close(); err == nil {
		err = closing
	}
	return err
}

// headStyle is how headings look; those of needed columns stand out.
func headStyle(book *excelize.File, needed bool) (int, error) {
	fill := "DCE6F1"
	if needed {
		fill = "FCE4D6"
	}
	return book.NewStyle(&excelize.Style{
		Font: &excelize.Font{Bold: true}, Alignment: &excelize.Alignment{WrapText: true, Vertical: "center"},
		Fill: excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{fill}},
	})
}
