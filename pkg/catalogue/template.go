package catalogue

import (
	"io"

	"github.com/xuri/excelize/v2"

	"github.com/gxbus/gxbus/pkg/bus"
)

const (
	templateRows = 5000 // rows that have drop-downs
)

// WriteTemplate writes a workbook to fill in: the layout with drop-downs and
// notes, a sheet with an example, and one that explains.
func WriteTemplate(w io.Writer, lang bus.Lang) error {
	book := excelize.NewFile()
	defer book.Close()
	t := template{book: book, lang: lang}
	if err := book.SetSheetName("Sheet1", sheetEntries); err != nil {
		return err
	}
	for _, step := range []func() error{t.entries, t.example, t.help} {
		if err := step(); err != nil {
			return err
		}
	}
	return book.Write(w)
}

type template struct {
	book *excelize.File
	lang bus.Lang
}

func (t template) entries() error { return t.sheet(sheetEntries) }

// sheet heads a sheet, with notes and drop-downs.
func (t template) sheet(name string) error {
	plain, err := headStyle(t.book, false)
	if err != nil {
		return err
	}
	needed, err := headStyle(t.book, true)
	if err != nil {
		return err
	}
	for i, c := range layout {
		at := cellName(i, 1)
		style := plain
		if c.needed {
			style = needed
		}
		if err := t.book.SetCellStr(name, at, c.heading.In(t.lang)); err != nil {
			return err
		}
		if err := t.book.SetCellStyle(name, at, at, style); err != nil {
			return err
		}
		note := excelize.Comment{Cell: at, Author: "gxbus", Text: c.note.In(t.lang), Width: 220, Height: 60}
		if err := t.book.AddComment(name, note); err != nil {
			return err
		}
		if err := t.dropDown(name, i, c); err != nil {
			return err
		}
	}
	last, err := excelize.ColumnNumberToName(len(layout))
	if err != nil {
		return err
	}
	if err := t.book.SetColWidth(name, "A", last, 18); err != nil {
		return err
	}
	return t.book.SetPanes(name, &excelize.Panes{Freeze: true, YSplit: 1, TopLeftCell: "A2", ActivePane: "bottomLeft"})
}

// dropDown offers a column's words. Columns that take several are offered one,
// and take others all the same.
func (t template) dropDown(sheet string, i int, c *column) error {
	if c.words == nil {
		return nil
	}
	rule := excelize.NewDataValidation(true)
	rule.SetSqref(cellName(i, 2) + ":" + cellName(i, templateRows))
	if err := rule.SetDropList(c.words.names()); err != nil {
		return err
	}
	style := excelize.DataValidationErrorStyleStop
	if several(c) {
		style = excelize.DataValidationErrorStyleInformation
	}
	rule.SetError(style, c.heading.In(t.lang), c.note.In(t.lang))
	return t.book.AddDataValidation(sheet, rule)
}

func several(c *column) bool { return c.key == "modes" || c.key == "sharing.purposes" }

// example fills a sheet of its own, so that nobody takes it for an entry.
func (t template) example() error {
	if _, err := t.book.NewSheet(sheetExample); err != nil {
		return err
	}
	if err := t.sheet(sheetExample); err != nil {
		return err
	}
	number := 1
	for _, d := range examples() {
		for _, cells := range rowsOf(d, "样例市市场监督管理局") {
			number++
			for i, cell := range cells {
				if cell == "" {
					continue
				}
				if err := t.book.SetCellStr(sheetExample, cellName(i, number), Neutralised(cell)); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// help explains every column.
func (t template) help() error {
	if _, err := t.book.NewSheet(sheetHelp); err != nil {
		return err
	}
	rows := [][]string{
		{bus.Text{ZH: "填写说明", EN: "How to fill this in"}.In(t.lang)},
		{bus.Text{
			ZH: "在“目录”表中填写，每个信息项一行；资源的各列写在其第一行，或每行重复。橙色表头必填。“样例”表仅供参考。",
			EN: "Fill in the sheet 目录, a row an item; the resource's columns on its first row, or repeated. Orange headings are required. The sheet 样例 is an example.",
		}.In(t.lang)},
		{bus.Text{ZH: "检查：gxbus resource import 文件 --check；导入：gxbus resource import 文件", EN: "Check: gxbus resource import FILE --check; import: gxbus resource import FILE"}.In(t.lang)},
		{},
		{
			bus.Text{ZH: "列", EN: "column"}.In(t.lang), bus.Text{ZH: "英文", EN: "in English"}.In(t.lang), bus.Text{ZH: "字段", EN: "field"}.In(t.lang),
			bus.Text{ZH: "说明", EN: "what to write"}.In(t.lang), bus.Text{ZH: "允许的取值", EN: "allowed"}.In(t.lang),
		},
	}
	for _, c := range layout {
		allowed := ""
		if c.words != nil {
			allowed = c.words.allowed()
		}
		rows = append(rows, []string{c.heading.ZH, c.heading.EN, c.key, c.note.In(t.lang), allowed})
	}
	for n, cells := range rows {
		for i, cell := range cells {
			if err := t.book.SetCellStr(sheetHelp, cellName(i, n+1), cell); err != nil {
				return err
			}
		}
	}
	if err := t.book.SetColWidth(sheetHelp, "A", "C", 24); err != nil {
		return err
	}
	return t.book.SetColWidth(sheetHelp, "D", "E", 70)
}

// examples are two made-up entries; their provider is nobody's code.
func examples() []bus.Draft {
	clearance := bus.Clearance{SecrecyReview: "样例保审〔2026〕1号", Assessment: "样例评估〔2026〕1号", Consent: "样例签批〔2026〕1号"}
	return []bus.Draft{
		{Clearance: clearance, Resource: bus.Resource{
			Codes: []bus.ResourceCode{"3010010001/000001", "102001/000001"}, Name: "企业登记信息（样例）", Abstract: "企业设立、变更、注销登记的基本信息",
			Provider: "11440300999900011J", Office: "登记注册处", Format: "database", Subtype: "PostgreSQL", Entity: "enterprise", Class: "市场监管",
			Sharing: bus.Sharing{Type: bus.Conditional, Range: "全省行政机关", Purposes: []bus.Purpose{bus.PurposeAdministrativeBasis, bus.PurposeVerification},
				Reason: "联系电话属个人信息", Basis: &bus.Basis{Kind: "law", Citation: "《××法》第×条（样例）"}},
			Modes: []string{"interface", "batch"}, Open: "conditional", OpenTerms: "实名申请", UpdateCycle: "realtime", Network: "government", Scenario: "government-service",
			System: "商事登记系统", Matters: []string{"440125001000"},
			Items: []bus.Item{
				{ID: "uscc", Name: "统一社会信用代码", Type: "C", Length: 18, Grade: 1, Semantic: bus.SemanticUSCC, Open: true, Source: true},
				{ID: "name", Name: "企业名称", Type: "C", Length: 200, Grade: 1, Open: true},
				{ID: "legal_representative", Name: "法定代表人", Type: "C", Length: 50, Grade: 2, Semantic: bus.SemanticName},
				{ID: "phone", Name: "联系电话", Type: "C", Length: 11, Grade: 3, Semantic: bus.SemanticPhone, Sharing: bus.NotShared},
			},
		}},
		{Clearance: bus.Clearance{SecrecyReview: clearance.SecrecyReview, Consent: clearance.Consent}, Resource: bus.Resource{
			Codes: []bus.ResourceCode{"3010010002/000001"}, Name: "行政处罚信息（样例）", Abstract: "依法公开的行政处罚决定",
			Provider: "11440300999900011J", Office: "执法监督处", Format: "spreadsheet", Subtype: "XLSX", Class: "市场监管",
			Sharing: bus.Sharing{Type: bus.Unconditional}, Modes: []string{"file"}, Open: "yes", UpdateCycle: "monthly", Related: []bus.ResourceCode{"3010010001/000001"},
			Items: []bus.Item{
				{ID: "number", Name: "决定书文号", Type: "C", Length: 64, Grade: 1, Open: true},
				{ID: "decided", Name: "决定日期", Type: "D", Grade: 1, Open: true},
			},
		}},
	}
}
