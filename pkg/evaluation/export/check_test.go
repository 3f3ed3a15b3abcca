package export_test

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"io"
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/evaluation"
	"github.com/gxbus/gxbus/pkg/evaluation/export"
	"github.com/gxbus/gxbus/pkg/raced"
)

// archive packs parts; one of a thousand million zeros is small once it is packed.
func archive(t *testing.T, parts map[string]int64) []byte {
	t.Helper()
	var packed bytes.Buffer
	w := zip.NewWriter(&packed)
	w.RegisterCompressor(zip.Deflate, func(out io.Writer) (io.WriteCloser, error) { return flate.NewWriter(out, flate.BestSpeed) })
	for name, size := range parts {
		part, err := w.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(part, zeros{}, size); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

func TestS09AWorkbookThatUnpacksToTooMuchIsRefused(t *testing.T) {
	raced.Later(t)
	many := map[string]int64{}
	for i := range 1001 {
		many[string(rune('一'+i))] = 0
	}
	for name, file := range map[string][]byte{
		"a part of zeros": archive(t, map[string]int64{"[Content_Types].xml": 10, "xl/worksheets/sheet1.xml": 8 << 20}),
		"many parts":      archive(t, many),
	} {
		if _, err := export.OpenWorkbook(bytes.NewReader(file)); bus.CodeOf(err) != bus.CodeTooLarge {
			t.Errorf("%s: %v", name, err)
		}
	}
	lying := archive(t, map[string]int64{"xl/worksheets/sheet1.xml": 8 << 20})
	i := bytes.LastIndex(lying, []byte("PK\x01\x02"))
	copy(lying[i+24:], []byte{1, 0, 0, 0}) // the directory says one byte
	if _, err := export.OpenWorkbook(bytes.NewReader(lying)); bus.CodeOf(err) != bus.CodeInvalid {
		t.Errorf("a directory that lies: %v", err)
	}
}

// Whatever file is handed in, it is refused with a code, or checked to the cell: any
// bytes, and a workbook one part of which is something else.
func FuzzOpenWorkbook(f *testing.F) {
	const whole = 255
	parts := unpacked(f, written(f, sample(f), export.XLSX, bus.English))
	f.Add(uint8(whole), []byte("PK\x05\x06"+string(make([]byte, 18))))
	for i, part := range parts {
		if len(part.content) < 4<<10 { // what is large takes long to shrink
			f.Add(uint8(i), part.content)
		}
	}
	f.Fuzz(func(t *testing.T, part uint8, content []byte) {
		file := content
		if part != whole {
			file = repacked(t, parts, int(part)%len(parts), content)
		}
		book, err := export.OpenWorkbook(bytes.NewReader(file))
		if err != nil {
			if bus.CodeOf(err) == bus.CodeInternal {
				t.Errorf("refused without a code: %v", err)
			}
			return
		}
		defer book.Close()
		if err := book.Check(); err != nil && bus.CodeOf(err) == bus.CodeInternal {
			t.Errorf("refused without a code: %v", err)
		}
	})
}

type part struct {
	name    string
	content []byte
}

func unpacked(tb testing.TB, file []byte) (parts []part) {
	tb.Helper()
	r, err := zip.NewReader(bytes.NewReader(file), int64(len(file)))
	if err != nil {
		tb.Fatal(err)
	}
	for _, f := range r.File {
		in, err := f.Open()
		if err != nil {
			tb.Fatal(err)
		}
		content, err := io.ReadAll(in)
		if err != nil {
			tb.Fatal(err)
		}
		parts = append(parts, part{f.Name, content})
	}
	return parts
}

// repacked is an archive with another content of one part.
func repacked(t *testing.T, parts []part, at int, content []byte) []byte {
	t.Helper()
	var packed bytes.Buffer
	w := zip.NewWriter(&packed)
	for i, p := range parts {
		out, err := w.CreateHeader(&zip.FileHeader{Name: p.name, Method: zip.Store})
		if err != nil {
			t.Fatal(err)
		}
		if i == at {
			p.content = content
		}
		if _, err := out.Write(p.content); err != nil {
			t.Fatal(err)
		}
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return packed.Bytes()
}

// Whatever report is handed in, it is written in every form, or refused with a code.
func FuzzWrite(f *testing.F) {
	for _, r := range []evaluation.Report{sample(f), {Format: evaluation.ReportFormat}} {
		data, err := r.Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte(`{"format":"gxbus-evaluation/1","departments":[{"figures":[{}]}],"divisions":[{}],"scheme":{"indicators":[{"id":"A1"}]}}`))
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := evaluation.DecodeReport(data)
		if err != nil {
			return
		}
		for _, form := range export.Formats() {
			if err := export.Write(io.Discard, r, form, bus.Chinese); err != nil && bus.CodeOf(err) == bus.CodeInternal {
				t.Errorf("%s is refused without a code: %v", form, err)
			}
		}
	})
}
