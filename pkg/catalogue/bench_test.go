package catalogue_test

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/catalogue"
	"github.com/xuri/excelize/v2"
)

const benchEntries = 2000

// BenchmarkCatalogueRead measures entries a second that are read and checked, of
// four items each, and compares with what only takes the format apart.
func BenchmarkCatalogueRead(b *testing.B) {
	for format, bare := range map[catalogue.Format]func(string) error{catalogue.JSONL: bareJSON, catalogue.CSV: bareCSV, catalogue.XLSX: bareXLSX} {
		b.Run(string(format), func(b *testing.B) {
			path := filepath.Join(b.TempDir(), "a."+string(format))
			benchFile(b, path, format)
			var took, raw time.Duration
			for b.Loop() {
				begun := time.Now()
				if err := drain(path); err != nil {
					b.Fatal(err)
				}
				took += time.Since(begun)
				begun = time.Now()
				if err := bare(path); err != nil {
					b.Fatal(err)
				}
				raw += time.Since(begun)
			}
			total := float64(benchEntries * b.N)
			b.ReportMetric(total/took.Seconds(), "entries/s")
			b.ReportMetric(total/raw.Seconds(), "baseline")
			b.ReportMetric(raw.Seconds()/took.Seconds(), "ratio")
		})
	}
}

func benchFile(b *testing.B, path string, format catalogue.Format) {
	b.Helper()
	file, err := os.Create(path)
	if err != nil {
		b.Fatal(err)
	}
	w, err := catalogue.NewWriter(file, format, bus.Chinese, nil)
	if err != nil {
		b.Fatal(err)
	}
	d := bus.Draft{Resource: bus.Resource{
		Name: "企业登记信息", Abstract: "企业设立、变更、注销登记的基本信息", Provider: provider, Format: "database", Class: "市场监管", Modes: []string{"batch"}, Open: "no", UpdateCycle: "daily",
		Sharing: bus.Sharing{Type: bus.Conditional, Range: "全省行政机关", Purposes: []bus.Purpose{bus.PurposeReference}},
	}}
	for i := range 4 {
		d.Resource.Items = append(d.Resource.Items, bus.Item{ID: bus.ItemID(fmt.Sprintf("item_%d", i)), Name: "信息项", Type: "C", Length: 200, Grade: 1})
	}
	for i := range benchEntries {
		d.Resource.Codes = []bus.ResourceCode{bus.ResourceCode(fmt.Sprintf("301001/%06d", i))}
		if _, err := w.Write(d); err != nil {
			b.Fatal(err)
		}
	}
	if err := errors.Join(w.Close(), file.Close()); err != nil {
		b.Fatal(err)
	}
}

func bareJSON(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	dec := json.NewDecoder(bufio.NewReader(file))
	for {
		var d bus.DraftContent
		if err := dec.Decode(&d); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func bareCSV(path string) error {
	file, err := os.Open(path)
	if err != nil {
		return err
	}
	defer file.Close()
	r := csv.NewReader(file)
	r.ReuseRecord = true
	for {
		if _, err := r.Read(); errors.Is(err, io.EOF) {
			return nil
		} else if err != nil {
			return err
		}
	}
}

func bareXLSX(path string) error {
	book, err := excelize.OpenFile(path)
	if err != nil {
		return err
	}
	defer book.Close()
	rows, err := book.Rows("目录")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if _, err := rows.Columns(); err != nil {
			return err
		}
	}
	return rows.Error()
}
