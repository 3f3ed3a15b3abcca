package main_test

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/gxbus/gxbus/node/sample"
)

const (
	bulkEntries = 100_000
	bulkTarget  = 5000 // entries a second
)

// BenchmarkBulkImport measures entries a second from a file of JSON Lines, by the
// program, into three voters on this machine: read, checked, sent, replicated,
// acknowledged. Its baseline is the target.
func BenchmarkBulkImport(b *testing.B) {
	dir := b.TempDir()
	p := newImporting(b, dir)
	_, err := p.admin.Departments().Put(p.ctx, sample.ProvinceData)
	must(b, err)
	file, account := filepath.Join(dir, "generated.jsonl"), filepath.Join(dir, "account.json")
	generate(b, file, bulkEntries)
	b.ResetTimer()
	begun := time.Now()
	for b.Loop() { // the first run is measured: a second one would find all of it there
		p.ok("resource", "import", file, "--report", account)
		rate := bulkEntries / time.Since(begun).Seconds()
		if r := p.account(account); r.Created != bulkEntries {
			b.Fatalf("%+v", r.Totals())
		}
		b.ReportMetric(rate, "entries/s")
		b.ReportMetric(bulkTarget, "baseline")
		b.ReportMetric(rate/bulkTarget, "ratio")
	}
}
