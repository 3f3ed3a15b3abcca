package export_test

import (
	"bytes"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/xuri/excelize/v2"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
	"github.com/gxbus/gxbus/pkg/evaluation"
	"github.com/gxbus/gxbus/pkg/evaluation/export"
	"github.com/gxbus/gxbus/pkg/raced"
)

func TestTheFormulasGiveTheFiguresOfTheReport(t *testing.T) {
	r := sample(t)
	book := open(t, written(t, r, export.XLSX, bus.Chinese))
	differences := func() (all []string) {
		summary := byCode(t, book, "汇总", 7)
		for _, s := range r.Departments {
			row := summary[string(s.Department)]
			all = append(all, differs(t, book, "汇总", fmt.Sprint("F", row), points(s))...)
			all = append(all, differs(t, book, "汇总", fmt.Sprint("H", row), fmt.Sprint(s.Weight))...)
		}
		for i, x := range r.Scheme.Indicators {
			sheet := x.ID + " " + x.Name.ZH
			rows := byCode(t, book, sheet, 4)
			for _, s := range slices.Concat(r.Departments, r.Divisions) {
				all = append(all, differs(t, book, sheet, fmt.Sprint("G", rows[codeOf(s)]), s.Figures[i].Percent())...)
			}
		}
		return all
	}
	if got := differences(); len(got) > 0 {
		t.Errorf("the formulas do not give the report's figures: %v", got)
	}
	if err := book.SetCellValue("C1 答复及时率", "D4", 1); err != nil {
		t.Fatal(err)
	}
	if got := differences(); len(got) < 2 {
		t.Errorf("a changed numerator changes %v: want a percentage and a score", got)
	}
}

// differs calculates a formula and compares it with a number; "" is none.
func differs(t *testing.T, book *excelize.File, sheet, cell, want string) []string {
	t.Helper()
	got, err := book.CalcCellValue(sheet, cell, excelize.Options{RawCellValue: true})
	if err != nil {
		t.Fatal(sheet, cell, err)
	}
	if w, err := strconv.ParseFloat(want, 64); err == nil {
		if g, err := strconv.ParseFloat(got, 64); err == nil && fmt.Sprintf("%.9f", g) == fmt.Sprintf("%.9f", w) {
			return nil
		}
	} else if got == want || got == "0" {
		return nil
	}
	return []string{fmt.Sprintf("%s!%s is %q, not %q", sheet, cell, got, want)}
}

func TestTheFirstEditedCellIsNamed(t *testing.T) {
	raced.Later(t)
	r := sample(t)
	file := written(t, r, export.XLSX, bus.Chinese)
	for _, c := range []struct {
		edit func(*excelize.File) error
		want string
	}{
		{func(*excelize.File) error { return nil }, ""},
		{func(b *excelize.File) error { return b.SetCellValue("C1 答复及时率", "D5", 9) }, "C1 答复及时率!D5"},
		{func(b *excelize.File) error { return b.SetCellValue("汇总", "F7", 99.5) }, "汇总!F7"}, // a value in place of a formula
		{func(b *excelize.File) error { return b.SetCellFormula("汇总", "F8", "90+9") }, "汇总!F8"},
		{func(b *excelize.File) error { return b.SetCellValue("汇总", "A8", 1) }, "汇总!A8"},
		{func(b *excelize.File) error { return b.SetCellValue("地区", "B7", "别处") }, "地区!B7"},
		{func(b *excelize.File) error { return b.SetCellValue("证据", "D3", "application/a9") }, "证据!D3"},
		{func(b *excelize.File) error { return b.SetCellValue("方法", "Z90", "see") }, "方法!Z90"},
		{func(b *excelize.File) error { return b.RemoveRow("对账", 3) }, "对账!A3"},
		{func(b *excelize.File) error { _, err := b.NewSheet("新表"); return err }, "新表"},
		{func(b *excelize.File) error { return b.DeleteSheet("输入") }, "输入"},
	} {
		book := open(t, file)
		var saved bytes.Buffer
		if err := errors.Join(c.edit(book), book.Write(&saved)); err != nil {
			t.Fatal(c.want, err)
		}
		if err := checked(t, saved.Bytes()); field(err) != c.want {
			t.Errorf("edited %q, named %q: %v", c.want, field(err), err)
		}
	}
}

func TestTheReportInAWorkbookIsTheSignedOne(t *testing.T) {
	r, key := signed(t)
	w, err := export.OpenWorkbook(bytes.NewReader(written(t, r, export.XLSX, bus.English)))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	if err := w.Report.Verify(key); err != nil || w.Check() != nil {
		t.Errorf("%v, %v", err, w.Check())
	}
	r.Departments[0].Figures[5].Numerator--
	forged, err := export.OpenWorkbook(bytes.NewReader(written(t, r, export.XLSX, bus.English)))
	if err != nil {
		t.Fatal(err)
	}
	defer forged.Close()
	if forged.Report.Verify(key) == nil {
		t.Error("a workbook made of an altered report passes")
	}
	if _, err := export.OpenWorkbook(strings.NewReader("PK")); field(err) != "file" {
		t.Errorf("no workbook: %v", err)
	}
}

func TestS46ExportedCellsAreNeverFormulas(t *testing.T) {
	r := sample(t)
	for i, start := range []string{"=", "+", "-", "@"} {
		r.Departments[i].Name = start + "HYPERLINK(1)"
	}
	r.Reconciliation.Differences[0].Resource, r.Scheme.Indicators[0].Name.ZH, r.Divisions[0].Name = "\tcmd", "=1", "\r=cmd"
	rows, err := csv.NewReader(bytes.NewReader(written(t, r, export.CSV, bus.Chinese))).ReadAll()
	if err != nil || rows[0][0] != "\ufeff类别" {
		t.Fatal(rows[0], err)
	}
	book := open(t, written(t, r, export.XLSX, bus.Chinese))
	for _, sheet := range book.GetSheetList() {
		cells, err := book.GetRows(sheet)
		if err != nil {
			t.Fatal(err)
		}
		if sheet != "signed" {
			rows = append(rows, cells...)
		}
	}
	for _, cell := range slices.Concat(rows...) {
		if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
			t.Errorf("the cell %q", cell)
		}
	}
}

func TestS47StoredScriptIsInertInTheReport(t *testing.T) {
	r := sample(t)
	for i, name := range []string{`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `</title><svg onload=alert(1)>`, `</style><a href="javascript:alert(1)">x</a>`} {
		r.Departments[i%len(r.Departments)].Name, r.Divisions[0].Name, r.ID, r.Signature = name, name, name, name
		r.Scheme.Indicators[i].Name = bus.Text{ZH: name, EN: name}
		r.Reconciliation.Differences[0].Problem = bus.Text{ZH: name, EN: name}
		r.Departments[0].Earlier = []evaluation.Earlier{{Report: name, Score: &evaluation.Score{Exact: name, Points: name}}}
		page := written(t, r, export.HTML, bus.Chinese)
		if !bytes.Contains(page, []byte("default-src 'none'")) {
			t.Error("no policy against what the page loads or runs")
		}
		for _, e := range elements(t, page) {
			if slices.Contains([]string{"script", "img", "a", "iframe", "object", "form", "link"}, e.Name.Local) {
				t.Errorf("%q: <%s>", name, e.Name.Local)
			}
			for _, a := range e.Attr {
				if strings.HasPrefix(a.Name.Local, "on") || a.Name.Local == "href" || a.Name.Local == "src" {
					t.Errorf("%q: <%s %s>", name, e.Name.Local, a.Name.Local)
				}
			}
		}
	}
}

func elements(t *testing.T, page []byte) (all []xml.StartElement) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(page))
	d.Strict, d.AutoClose, d.Entity = false, xml.HTMLAutoClose, xml.HTMLEntity
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if e, ok := token.(xml.StartElement); ok {
			all = append(all, e.Copy())
		}
	}
}

func TestEveryExportSaysWhatItRestsOn(t *testing.T) {
	r, _ := signed(t)
	signature := strings.Fields(r.Signature)
	for _, f := range export.Formats() {
		for _, lang := range []bus.Lang{bus.Chinese, bus.English} {
			text := string(written(t, r, f, lang))
			if f == export.XLSX {
				text = ""
				book := open(t, written(t, r, f, lang))
				rows, err := book.GetRows(map[bus.Lang]string{bus.Chinese: "输入", bus.English: "Inputs"}[lang])
				if err != nil {
					t.Fatal(err)
				}
				for _, row := range rows {
					text += strings.Join(row, " ")
				}
			}
			text = strings.ReplaceAll(text, "&#43;", "+")
			want := []string{r.Restates, r.Scheme.Digest, "AQ==", signature[len(signature)-1]}
			if f != export.JSON {
				want = append(want, "2026-01-01 – 2026-03-31", r.Digest(), map[bus.Lang]string{bus.Chinese: "第 3 版", bus.English: "version 3"}[lang])
			}
			for _, w := range want {
				if !strings.Contains(text, w) {
					t.Errorf("%s in %s lacks %q", f, lang, w)
				}
			}
		}
	}
}

func TestAReportThatDoesNotHoldTogetherIsRefused(t *testing.T) {
	for _, spoil := range []func(*evaluation.Report){
		func(r *evaluation.Report) { r.Departments[0].Figures = nil },
		func(r *evaluation.Report) { r.Divisions[0].Figures[0].State = evaluation.Missing },
		func(r *evaluation.Report) { r.Departments[0].Figures[0].Indicator = "Z9" },
	} {
		r := sample(t)
		spoil(&r)
		for _, f := range []export.Format{export.XLSX, export.CSV, export.HTML} {
			if err := export.Write(io.Discard, r, f, bus.English); !strings.HasPrefix(field(err), "report.") {
				t.Errorf("%s: %v", f, err)
			}
		}
	}
	if err := export.Write(io.Discard, sample(t), "pdf", bus.English); field(err) != "format" {
		t.Errorf("%v", err)
	}
}

// The sample: two departments of the province, one of a county, one that nothing
// applies to. Percentages fall on halves, a node is missing, points are taken off.
const (
	market  bus.USCC = "114400000069401674"
	housing bus.USCC = "11440000006939561H"
	tax     bus.USCC = "11441400007208381Y"
	quiet   bus.USCC = "11440100007482338T"
)

func sample(tb testing.TB) evaluation.Report {
	tb.Helper()
	start, err := calendar.ParseDate("2026-01-01")
	if err != nil {
		tb.Fatal(err)
	}
	window := evaluation.Window{From: start.Start(), To: (start + 90).Start()}
	scheme := evaluation.DefaultScheme()
	count := func(of bus.USCC, c bus.Count, n int64, ref evaluation.Ref) evaluation.Fact {
		return evaluation.Fact{Count: c, At: window.From, Department: of, N: n, Ref: ref}
	}
	var facts []evaluation.Fact
	for i, x := range scheme.Indicators {
		for n, of := range []bus.USCC{market, housing, tax} {
			facts = append(facts, count(of, x.Numerator, int64(5+i+n), "application/a1"), count(of, x.Denominator, int64(8+i*3), "application/a1"), count(of, x.Denominator, int64(n), "application/a2"))
		}
	}
	facts = append(facts, // 1 of 200,000 calls is 0.0005 %; with these 1,005 of 100,000 are 1.005 %, which is 1.01
		count(tax, bus.CountCallsCharged, 100000-8-12*3+9-11, "rollup/mz/2026-01-01"), count(tax, bus.CountCallsSucceeded, 1005-15, "rollup/mz/2026-01-01"),
		count(market, bus.CountStopsUnreasoned, 2, "dispute/d1"), count(market, bus.CountUsesBeyond, 1, "dispute/d2"),
	)
	r := evaluation.Report{
		Format: evaluation.ReportFormat, ID: "2026-q1", Window: window, At: window.To, Cluster: "gd", Node: "gz",
		Scheme: evaluation.SchemeUsed{Version: 3, Digest: evaluation.SchemeDigest(scheme), Scheme: scheme},
		Inputs: evaluation.Inputs{
			Rollups: []evaluation.RollupUsed{{Node: "gz", Day: "2026-01-01", Digest: evaluation.Rollup{}.Digest()}}, Missing: []evaluation.MissingNode{{Node: "sz", Days: []string{"2026-01-01"}}},
			Checkpoints: []bus.Checkpoint{{Node: "gz", Size: 1, Root: []byte{1}, Note: "note"}},
		},
		Reconciliation: evaluation.Reconciliation{Matched: 12, Differences: []evaluation.Difference{{
			Resource: "r1", Provider: market, Consumer: tax, Mode: "interface", ProviderCount: 3, ConsumerCount: 1, Problem: bus.Text{ZH: "使用方没有记录", EN: "the consumer has no record"},
			Exchanges: []evaluation.Unmatched{{Exchange: "request/q1", Has: "gz", Leaf: 7, Lacks: "mz"}, {Exchange: "request/q2", Has: "gz", Leaf: 8, Lacks: "mz"}},
		}}},
		Restates:     "2025-q4-x",
		Restatements: []evaluation.Restatement{{Report: "2025-q4", Department: market, Indicator: "C1", Published: evaluation.Ratio{Numerator: 1, Denominator: 2}, Restated: evaluation.Ratio{Numerator: 1, Denominator: 3}}},
	}
	r.Departments, r.Divisions = evaluation.Compute(evaluation.Input{
		Scheme: scheme, Window: window, Facts: slices.Values(facts),
		Departments: []bus.Department{{ID: market, Name: "样例市场监管部门", Division: "440000"}, {ID: housing, Name: "样例住房部门", Division: "440000"}, {ID: tax, Name: "样例税务部门", Division: "441402"}, {ID: quiet, Name: "样例静默部门", Division: "440000"}},
		Divisions: []bus.Division{
			{Code: "440000", Name: "广东省", Level: bus.LevelProvince}, {Code: "441400", Name: "梅州市", Level: bus.LevelCity, Parent: "440000"},
			{Code: "441402", Name: "梅江区", Level: bus.LevelCounty, Parent: "441400"},
		},
	})
	r.Divisions[0].Earlier = []evaluation.Earlier{{Report: "2025-q4", Score: &evaluation.Score{Exact: "61", Points: "61.00"}}, {Report: "2025-q3", Score: &evaluation.Score{Exact: "50", Points: "50.00"}}}
	return r
}

func signed(t *testing.T) (evaluation.Report, string) {
	t.Helper()
	secret, verifier, err := audit.GenerateKey(audit.Origin("gd", "gz"))
	if err != nil {
		t.Fatal(err)
	}
	key, _, err := audit.OpenKey(secret)
	if err != nil {
		t.Fatal(err)
	}
	r, err := sample(t).Sign(key)
	if err != nil {
		t.Fatal(err)
	}
	return r, verifier
}

func written(tb testing.TB, r evaluation.Report, f export.Format, lang bus.Lang) []byte {
	tb.Helper()
	var out bytes.Buffer
	if err := export.Write(&out, r, f, lang); err != nil {
		tb.Fatal(err)
	}
	return out.Bytes()
}

func open(t *testing.T, file []byte) *excelize.File {
	t.Helper()
	book, err := excelize.OpenReader(bytes.NewReader(file), excelize.Options{RawCellValue: true})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { book.Close() })
	return book
}

func checked(t *testing.T, file []byte) error {
	t.Helper()
	w, err := export.OpenWorkbook(bytes.NewReader(file))
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	return w.Check()
}

// field is what the first defect of a refusal is about.
func field(err error) string {
	if refusal, ok := errors.AsType[*bus.Error](err); ok && len(refusal.Defects) > 0 {
		return refusal.Defects[0].Field
	}
	return ""
}

// byCode gives the row of each who is on a sheet.
func byCode(t *testing.T, book *excelize.File, sheet string, first int) map[string]int {
	t.Helper()
	rows, err := book.GetRows(sheet)
	if err != nil {
		t.Fatal(err)
	}
	at := map[string]int{}
	for i := first - 1; i < len(rows); i++ {
		at[rows[i][2]] = i + 1
	}
	return at
}

func codeOf(s evaluation.Standing) string {
	if s.Department != "" {
		return string(s.Department)
	}
	return string(s.Division)
}

func points(s evaluation.Standing) string {
	if s.Score == nil {
		return ""
	}
	return s.Score.Points
}
