package mapping_test

import (
	"compress/gzip"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/catalogue"
	"github.com/gxbus/gxbus/pkg/catalogue/mapping"
	"github.com/gxbus/gxbus/pkg/raced"
)

// The real records of three portals lie beside a checkout, not in it: they have
// no licence.
const realRecords = "../../../../shared/data/catalogue_sample.jsonl.gz"

func TestRealRecordsAreTakenMendedOrRefused(t *testing.T) {
	raced.Later(t)
	path := unpacked(t, realRecords)
	content, err := os.ReadFile("testdata/open-data.yaml")
	if err != nil {
		t.Fatal(err)
	}
	m, err := mapping.Read(content)
	if err != nil {
		t.Fatal(err)
	}
	source, err := catalogue.Open(path, catalogue.Options{Mapping: m})
	if err != nil {
		t.Fatal(err)
	}
	defer source.Close()
	read, taken, mended, refused := 0, 0, 0, 0
	why := map[string]int{}
	for {
		e, err := source.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
		read++
		switch {
		case e.Has(catalogue.Refused):
			refused++
		case e.Has(catalogue.Mended):
			mended++
		default:
			taken++
		}
		for _, n := range e.Notes {
			why[string(n.Kind)+" "+n.Field]++
		}
		if !e.Has(catalogue.Synthetic) {
			t.Errorf("line %d: nothing of it is called synthetic", e.Row)
		}
	}
	t.Logf("read %d, taken %d, mended %d, refused %d: %v", read, taken, mended, refused, why)
	if read != 9981 || taken+mended+refused != read || refused == 0 || mended == 0 || taken == 0 || refused > 10 {
		t.Errorf("read %d, taken %d, mended %d, refused %d", read, taken, mended, refused)
	}
	if why["synthetic sharing.type"] != read-0 || why["lacking classification"] != 0 {
		t.Errorf("notes %v", why)
	}
	for _, d := range m.Departments() {
		if defects := d.Check(); len(defects) > 0 || bus.USCC(d.ID)[8] != 'X' {
			t.Errorf("department %+v: %v", d, defects)
		}
	}
}

func unpacked(t *testing.T, path string) string {
	t.Helper()
	packed, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		t.Skip("SKIPPED: the real records are not beside this checkout")
	}
	if err != nil {
		t.Fatal(err)
	}
	defer packed.Close()
	unzipped, err := gzip.NewReader(packed)
	if err != nil {
		t.Fatal(err)
	}
	target := filepath.Join(t.TempDir(), "records.jsonl")
	file, err := os.Create(target)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := io.Copy(file, unzipped); err != nil {
		t.Fatal(err)
	}
	if err := file.Close(); err != nil {
		t.Fatal(err)
	}
	return target
}
