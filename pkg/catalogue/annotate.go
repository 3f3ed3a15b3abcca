package catalogue

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/xuri/excelize/v2"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/strictjson"
)

// reasonHeading heads the column of an annotated file that says what is wrong.
var reasonHeading = bus.Text{ZH: "原因", EN: "Reason"}

const maxComments = 2000 // notes on cells; the reasons stand in their column all the same

// Annotate writes a file again as a workbook, with the cells coloured that notes
// speak of, and a last column with the reasons. It can be corrected and read
// again: that column is passed over.
func Annotate(w io.Writer, path string, o Options, lang bus.Lang, notes []Note) error {
	t, mapped, err := rawTable(path, o)
	if err != nil {
		return err
	}
	defer t.Close()
	rows, err := newXLSXRows(w, sheetEntries)
	if err != nil {
		return err
	}
	a := &annotation{table: t, rows: rows, mapped: mapped, lang: lang, notes: map[int][]Note{}}
	for _, n := range notes {
		if n.Kind == Refused || n.Kind == Mended || n.Kind == Lacking {
			a.notes[n.Row] = append(a.notes[n.Row], n)
		}
	}
	if err := errors.Join(a.styles(), a.copy()); err != nil {
		return errors.Join(err, rows.book.Close())
	}
	return rows.Close()
}

// rawTable opens a file as a table, whatever is in it.
func rawTable(path string, o Options) (t table, mapped bool, err error) {
	if o.Format == "" {
		o.Format = FormatOf(path)
	}
	if o.Format == JSONL {
		t, err = newJSONTable(path)
		return t, true, err
	}
	t, err = openTable(path, o)
	return t, o.Mapping != nil, err
}

type annotation struct {
	table    table
	rows     *xlsxRows
	mapped   bool // its first row has the names of fields
	lang     bus.Lang
	notes    map[int][]Note // by row of the file
	columns  map[string]int // heading → cell
	width    int
	colour   map[Kind]int
	comments int
}

func (a *annotation) styles() error {
	a.colour = map[Kind]int{}
	for kind, fill := range map[Kind]string{Refused: "F8CBAD", Mended: "FFF2CC", Lacking: "DDEBF7"} {
		style, err := a.rows.book.NewStyle(&excelize.Style{Fill: excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{fill}}})
		if err != nil {
			return err
		}
		a.colour[kind] = style
	}
	return nil
}

func (a *annotation) copy() error {
	for {
		r, err := a.table.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
		if err := a.row(r); err != nil {
			return err
		}
	}
}

// row writes a row of the file with what is said of it.
func (a *annotation) row(r row) error {
	if a.columns == nil && (a.mapped || knownHeadings(r) >= fewHeadings) {
		a.columns, a.width = map[string]int{}, len(r.cells)
		for i, cell := range r.cells {
			a.columns[strings.TrimSpace(cell)] = i
			if plainHeading(cell) == plainHeading(reasonHeading.In(a.lang)) {
				a.width = i
			}
		}
		cells := append(r.cells[:a.width:a.width], reasonHeading.In(a.lang))
		return a.rows.write(cells)
	}
	a.rows.number++
	values := make([]any, max(len(r.cells), a.width)+1)
	for i, cell := range r.cells {
		if cell != "" {
			values[i] = Neutralised(cell)
		}
	}
	var reasons []string
	marks := map[int]*mark{}
	for _, n := range a.notes[r.number] {
		reasons = append(reasons, n.reason(a.lang))
		for i := range a.cellsOf(n) {
			if i < len(values)-1 {
				marks[i] = marks[i].with(n, a.lang)
			}
		}
	}
	for i, m := range marks {
		text := ""
		if i < len(r.cells) {
			text = r.cells[i]
		}
		values[i] = excelize.Cell{StyleID: a.colour[m.kind], Value: Neutralised(text)}
		if err := a.comment(i, m); err != nil {
			return err
		}
	}
	at := a.width
	if a.columns == nil {
		at = len(values) - 1
	}
	if len(reasons) > 0 {
		values[at] = strings.Join(reasons, "\n")
	}
	return a.rows.stream.SetRow(cellName(0, a.rows.number), values)
}

// cellsOf finds the cells that a note speaks of: a mapping's may be of several
// fields.
func (a *annotation) cellsOf(n Note) map[int]bool {
	cells := map[int]bool{}
	for _, name := range append(strings.Split(n.Column, ", "), n.Column) {
		if i, ok := a.columns[name]; ok && name != "" {
			cells[i] = true
		}
	}
	return cells
}

// mark is what is said on a cell; the gravest note gives the colour.
type mark struct {
	kind  Kind
	lines []string
}

func (m *mark) with(n Note, lang bus.Lang) *mark {
	if m == nil {
		m = &mark{kind: n.Kind}
	}
	if n.Kind == Refused {
		m.kind = Refused
	}
	m.lines = append(m.lines, n.reason(lang))
	return m
}

// comment puts a note on a cell of an entry that was refused.
func (a *annotation) comment(i int, m *mark) error {
	if a.comments >= maxComments || m.kind != Refused {
		return nil
	}
	a.comments++
	return a.rows.book.AddComment(sheetEntries, excelize.Comment{
		Cell: cellName(i, a.rows.number), Author: "gxbus", Text: strings.Join(m.lines, "\n"), Width: 260, Height: 80,
	})
}

// reason is a note as one line.
func (n Note) reason(lang bus.Lang) string {
	d := n.Defect
	if n.Column != "" {
		d.Field = n.Column
	}
	return d.In(lang)
}

func knownHeadings(r row) int {
	known := 0
	for _, cell := range r.cells {
		if c := byHeading[plainHeading(cell)]; c != nil {
			known++
		}
	}
	return known
}

// jsonTable shows JSON Lines as a table: the keys of its first object, and the
// values that each line has for them.
type jsonTable struct {
	*lines
	names []string
	first *row
}

func newJSONTable(path string) (*jsonTable, error) {
	l, err := openLines(path)
	if err != nil {
		return nil, err
	}
	return &jsonTable{lines: l}, nil
}

func (j *jsonTable) next() (row, error) {
	if j.first != nil {
		r := *j.first
		j.first = nil
		return r, nil
	}
	text, err := j.lines.next()
	if err != nil {
		return row{}, err
	}
	if strictjson.Check(text, lineLimits) != nil {
		return row{number: j.number, cells: []string{cut(strings.ToValidUTF8(string(text), "\ufffd"))}}, nil
	}
	values := map[string]string{}
	var names []string
	for name, value := range strictjson.Members(text) {
		s, ok := strictjson.Text(value)
		if !ok {
			s = string(strictjson.AppendCompact(nil, value))
		}
		values[name] = cut(s)
		names = append(names, name)
	}
	if j.names == nil && len(names) > 0 { // the headings come first
		j.names = names
		j.first = &row{number: j.number, cells: valuesOf(names, values)}
		return row{cells: slices.Clone(names)}, nil
	}
	return row{number: j.number, cells: valuesOf(j.names, values)}, nil
}

func valuesOf(names []string, values map[string]string) []string {
	cells := make([]string, len(names))
	for i, name := range names {
		cells[i] = values[name]
	}
	return cells
}

// cut keeps a text within what a cell holds.
func cut(text string) string {
	if runes := []rune(text); len(runes) > maxCell/2 {
		return string(runes[:maxCell/2]) + fmt.Sprintf("… (%d)", len(runes))
	}
	return text
}
