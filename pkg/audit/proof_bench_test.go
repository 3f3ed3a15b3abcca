package audit_test

import (
	"fmt"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
)

// What the issue allows on a log of a million leaves, in milliseconds.
const (
	million    = 1_000_000
	proofLimit = 20
	traceLimit = 100
)

// ofAMillion is a log of a million leaves, of which each grant has one in 5,000.
func ofAMillion(b *testing.B) *fixture {
	b.Helper()
	f := newFixture(b)
	f.db.NoSync = true // it is not the writing that is measured
	batch := make([]audit.Record, 10_000)
	for n := 0; n < million; n += len(batch) {
		for i := range batch {
			at := uint64(n+i) * 100
			batch[i] = forwarded(at+1, at+100)
			batch[i].Grant = bus.GrantID(fmt.Sprint("g-", (n+i)%5000))
			batch[i].At = noon.Add(time.Duration(n+i) * time.Millisecond)
		}
		f.append(batch...)
	}
	return f
}

// BenchmarkEvidenceProof makes the signed proof file of one leaf.
func BenchmarkEvidenceProof(b *testing.B) {
	f := ofAMillion(b)
	c := f.checkpoint()
	n := int64(0)
	b.ResetTimer()
	for range b.N {
		f.view(func(tx *bbolt.Tx) error {
			log, err := f.log.Prove(tx, c, []int64{n})
			if err == nil {
				_, err = audit.Proof{Event: "e", Made: noon, Node: "n440100", Logs: []audit.LogProof{log}}.Seal(f.signer)
			}
			return err
		})
		n = (n + 7919) % million
	}
	report(b, proofLimit)
}

// BenchmarkEvidenceTrace finds the 200 leaves of a grant, which lie all over the log.
func BenchmarkEvidenceTrace(b *testing.B) {
	f := ofAMillion(b)
	b.ResetTimer()
	for i := range b.N {
		f.view(func(tx *bbolt.Tx) error {
			found, _, err := f.log.Find(tx, audit.Search{Grant: bus.GrantID(fmt.Sprint("g-", i%5000)), After: -1, Limit: 1000})
			if err == nil && len(found) != million/5000 {
				err = fmt.Errorf("%d leaves", len(found))
			}
			return err
		})
	}
	report(b, traceLimit)
}

// report tells the milliseconds an operation takes, beside those it may take.
func report(b *testing.B, limit float64) {
	ms := b.Elapsed().Seconds() * 1e3 / float64(b.N)
	b.ReportMetric(ms, "ms")
	b.ReportMetric(limit, "baseline")
	b.ReportMetric(ms/limit, "ratio")
}
