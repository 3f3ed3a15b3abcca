package catalogue

import (
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/gxbus/gxbus/pkg/bus"
)

const maxRecord = 1 << 20 // bytes of a row

// csvTable reads RFC 4180.
type csvTable struct {
	file  *os.File
	input *limited
	csv   *csv.Reader
}

func openCSV(path string) (*csvTable, error) {
	file, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	text, err := decoded(file)
	if err != nil {
		file.Close()
		return nil, err
	}
	t := &csvTable{file: file, input: &limited{r: text, left: maxRecord}}
	t.csv = csv.NewReader(t.input)
	t.csv.FieldsPerRecord = -1
	t.csv.ReuseRecord = true
	return t, nil
}

func (t *csvTable) next() (row, error) {
	t.input.left = maxRecord
	record, err := t.csv.Read()
	if syntax, ok := errors.AsType[*csv.ParseError](err); ok && !errors.Is(err, errTooLong) {
		return row{}, unusable(fmt.Sprintf("line %d", syntax.Line), bus.Text{ZH: "不是 CSV：引号不配对", EN: "not CSV: a quote is not closed, or stands in the middle"}, "RFC 4180")
	}
	if err != nil {
		return row{}, err
	}
	line, _ := t.csv.FieldPos(0)
	if len(record) > maxColumns {
		return row{}, tooWide(line)
	}
	r := row{number: line, cells: make([]string, len(record))}
	for i, cell := range record {
		r.cells[i] = disarmed(cell)
	}
	r.examine()
	return r, nil
}

func (t *csvTable) Close() error { return t.file.Close() }

func tooWide(row int) error {
	return bus.E(bus.CodeTooLarge, bus.Defect{Field: fmt.Sprintf("row %d", row), Problem: bus.Text{ZH: "列过多", EN: "too many columns"}, Allowed: fmt.Sprint("≤ ", maxColumns)})
}

// errTooLong ends a file that has a row without end.
var errTooLong = bus.E(bus.CodeTooLarge, bus.Defect{Field: "row", Problem: bus.Text{ZH: "一行过长", EN: "a row is too long"}, Allowed: "1 MiB"})

// limited reads at most left bytes before it is told to go on, and what the
// reader above it buffers.
type limited struct {
	r    io.Reader
	left int
}

func (l *limited) Read(p []byte) (int, error) {
	if l.left <= 0 {
		return 0, errTooLong
	}
	n, err := l.r.Read(p)
	l.left -= n
	return n, err
}

const maxCell = 32767 // characters, a spreadsheet's own limit

// examine finds cells that no field takes: too long, or with characters that no
// text has.
func (r *row) examine() {
	for i, cell := range r.cells {
		if len(cell) > maxCell {
			r.faults = append(r.faults, fault{i, bus.Defect{Problem: bus.Text{ZH: "单元格过长", EN: "the cell is too long"}, Allowed: fmt.Sprint("≤ ", maxCell)}})
			continue
		}
		if strings.IndexFunc(cell, unwanted) >= 0 {
			r.faults = append(r.faults, fault{i, bus.Defect{Problem: bus.Text{ZH: "含有控制字符", EN: "holds control characters"}, Allowed: "text"}})
		}
	}
}

func unwanted(r rune) bool {
	return r < ' ' && r != '\n' && r != '\t' && r != '\r' || r == 0x7f || r == '\ufffd'
}

// armed reports whether a spreadsheet would run a cell as a formula, maybe
// after someone has taken apostrophes off.
func armed(cell string) bool {
	rest := strings.TrimLeft(cell, "'")
	return rest != "" && strings.IndexByte("=+-@\t\r", rest[0]) >= 0
}

// Neutralised is a cell as it is written: one that a spreadsheet would run gets
// an apostrophe in front. A reader of this package takes it off again.
func Neutralised(cell string) string {
	if armed(cell) {
		return "'" + cell
	}
	return cell
}

func disarmed(cell string) string {
	if rest, ok := strings.CutPrefix(cell, "'"); ok && armed(rest) {
		return rest
	}
	return cell
}
