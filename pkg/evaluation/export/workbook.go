package export

import (
	"bytes"
	"cmp"
	"compress/gzip"
	"encoding/base64"
	"fmt"
	"io"
	"slices"
	"time"

	"github.com/xuri/excelize/v2"

	"github.com/gxbus/gxbus/pkg/bus"
)

// The signed report stands in a hidden sheet: what the sheet is, the language of
// the others, then the gzipped JSON in base64. Spreadsheet programs keep it.
const (
	signedSheet    = "signed"
	workbookFormat = "gxbus-evaluation-workbook/1"
	chunk          = 32000 // a cell takes 32,767 characters
)

// book is a workbook that is being written.
type book struct {
	*excelize.File
	v      *view
	styles map[look]int
}

func writeWorkbook(w io.Writer, v *view) error {
	b := &book{File: excelize.NewFile(), v: v, styles: map[look]int{}}
	defer b.Close()
	err := b.SetDefaultFont(b.font())
	if err == nil {
		err = b.SetDocProps(&excelize.DocProperties{
			Title: v.title(), Creator: "gxbus", Created: v.At.UTC().Format(time.RFC3339), Modified: v.At.UTC().Format(time.RFC3339), Language: string(v.lang),
			Description: v.window() + " " + v.scheme() + " " + v.digest,
		})
	}
	for _, s := range v.sheets() {
		if err == nil {
			err = b.add(s)
		}
	}
	if err == nil {
		err = b.sign()
	}
	if err == nil {
		err = b.DeleteSheet("Sheet1")
	}
	if err == nil {
		err = b.Write(w)
	}
	return err
}

// font is one that programs in China and elsewhere have, or replace well.
func (b *book) font() string { return b.v.t("宋体", "Calibri") }

var bandColours = []string{"C6E7CE", "DCE6F1", "FFF2CC", "F8CBAD"}

func (b *book) style(l look) (int, error) {
	if id, ok := b.styles[l]; ok {
		return id, nil
	}
	s := &excelize.Style{Font: &excelize.Font{Family: b.font(), Size: 10}, Alignment: &excelize.Alignment{Vertical: "center"}}
	line := excelize.Border{Color: "BFBFBF", Style: 1}
	for _, side := range []string{"left", "right", "top", "bottom"} {
		line.Type = side
		s.Border = append(s.Border, line)
	}
	switch {
	case l == heading:
		s.Font.Bold, s.Alignment.WrapText, s.Alignment.Horizontal = true, true, "center"
		s.Fill = excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{"DCE6F1"}}
	case l == big:
		s.Font.Bold, s.Font.Size, s.Border = true, 14, nil
	case l == note:
		s.Font.Color, s.Border = "595959", nil
	case l == wrapped:
		s.Alignment.WrapText = true
	case l == decimals:
		s.NumFmt = 2 // 0.00
	case l == percent:
		s.NumFmt = 10 // 0.00%
	case l >= bands:
		s.Alignment.Horizontal = "center"
		s.Fill = excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{bandColours[min(int(l-bands), len(bandColours)-1)]}}
	}
	id, err := b.NewStyle(s)
	b.styles[l] = id
	return id, err
}

// add streams a sheet into the workbook.
func (b *book) add(s sheet) error {
	if _, err := b.NewSheet(s.name); err != nil {
		return err
	}
	if err := b.page(s); err != nil { // before the stream begins: its first bytes say so
		return err
	}
	stream, err := b.NewStreamWriter(s.name)
	if err != nil {
		return err
	}
	for i, width := range s.widths {
		to := i + 1
		if to == len(s.widths) {
			to = max(to, 11+len(b.v.Scheme.Indicators))
		}
		if err := stream.SetColWidth(i+1, to, width); err != nil {
			return err
		}
	}
	panes := excelize.Panes{Freeze: true, XSplit: s.left, YSplit: s.head, TopLeftCell: at(s.left+1, s.head+1), ActivePane: "bottomLeft"}
	if s.left > 0 {
		panes.ActivePane = "bottomRight"
	}
	if err := stream.SetPanes(&panes); err != nil {
		return err
	}
	columns, rows, err := b.fill(stream, s)
	if err != nil {
		return err
	}
	if err := b.dress(s, columns, rows); err != nil {
		return err
	}
	return stream.Flush()
}

// page sets how a sheet is printed: on A4, as wide as the paper.
func (b *book) page(s sheet) error {
	paper, orientation, wide, high := 9, "landscape", 1, 0
	if s.tall {
		orientation = "portrait"
	}
	fit := true
	err := b.SetSheetProps(s.name, &excelize.SheetPropsOptions{FitToPage: &fit})
	if err != nil {
		return err
	}
	err = b.SetPageLayout(s.name, &excelize.PageLayoutOptions{Size: &paper, Orientation: &orientation, FitToWidth: &wide, FitToHeight: &high})
	if err == nil {
		margin, foot := 0.4, 0.6
		err = b.SetPageMargins(s.name, &excelize.PageLayoutMarginsOptions{Left: &margin, Right: &margin, Top: &margin, Bottom: &foot})
	}
	if err == nil {
		err = b.SetHeaderFooter(s.name, &excelize.HeaderFooterOptions{OddFooter: "&L&8" + b.v.digest[:min(len(b.v.digest), 23)] + "&C&8&A&R&8&P / &N"})
	}
	return err
}

// fill writes the cells of a sheet, and tells how wide and high it became.
func (b *book) fill(stream *excelize.StreamWriter, s sheet) (columns, rows int, err error) {
	var values []any
	for row := range s.rows {
		rows++
		columns = max(columns, len(row))
		values = values[:0]
		for _, c := range row {
			if c.value == nil && c.look == plain {
				values = append(values, nil)
				continue
			}
			style, err := b.style(c.look)
			if err != nil {
				return 0, 0, err
			}
			values = append(values, excelize.Cell{StyleID: style, Value: c.value, Formula: c.formula})
		}
		if err := stream.SetRow(at(1, rows), values); err != nil {
			return 0, 0, err
		}
	}
	return columns, rows, nil
}

// dress adds what a sheet has besides cells.
func (b *book) dress(s sheet, columns, rows int) error {
	if s.printed > 0 {
		columns = s.printed
	}
	area := fmt.Sprintf("$A$1:$%s$%d", letter(columns), rows)
	if len(s.charts) > 0 {
		area = "" // charts lie beside the cells
	}
	if area != "" {
		if err := b.SetDefinedName(&excelize.DefinedName{Name: "_xlnm.Print_Area", RefersTo: in(s.name, area), Scope: s.name}); err != nil {
			return err
		}
	}
	if err := b.SetDefinedName(&excelize.DefinedName{Name: "_xlnm.Print_Titles", RefersTo: in(s.name, fmt.Sprintf("$1:$%d", s.head)), Scope: s.name}); err != nil {
		return err
	}
	if s.bars != "" {
		if err := b.SetConditionalFormat(s.name, s.bars, []excelize.ConditionalFormatOptions{{
			Type: "data_bar", Criteria: "=", MinType: "num", MinValue: "0", MaxType: "num", MaxValue: "100", BarColor: "#9DC3E6", BarSolid: true,
		}}); err != nil {
			return err
		}
	}
	for _, c := range s.charts {
		if err := b.draw(s.name, c); err != nil {
			return err
		}
	}
	return nil
}

func (b *book) draw(sheet string, c chart) error {
	font := func(size float64) excelize.Font { return excelize.Font{Family: b.font(), Size: size} }
	gap := uint(60)
	native := excelize.Chart{
		Type:      excelize.Bar,
		Series:    []excelize.ChartSeries{{Categories: c.categories, Values: c.values, Fill: excelize.Fill{Type: "pattern", Pattern: 1, Color: []string{"5B9BD5"}}, DataLabel: excelize.ChartDataLabel{Font: font(8)}}},
		Title:     excelize.ChartTitle{Paragraph: []excelize.RichTextRun{{Text: c.title, Font: &excelize.Font{Family: b.font(), Size: 12, Bold: true}}}},
		Legend:    excelize.ChartLegend{Position: "none"},
		Dimension: excelize.ChartDimension{Width: 660, Height: uint(120 + 17*max(c.rows, 8))},
		PlotArea:  excelize.ChartPlotArea{ShowVal: true, NumFmt: excelize.ChartNumFmt{CustomNumFmt: c.format}},
		XAxis:     excelize.ChartAxis{ReverseOrder: !c.upright, Font: font(8)},
		YAxis:     excelize.ChartAxis{MajorGridLines: true, Minimum: new(float64), Font: font(8), NumFmt: excelize.ChartNumFmt{CustomNumFmt: c.format}},
		GapWidth:  &gap,
	}
	if c.upright {
		native.Type = excelize.Col
	}
	return b.AddChart(sheet, c.at, &native)
}

// sign adds the hidden sheet with the report as it was signed.
func (b *book) sign() error {
	if _, err := b.NewSheet(signedSheet); err != nil {
		return err
	}
	stream, err := b.NewStreamWriter(signedSheet)
	if err != nil {
		return err
	}
	packed, err := pack(b.v)
	if err != nil {
		return err
	}
	row := 0
	for _, value := range slices.Concat([]string{workbookFormat, string(cmp.Or(b.v.lang, bus.English))}, packed) {
		row++
		if err := stream.SetRow(at(1, row), []any{value}); err != nil {
			return err
		}
	}
	if err := stream.Flush(); err != nil {
		return err
	}
	return b.SetSheetVisible(signedSheet, false, true)
}

// pack gives the report in pieces that fit cells.
func pack(v *view) ([]string, error) {
	data, err := v.Report.Encode()
	if err != nil {
		return nil, err
	}
	var packed bytes.Buffer
	zipper := gzip.NewWriter(&packed)
	if _, err := zipper.Write(data); err != nil {
		return nil, err
	}
	if err := zipper.Close(); err != nil {
		return nil, err
	}
	var pieces []string
	for piece := range slices.Chunk([]byte(base64.StdEncoding.EncodeToString(packed.Bytes())), chunk) {
		pieces = append(pieces, string(piece))
	}
	return pieces, nil
}
