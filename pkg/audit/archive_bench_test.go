package audit_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
)

// BenchmarkEvidenceArchived finds the leaves of a grant in a log whose older half is in
// segments, and reports what sealing one costs, and how large it is beside its leaves.
func BenchmarkEvidenceArchived(b *testing.B) {
	f := newFixture(b)
	f.db.NoSync = true // it is not the writing that is measured
	archive, err := audit.OpenArchive(filepath.Join(b.TempDir(), "evidence"))
	if err != nil {
		b.Fatal(err)
	}
	f.log.Attach(archive)
	const leaves = 2 * audit.SegmentLeaves
	batch := make([]audit.Record, 4096)
	plain := 0
	for n := 0; n < leaves+256; n += len(batch) {
		for i := range batch {
			at := uint64(n+i) * 100
			if batch[i] = forwarded(at+1, at+100); (n+i)%2 == 0 {
				batch[i] = decided(fmt.Sprint("d-", n+i))
			}
			batch[i].Grant, batch[i].At = bus.GrantID(fmt.Sprint("g-", (n+i)%1000)), noon.Add(time.Duration(n+i)*time.Second)
			plain += len(encoded(batch[i]))
		}
		f.append(batch...)
	}
	f.checkpoint()
	began := time.Now()
	var s audit.Segment
	f.view(func(tx *bbolt.Tx) (err error) {
		s, err = f.log.Seal(tx, f.key, 0, audit.SegmentLeaves)
		return err
	})
	sealing := time.Since(began)
	f.update(func(tx *bbolt.Tx) error { return f.log.Archive(tx, s, noon) })
	f.view(f.log.Settle)
	for more := true; more; {
		f.update(func(tx *bbolt.Tx) (err error) {
			more, err = f.log.Thin(tx, 10_000)
			return err
		})
	}
	b.ResetTimer()
	for i := range b.N {
		f.view(func(tx *bbolt.Tx) error {
			_, _, err := f.log.Find(tx, audit.Search{Grant: bus.GrantID(fmt.Sprint("g-", i%1000)), After: -1, Limit: 1000})
			return err
		})
	}
	report(b, 1000) // half the blocks of the log are unpacked for it
	b.ReportMetric(sealing.Seconds(), "s/segment")
	b.ReportMetric(float64(s.Bytes)/float64(plain)*leaves/audit.SegmentLeaves, "size")
}
