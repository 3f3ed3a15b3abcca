package backup_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/backup"
)

// BenchmarkWrite seals 16 MiB of event-like text, and compares with gzip alone.
func BenchmarkWrite(b *testing.B) {
	var data bytes.Buffer
	for n := 0; data.Len() < 16<<20; n++ {
		fmt.Fprintf(&data, `{"specversion":"1.0","id":"registration-%06d","source":"/systems/sample","data":{"phone":"1990000%04d","capital":%d}}`, n, n%10000, n*7919%100000)
	}
	key, err := backup.NewKey()
	if err != nil {
		b.Fatal(err)
	}
	var sealed, bare time.Duration
	b.SetBytes(int64(data.Len()))
	for b.Loop() {
		start := time.Now()
		zip, _ := gzip.NewWriterLevel(io.Discard, gzip.BestSpeed) // the level is good
		if _, err := zip.Write(data.Bytes()); err != nil {
			b.Fatal(err)
		}
		if err := zip.Close(); err != nil {
			b.Fatal(err)
		}
		bare += time.Since(start)
		start = time.Now()
		w, err := backup.NewWriter(io.Discard, key.Public(), info)
		if err != nil {
			b.Fatal(err)
		}
		if err := w.Add(backup.Part{Name: "x"}, func(w io.Writer) error { _, err := w.Write(data.Bytes()); return err }); err != nil {
			b.Fatal(err)
		}
		if err := w.Close(); err != nil {
			b.Fatal(err)
		}
		sealed += time.Since(start)
	}
	b.ReportMetric(float64(data.Len())*float64(b.N)/sealed.Seconds()/1e6, "sealed-MB/s")
	b.ReportMetric(sealed.Seconds()/bare.Seconds(), "time-to-gzip")
}
