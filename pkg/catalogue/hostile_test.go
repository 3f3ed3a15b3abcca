package catalogue_test

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/catalogue"
	"github.com/gxbus/gxbus/pkg/raced"
	"github.com/xuri/excelize/v2"
)

// drain reads a file to its end or its error.
func drain(path string) error {
	source, err := catalogue.Open(path, catalogue.Options{})
	if err != nil {
		return err
	}
	defer source.Close()
	for {
		if _, err := source.Next(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

// workbook makes a workbook and lets its parts be changed.
func workbook(t testing.TB, change func(name string, content []byte) []byte, more map[string]io.Reader) string {
	t.Helper()
	var plain bytes.Buffer
	if err := catalogue.WriteTemplate(&plain, bus.Chinese); err != nil {
		t.Fatal(err)
	}
	from, err := zip.NewReader(bytes.NewReader(plain.Bytes()), int64(plain.Len()))
	if err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "a.xlsx")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	to := zip.NewWriter(file)
	put := func(name string, content io.Reader) {
		w, err := to.Create(name)
		if err == nil {
			_, err = io.Copy(w, content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, part := range from.File {
		r, err := part.Open()
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(r)
		if err != nil {
			t.Fatal(err)
		}
		put(part.Name, bytes.NewReader(change(part.Name, content)))
	}
	for name, content := range more {
		put(name, content)
	}
	if err := errors.Join(to.Close(), file.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

func unchanged(_ string, content []byte) []byte { return content }

// inSheet puts text at the end of the first sheet's data.
func inSheet(text string) func(string, []byte) []byte {
	return func(name string, content []byte) []byte {
		if name != "xl/worksheets/sheet1.xml" {
			return content
		}
		return bytes.Replace(content, []byte("</sheetData>"), []byte(text+"</sheetData>"), 1)
	}
}

// bomb makes an archive with one part that unpacks to more than size bytes: one
// packed megabyte, again and again.
func bomb(t testing.TB, name string, size int) string {
	t.Helper()
	const block = 1 << 20
	var packed bytes.Buffer
	w, err := flate.NewWriter(&packed, flate.BestCompression)
	if err == nil {
		_, err = w.Write(bytes.Repeat([]byte(" "), block))
	}
	if err := errors.Join(err, w.Flush()); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(t.TempDir(), "bomb.xlsx")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	n := size/block + 1
	z := zip.NewWriter(file)
	part, err := z.CreateRaw(&zip.FileHeader{Name: name, Method: zip.Deflate, UncompressedSize64: uint64(n * block), CompressedSize64: uint64(n * packed.Len())})
	for i := 0; i < n && err == nil; i++ {
		_, err = part.Write(packed.Bytes())
	}
	if err := errors.Join(err, z.Close(), file.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestFilesThatCannotBeUsedAreRefusedCheaply(t *testing.T) {
	raced.Later(t)
	var wide strings.Builder
	for i := range 1_000_000 {
		fmt.Fprintf(&wide, `<c r="%s2"><v>1</v></c>`, "A"+fmt.Sprint(i))
	}
	cell := `<row r="2"><c r="A2" t="inlineStr"><is><t>` + strings.Repeat("长", 400_000) + `</t></is></c></row>`
	for name, tc := range map[string]struct {
		path string
		code bus.Code
		says string
	}{
		"not a workbook":        {file(t, "a.xlsx", "PK but no zip"), bus.CodeInvalid, "not an XLSX workbook"},
		"an old workbook":       {file(t, "b.xlsx", "\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"), bus.CodeInvalid, "not an XLSX workbook"},
		"another archive":       {zipOf(t, map[string]string{"a.txt": "x"}), bus.CodeInvalid, "not an XLSX workbook"},
		"a zip bomb":            {bomb(t, "xl/sharedStrings.xml", 1<<30), bus.CodeTooLarge, "too large once unpacked"},
		"a bomb beside sheets":  {bomb(t, "xl/media/image1.png", 80<<20), bus.CodeTooLarge, "too large once unpacked"},
		"a thousand parts":      {workbook(t, unchanged, parts(1000)), bus.CodeTooLarge, "too large once unpacked"},
		"a million columns":     {workbook(t, inSheet(`<row r="2">`+wide.String()+`</row>`), nil), bus.CodeTooLarge, "too many columns"},
		"a cell without end":    {workbook(t, inSheet(cell), nil), bus.CodeTooLarge, "the cell is too long"},
		"links to elsewhere":    {workbook(t, unchanged, map[string]io.Reader{"xl/externalLinks/externalLink1.xml": strings.NewReader("<x/>")}), bus.CodeInvalid, "links to others"},
		"macros":                {workbook(t, unchanged, map[string]io.Reader{"xl/vbaProject.bin": strings.NewReader("x")}), bus.CodeInvalid, "has macros"},
		"a CSV of 10⁶ columns":  {file(t, "c.csv", head+strings.Repeat(",", 1_000_000)+"\n"), bus.CodeTooLarge, "too many columns"},
		"a CSV without newline": {file(t, "d.csv", head+`"`+strings.Repeat("x", 8<<20)), bus.CodeTooLarge, "a row is too long"},
		"an open quote":         {file(t, "e.csv", head+"a\"b,c\n"), bus.CodeInvalid, "not CSV"},
		"UTF-16":                {file(t, "f.csv", "\xff\xfea\x00b\x00"), bus.CodeInvalid, "UTF-16"},
		"NUL":                   {file(t, "g.csv", head+"a\x00b\n"), bus.CodeInvalid, "NUL"},
		"no encoding":           {file(t, "h.csv", head+"\xff\xff\xff\n"), bus.CodeInvalid, "the encoding is not known"},
		"no headings":           {file(t, "i.csv", "a,b,c\n1,2,3\n"), bus.CodeInvalid, "no row of headings"},
		"a heading twice":       {file(t, "j.csv", strings.TrimSuffix(head, "\n")+",更新周期\n"), bus.CodeInvalid, "there twice"},
		"a heading unknown":     {file(t, "k.csv", strings.TrimSuffix(head, "\n")+",心情\n"), bus.CodeInvalid, "unknown column"},
		"a line without end":    {file(t, "l.jsonl", strings.Repeat("x", 2<<20)), bus.CodeTooLarge, "a line is too long"},
		"a NUL in a line":       {file(t, "m.jsonl", "{\x00}"), bus.CodeInvalid, "NUL"},
		"another format":        {file(t, "n.pdf", "x"), bus.CodeInvalid, "not a format"},
	} {
		t.Run(name, func(t *testing.T) {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			err := drain(tc.path)
			runtime.ReadMemStats(&after)
			if bus.CodeOf(err) != tc.code || !strings.Contains(err.Error(), tc.says) {
				t.Errorf("got %v, want %s: %s", err, tc.code, tc.says)
			}
			if allocated := (after.TotalAlloc - before.TotalAlloc) >> 20; allocated > 150 {
				t.Errorf("it cost %d MB", allocated)
			}
		})
	}
}

func zipOf(t testing.TB, parts map[string]string) string {
	t.Helper()
	var b bytes.Buffer
	z := zip.NewWriter(&b)
	for name, content := range parts {
		w, err := z.Create(name)
		if err == nil {
			_, err = io.WriteString(w, content)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return file(t, "z.xlsx", b.String())
}

func parts(n int) map[string]io.Reader {
	m := map[string]io.Reader{}
	for i := range n {
		m[fmt.Sprintf("xl/x%d.xml", i)] = strings.NewReader("<x/>")
	}
	return m
}

func TestAFormulaIsNoValue(t *testing.T) {
	path := filepath.Join(t.TempDir(), "a.xlsx")
	file, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(catalogue.WriteTemplate(file, bus.Chinese), file.Close()); err != nil {
		t.Fatal(err)
	}
	book, err := excelize.OpenFile(path)
	if err != nil {
		t.Fatal(err)
	}
	defer book.Close()
	if err := errors.Join(book.SetCellFormula("样例", "F2", `"企业"&"登记"`), book.Save()); err != nil {
		t.Fatal(err)
	}
	entries := read(t, path, catalogue.Options{Sheet: "样例"})
	if got := refusals(entries...); len(got) != 1 || got[0] != "2 信息资源名称 name" || !strings.Contains(entries[0].Notes[0].Problem.EN, "formula") {
		t.Errorf("got %q", got)
	}
}

func TestWrittenCellsAreNeverFormulas(t *testing.T) { // threat S46
	for _, start := range []string{"=", "+", "-", "@", "\t", "\r", "'=", "''@"} {
		if got := catalogue.Neutralised(start + "cmd"); !strings.HasPrefix(got, "'") {
			t.Errorf("%q is written %q", start+"cmd", got)
		}
	}
	armed := bus.Draft{Resource: bus.Resource{Codes: []bus.ResourceCode{"301001/1"}, Name: "=1", Office: "@x", Contact: "+86", Items: []bus.Item{{ID: "a", Name: "-1"}}}}
	for _, format := range []catalogue.Format{catalogue.CSV, catalogue.XLSX} {
		path := filepath.Join(t.TempDir(), "a."+string(format))
		write(t, path, format, bus.Chinese, []bus.Draft{armed})
		for _, cell := range cellsOf(t, path) {
			if cell != "" && strings.ContainsRune("=+-@\t\r", rune(cell[0])) {
				t.Errorf("%s: the cell %q", format, cell)
			}
		}
	}
	for _, plain := range []string{"", "企业", "'企业", "1=1", "a@b"} {
		if got := catalogue.Neutralised(plain); got != plain {
			t.Errorf("%q is written %q", plain, got)
		}
	}
}

// cellsOf reads the cells of a file as any other program would.
func cellsOf(t *testing.T, path string) []string {
	t.Helper()
	var rows [][]string
	if catalogue.FormatOf(path) == catalogue.XLSX {
		book, err := excelize.OpenFile(path)
		if err != nil {
			t.Fatal(err)
		}
		defer book.Close()
		if rows, err = book.GetRows("目录"); err != nil {
			t.Fatal(err)
		}
	} else {
		file, err := os.Open(path)
		if err != nil {
			t.Fatal(err)
		}
		defer file.Close()
		if rows, err = csv.NewReader(file).ReadAll(); err != nil {
			t.Fatal(err)
		}
	}
	return slices.Concat(rows...)
}
