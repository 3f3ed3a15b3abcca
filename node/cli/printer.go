package cli

import (
	"bytes"
	"encoding/csv"
	"encoding/json"
	"io"
	"strings"
	"unicode"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"
	"go.yaml.in/yaml/v3"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/catalogue"
)

// column is one column of a list: its stable key, which heads it in CSV and in
// English, its Chinese heading, and its cell.
type column[V any] struct {
	key, zh string
	cell    func(V) string
}

// grid is what table and csv print.
type grid struct {
	keys  []string   // CSV
	heads []string   // table
	rows  [][]string // in print order
}

func gridOf[V any](a *app, columns []column[V], values []V) grid {
	var g grid
	for _, c := range columns {
		g.keys = append(g.keys, c.key)
		g.heads = append(g.heads, a.say(c.zh, c.key))
	}
	for _, v := range values {
		row := make([]string, len(columns))
		for i, c := range columns {
			row[i] = a.inTerms(c.key, c.cell(v))
		}
		g.rows = append(g.rows, row)
	}
	return g
}

// inTerms gives the words in a cell of a Chinese table by the terms of the catalogue.
func (a *app) inTerms(key, cell string) string {
	if a.lang != bus.Chinese || a.output != "table" {
		return cell
	}
	words := strings.Split(cell, ", ")
	for i, word := range words {
		words[i] = catalogue.Term(key, word)
	}
	return strings.Join(words, ", ")
}

// gridOfOne turns one value on its side: a row a column.
func gridOfOne[V any](a *app, columns []column[V], value V) grid {
	flat := gridOf(a, columns, []V{value})
	g := grid{keys: []string{"field", "value"}, heads: []string{a.say("项目", "field"), a.say("内容", "value")}}
	for i, cell := range flat.rows[0] {
		head := flat.heads[i]
		if a.output == "csv" {
			head = flat.keys[i]
		}
		g.rows = append(g.rows, []string{head, cell})
	}
	return g
}

// print writes value as JSON or YAML, or its grid as a table or CSV.
func (a *app) print(value any, g grid) error {
	switch a.output {
	case "json":
		return writeJSON(a.Out, value)
	case "yaml":
		return writeYAML(a.Out, value)
	case "csv":
		return writeCSV(a.Out, g)
	default:
		return writeTable(a.Out, g)
	}
}

// preview writes what a dry run would send.
func (a *app) preview(value any) error {
	if a.output == "json" {
		return writeJSON(a.Out, value)
	}
	return writeYAML(a.Out, value)
}

// printList prints the values of a list.
func printList[V any](a *app, columns []column[V], values []V) error {
	if values == nil {
		values = []V{}
	}
	return a.print(values, gridOf(a, columns, values))
}

// printOne prints one value.
func printOne[V any](a *app, columns []column[V], value V) error {
	return a.print(value, gridOfOne(a, columns, value))
}

func writeJSON(w io.Writer, value any) error {
	enc := json.NewEncoder(w)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return enc.Encode(value)
}

// writeYAML goes through JSON, whose keys the values define, and keeps their order.
func writeYAML(w io.Writer, value any) error {
	var flow bytes.Buffer
	if err := writeJSON(&flow, value); err != nil {
		return err
	}
	var doc yaml.Node
	if err := yaml.Unmarshal(flow.Bytes(), &doc); err != nil {
		return err
	}
	block(&doc)
	enc := yaml.NewEncoder(w)
	enc.SetIndent(2)
	if err := enc.Encode(&doc); err != nil {
		return err
	}
	return enc.Close()
}

// block takes the JSON style off a YAML tree; the encoder quotes what needs it.
func block(n *yaml.Node) {
	n.Style = 0
	for _, child := range n.Content {
		block(child)
	}
}

// writeCSV follows RFC 4180. A cell that a spreadsheet would run as a formula
// gets an apostrophe in front.
func writeCSV(w io.Writer, g grid) error { return writeCSVRows(w, g, new(bool)) }

// writeCSVRows writes the head too, unless it stands there already.
func writeCSVRows(w io.Writer, g grid, headed *bool) error {
	out := csv.NewWriter(w)
	out.UseCRLF = true
	if !*headed {
		_ = out.Write(g.keys)
		*headed = true
	}
	for _, row := range g.rows {
		safe := make([]string, len(row))
		for i, cell := range row {
			safe[i] = cell
			if cell != "" && bytes.IndexByte([]byte("=+-@\t\r"), cell[0]) >= 0 {
				safe[i] = "'" + cell
			}
		}
		_ = out.Write(safe)
	}
	out.Flush()
	return out.Error()
}

// writeTable aligns by display width: a Chinese character takes two columns.
func writeTable(w io.Writer, g grid) error {
	t := table.NewWriter()
	style := table.StyleDefault
	style.Options = table.OptionsNoBordersAndSeparators
	style.Box.PaddingLeft, style.Box.PaddingRight = "", "  "
	style.Format.Header = text.FormatDefault
	t.SetStyle(style)
	t.SuppressTrailingSpaces()
	t.AppendHeader(tableRow(g.heads))
	for _, row := range g.rows {
		t.AppendRow(tableRow(row))
	}
	_, err := io.WriteString(w, t.Render()+"\n")
	return err
}

func tableRow(cells []string) table.Row {
	row := make(table.Row, len(cells))
	for i, cell := range cells {
		row[i] = printable(cell)
	}
	return row
}

func isGraphic(r rune) bool { return unicode.IsPrint(r) && r != unicode.ReplacementChar }

// padded fills s with spaces to a width in terminal cells; a Chinese character
// takes two.
func padded(s string, width int) string { return text.Pad(s, width, ' ') }
