package audit_test

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"go.etcd.io/bbolt"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
)

// BenchmarkEvidenceAppend appends range leaves in batches, a commit each, and reports
// the rate as a ratio to bbolt alone, putting the same bytes under the same keys.
func BenchmarkEvidenceAppend(b *testing.B) {
	for _, size := range []int{100, 256} {
		b.Run(fmt.Sprint(size), func(b *testing.B) {
			var n uint64
			batch := make([]audit.Record, size)
			next := func() {
				for i := range batch {
					batch[i] = forwarded(n*256+1, n*256+256)
					n++
				}
			}
			f := newFixture(b)
			b.ResetTimer()
			for range b.N {
				next()
				f.append(batch...)
			}
			ours := float64(b.N*size) / b.Elapsed().Seconds()
			b.StopTimer()
			raw := rawRate(b, b.N, size)
			b.ReportMetric(ours, "leaves/s")
			b.ReportMetric(raw, "baseline")
			b.ReportMetric(ours/raw, "ratio")
		})
	}
}

// rawRate is the rate of bbolt alone, in leaves a second.
func rawRate(b *testing.B, rounds, size int) float64 {
	db, err := bbolt.Open(filepath.Join(b.TempDir(), "raw.db"), 0o600, &bbolt.Options{FreelistType: bbolt.FreelistMapType, NoFreelistSync: true})
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	value := encoded(forwarded(1, 256))
	n, start := int64(0), time.Now()
	for range rounds {
		err := db.Update(func(tx *bbolt.Tx) error {
			bucket, err := tx.CreateBucketIfNotExists([]byte("raw"))
			if err != nil {
				return err
			}
			bucket.FillPercent = 1
			for range size {
				if err := bucket.Put(key(n), value); err != nil {
					return err
				}
				n++
			}
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	return float64(n) / time.Since(start).Seconds()
}

const many = 100_000

// large is a log of many leaves.
func large(b *testing.B) *fixture {
	f := newFixture(b)
	batch := make([]audit.Record, 1000)
	for n := 0; n < many; n += len(batch) {
		for i := range batch {
			at := uint64(n+i) * 100
			batch[i] = forwarded(at+1, at+100)
		}
		f.append(batch...)
	}
	return f
}

func BenchmarkInclusionProof(b *testing.B) {
	f := large(b)
	f.view(func(tx *bbolt.Tx) error {
		hashes, err := f.log.Hashes(tx)
		for n := int64(0); b.Loop() && err == nil; n = (n + 7919) % many {
			_, err = tlog.ProveRecord(many, n, hashes)
		}
		return err
	})
}

func BenchmarkCovering(b *testing.B) {
	f := large(b)
	f.view(func(tx *bbolt.Tx) error {
		for seq := uint64(1); b.Loop(); seq = (seq + 7919) % (many * 100) {
			if found, err := f.log.Covering(tx, "enterprise-registration", "s-440106", seq+1); err != nil || len(found) != 1 {
				return fmt.Errorf("%d leaves, %w", len(found), err)
			}
		}
		return nil
	})
}

func BenchmarkVerify(b *testing.B) {
	f := large(b)
	held := f.checkpoint()
	b.ResetTimer()
	for range b.N {
		if r := f.verify([]bus.Checkpoint{held}...); !r.Verified {
			b.Fatal(r.Problem.EN)
		}
	}
	b.ReportMetric(float64(b.N*many)/b.Elapsed().Seconds(), "leaves/s")
}
