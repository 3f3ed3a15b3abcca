package export

import (
	"fmt"
	"iter"
	"strings"

	"github.com/xuri/excelize/v2"

	"github.com/gxbus/gxbus/pkg/catalogue"
)

// The sheets of a workbook are laid out as plain cells first. Writing puts them in
// a file; checking a file compares it with them.

// look is how a cell looks.
type look int

const (
	plain look = iota
	heading
	big
	note
	wrapped
	decimals // two of them
	percent
	bands // and the ones after it: a band of the scheme each, from the best
)

// cell is what a cell holds: a string, an int64, a float64 or nothing, and the
// formula that gives it.
type cell struct {
	value   any
	formula string
	look    look
}

// text is a cell that no program takes for a formula.
func text(s string) cell {
	if s == "" {
		return cell{}
	}
	return cell{value: catalogue.Neutralised(s)}
}

func number[T int | int64](n T) cell { return cell{value: int64(n)} }

func (c cell) as(l look) cell {
	c.look = l
	return c
}

// formula is a cell that comes to value; nil where it comes to nothing.
func formula(f string, value any, l look) cell {
	if value == nil {
		value = ""
	}
	return cell{value, f, l}
}

// texts is a row of cells that look alike.
func texts(l look, all ...string) []cell {
	row := make([]cell, len(all))
	for i, s := range all {
		row[i] = text(s).as(l)
	}
	return row
}

// sheet is a sheet of a workbook.
type sheet struct {
	name    string
	widths  []float64 // of its columns, in characters; more columns are as the last
	head    int       // rows that stay in sight and are printed on every page
	left    int       // columns that stay in sight
	tall    bool      // printed upright
	printed int       // columns, from the first; 0: all
	rows    iter.Seq[[]cell]
	bars    string // a range whose cells show bars
	charts  []chart
}

// chart is a bar chart of one series.
type chart struct {
	title      string
	categories string
	values     string
	format     string // of the values
	at         string
	rows       int
	upright    bool
}

const mostRows = 1 << 20 // that a sheet takes

// at names a cell; columns and rows count from 1.
func at(column, row int) string { return letter(column) + fmt.Sprint(row) }

func letter(column int) string {
	name, err := excelize.ColumnNumberToName(column)
	if err != nil {
		return "XFD" // the last one; a scheme has no more than 60 indicators
	}
	return name
}

// in is a reference to a cell or range of another sheet.
func in(sheet, cells string) string { return "'" + sheet + "'!" + cells }

// fixed is a range of one column for formulas and charts elsewhere.
func fixed(column, first, last int) string {
	return fmt.Sprintf("$%s$%d:$%s$%d", letter(column), first, letter(column), last)
}

// sheetName is a text as the name of a sheet: 31 UTF-16 units at most, and without
// what has a meaning in references.
func sheetName(s string) string {
	s = strings.Map(func(r rune) rune {
		if strings.ContainsRune(`[]:*?/\'`, r) || r < ' ' || r > 0xffff {
			return -1
		}
		return r
	}, clean(s))
	if runes := []rune(s); len(runes) > 31 {
		s = string(runes[:31])
	}
	return strings.TrimSpace(s)
}
