package catalogue_test

import (
	"bytes"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/catalogue"
)

// anyFile reads a file of a format and wants it to end, and every entry that is
// not refused to be one that the bus takes.
func anyFile(t *testing.T, dir string, format catalogue.Format, content []byte) {
	path := filepath.Join(dir, "fuzzed."+string(format))
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	source, err := catalogue.Open(path, catalogue.Options{})
	if err != nil {
		return
	}
	defer source.Close()
	for {
		e, err := source.Next()
		if err != nil {
			return
		}
		if e.Row < 1 || e.Rows < 1 {
			t.Fatalf("entry at row %d of %d rows", e.Row, e.Rows)
		}
		r := e.Draft.Resource
		if r.ID == "" {
			r.ID = "x"
		}
		if !e.Has(catalogue.Refused) && r.Form() != nil {
			t.Fatalf("not refused: %v", r.Form())
		}
	}
}

func FuzzCSV(f *testing.F) {
	f.Add([]byte(head + "甲,301001/1,11440300999900011J,数据库,名称,name,C,,1,无条件共享,文件,是,每年,\n,,,,a,b,c\n"))
	f.Add([]byte("\ufeff" + head + "\"a\nb\",\"'=1\"\n"))
	f.Add([]byte("\xd0\xc5\xcf\xa2,\xff\xff\n"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, content []byte) { anyFile(t, dir, catalogue.CSV, content) })
}

func FuzzJSONLines(f *testing.F) {
	f.Add([]byte(`{"resource":{"codes":["301001/1"],"provider":"11440300999900011J","sharing":{"basis":{"kind":"law"}}},"clearance":{"consent":"x"}}`))
	f.Add([]byte("{}\n\n[]\n{\"resource\":null}"))
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, content []byte) { anyFile(t, dir, catalogue.JSONL, content) })
}

// FuzzSheet fuzzes the sheet inside a workbook, which is what screening reads.
func FuzzSheet(f *testing.F) {
	f.Add([]byte(`<row r="1"><c r="A1" t="inlineStr"><is><t>信息资源名称</t></is></c><c r="B1"><f>1+1</f><v>2</v></c></row>`))
	f.Add([]byte(`<row><c r="XFD9"/><x:c r='A1'/><f`))
	f.Fuzz(func(t *testing.T, content []byte) {
		path := workbook(t, inSheet(string(content)), nil)
		source, err := catalogue.Open(path, catalogue.Options{})
		if err != nil {
			return
		}
		defer source.Close()
		for {
			if _, err := source.Next(); err != nil {
				return
			}
		}
	})
}

// FuzzRow writes a text into every free field of an entry and wants the sheet to
// give it back, or to have said that it cannot.
func FuzzRow(f *testing.F) {
	for _, seed := range []string{"=1", "'=1", "a\r\nb", "；", " a ", "\u3000", "\ufeff", "_x000D_", "\u2028"} {
		f.Add(seed)
	}
	dir := f.TempDir()
	f.Fuzz(func(t *testing.T, words string) {
		d := bus.Draft{Resource: bus.Resource{
			Codes: []bus.ResourceCode{"301001/1"}, Provider: provider, Name: words, Abstract: words, Office: words, Class: words, System: words,
			Items: []bus.Item{{ID: "a", Name: words, English: words}, {ID: "b", Name: "b"}},
		}}
		for _, format := range []catalogue.Format{catalogue.CSV, catalogue.XLSX} {
			var out bytes.Buffer
			w, err := catalogue.NewWriter(&out, format, bus.Chinese, nil)
			if err != nil {
				t.Fatal(err)
			}
			exact, err := w.Write(d)
			if err := errors.Join(err, w.Close()); err != nil {
				t.Fatal(err)
			}
			if !exact {
				continue
			}
			path := filepath.Join(dir, "a."+string(format))
			if err := os.WriteFile(path, out.Bytes(), 0o600); err != nil {
				t.Fatal(err)
			}
			source, err := catalogue.Open(path, catalogue.Options{})
			if err != nil {
				t.Fatal(err)
			}
			defer source.Close()
			e, err := source.Next()
			if err != nil || text(e.Draft) != text(d) {
				t.Fatalf("%s: %v\nwas %s\nis  %s", format, err, text(d), text(e.Draft))
			}
			if _, err := source.Next(); !errors.Is(err, io.EOF) {
				t.Fatal("more than one entry")
			}
		}
	})
}
