package state_test

import (
	"fmt"
	"testing"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

// BenchmarkApply measures what a replica does with an entry, 64 of them a
// transaction as raft hands them on.
func BenchmarkApply(b *testing.B) {
	r := newWorld(b)
	n := 0
	for b.Loop() {
		batch := make([]state.Log, 64)
		for i := range batch {
			n++
			e, err := command.New(command.SystemPut, bySysadmin, fmt.Sprint("request-", n), 0, bus.System{
				ID: bus.SystemID(fmt.Sprint("bench-", n)), Department: market, Name: "样例系统", SecretHash: secret,
			})
			if err != nil {
				b.Fatal(err)
			}
			e.At = noon
			r.index++
			batch[i] = state.Log{Index: r.index}
			if batch[i].Data, err = e.Encode(); err != nil {
				b.Fatal(err)
			}
		}
		results, err := r.store.Apply(batch)
		if err != nil || results[0].Err() != nil {
			b.Fatal(err, results[0].Err())
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(64*b.N), "µs/entry")
}
