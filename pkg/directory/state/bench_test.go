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

// BenchmarkApplyImport measures what a replica does with an entry of an import of
// new drafts, a few hundred of them a log entry.
func BenchmarkApplyImport(b *testing.B) {
	const rows = 300
	r := newWorld(b)
	n := 0
	for b.Loop() {
		var body command.Import
		for range rows {
			n++
			body.Drafts = append(body.Drafts, bus.DraftContent{
				Resource: imported(n), Clearance: bus.Clearance{SecrecyReview: "样例保审〔2026〕1号", Consent: "样例签批〔2026〕1号"},
			})
		}
		e, err := command.New(command.DraftImport, bySysadmin, fmt.Sprint("request-", n), 0, body)
		if err != nil {
			b.Fatal(err)
		}
		e.At = noon
		data, err := e.Encode()
		if err != nil {
			b.Fatal(err)
		}
		r.index++
		results, err := r.store.Apply([]state.Log{{Index: r.index, Data: data}})
		if err != nil || len(results[0].Rows) != rows || results[0].Rows[0].Outcome != bus.OutcomeCreated {
			b.Fatalf("%+v: %v", results, err)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Microseconds())/float64(rows*b.N), "µs/row")
}

// imported is a made-up entry of about a kilobyte.
func imported(n int) bus.Resource {
	res := bus.Resource{
		Codes: []bus.ResourceCode{bus.ResourceCode(fmt.Sprintf("3%02d%03d/%08d", n%90+10, n%997, n))}, Name: fmt.Sprintf("样例信息%06d", n),
		Abstract: "事项、对象、决定和有效期（样例）", Provider: market, Format: "database", Class: "综合政务",
		Sharing: bus.Sharing{Type: bus.Unconditional}, Modes: []string{"batch"}, Open: "yes", UpdateCycle: "daily",
	}
	for _, item := range []string{"number", "holder", "matter", "decided", "valid_from", "valid_to", "authority"} {
		res.Items = append(res.Items, bus.Item{ID: bus.ItemID(item), Name: "信息项" + item, Type: "C", Length: 200, Grade: 1, Open: true})
	}
	return res
}
