package export_test

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"io"
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/evaluation/export"
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

// Whatever file is handed in, it is refused with a code, or checked to the cell.
func FuzzOpenWorkbook(f *testing.F) {
	whole := written(f, sample(f), export.XLSX, bus.English)
	f.Add(whole)
	f.Add(whole[:len(whole)/2])
	f.Add([]byte("PK\x05\x06" + string(make([]byte, 18))))
	f.Fuzz(func(t *testing.T, file []byte) {
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
