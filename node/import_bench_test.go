package main_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// What a catalogue of a hundred thousand entries is to take.
const (
	importTarget  = 5000 // entries a second
	searchTarget  = 20   // ms
	restartTarget = 10   // s
	memoryTarget  = 600  // MB
	seedTarget    = 60   // s

	searchableTarget = 90 // s
	searches         = 400
)

// BenchmarkCatalogue fills three voters on this machine with generated entries by
// the program, then measures what living with them costs: entries a second on the
// way in (read, checked, sent, replicated, acknowledged), when every node finds them all, the 99th percentile of
// searches with facets, a start after a kill until it is ready and its search whole,
// resident memory then, and how long an empty node takes to hold it all, from a
// snapshot and the end of the log; of few entries, from the log.
//
// GXBUS_CATALOGUE lists the sizes, 100000 where it is not set.
func BenchmarkCatalogue(b *testing.B) {
	sizes := os.Getenv("GXBUS_CATALOGUE")
	if sizes == "" {
		sizes = "100000"
	}
	for size := range strings.SplitSeq(sizes, ",") {
		entries, err := strconv.Atoi(size)
		must(b, err)
		b.Run(size, func(b *testing.B) {
			for b.Loop() {
				for _, m := range catalogue(b, entries) {
					b.Run(m.name, func(b *testing.B) {
						for b.Loop() {
							b.ReportMetric(m.value, m.unit)
							b.ReportMetric(m.target, "baseline")
							b.ReportMetric(m.value/m.target, "ratio")
						}
					})
				}
			}
		})
	}
}

// snapshotted is a number of entries that makes the log so long that a snapshot is taken
// and its begin goes (ADR 0028). Of many fewer an empty node gets all from the log.
const snapshotted = 100_000

type measured struct {
	name, unit    string
	value, target float64
}

func catalogue(b *testing.B, entries int) []measured {
	b.Helper()
	dir := b.TempDir()
	p := newImporting(b, dir)
	_, err := p.admin.Departments().Put(p.ctx, sample.ProvinceData)
	must(b, err)
	file, account := filepath.Join(dir, "generated.jsonl"), filepath.Join(dir, "account.json")
	generate(b, file, entries)

	begun := time.Now()
	p.ok("resource", "import", file, "--report", account)
	rate := float64(entries) / time.Since(begun).Seconds()
	if r := p.account(account); r.Created != entries {
		b.Fatalf("%+v", r.Totals())
	}
	for _, n := range p.Nodes() {
		p.whole(b, n, entries)
	}
	searchable := time.Since(begun)
	p99 := p.searching(b)

	follower := p.Nodes()[2]
	must(b, follower.Kill())
	begun = time.Now()
	must(b, follower.Start())
	p.whole(b, follower, entries)
	restart := time.Since(begun)
	memory, err := statusMB(follower.PID(), "VmRSS")
	must(b, err)

	if entries >= snapshotted {
		p.trimmed()
	}
	begun = time.Now()
	empty, err := p.Grow(p.ctx, p.admin, fleet.Spec{ID: "tianhe", Division: "440106"})
	must(b, err)
	p.whole(b, empty, entries)
	seed := time.Since(begun)
	return []measured{
		{"import", "entries/s", rate, importTarget},
		{"searchable", "s", searchable.Seconds(), searchableTarget},
		{"search-p99", "ms", p99.Seconds() * 1e3, searchTarget},
		{"restart", "s", restart.Seconds(), restartTarget},
		{"memory", "MB", memory, memoryTarget},
		{"seed", "s", seed.Seconds(), seedTarget},
	}
}

// drafts finds what was imported.
var drafts = client.ResourceQuery{States: []bus.EntryState{bus.StateDraft}, Limit: 20}

// whole waits until a node finds all entries.
func (p *importing) whole(b testing.TB, n *fleet.Node, entries int) {
	b.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, 10*time.Minute)
	defer cancel()
	var admin *client.Client
	for {
		err := fleet.Until(ctx, "the node to find every entry", func(ctx context.Context) (err error) {
			if admin == nil {
				if admin, err = p.SignIn(ctx, n, "sysadmin"); err != nil {
					return err
				}
			}
			page, err := admin.Search(ctx, drafts)
			if err == nil && (!page.Complete || page.Total != entries) {
				err = fmt.Errorf("%d of %d, complete %v", page.Total, entries, page.Complete)
			}
			return err
		})
		if err == nil {
			return
		}
		if ctx.Err() != nil || errors.Is(err, context.Canceled) {
			b.Fatal(err)
		}
	}
}

// searching gives the 99th percentile of searches of several kinds, one after
// another.
func (p *importing) searching(b *testing.B) time.Duration {
	b.Helper()
	took := make([]time.Duration, searches)
	for i := range took {
		q := drafts
		q.Facets = []string{"division", "provider", "sharing", "format", "update_cycle", "library"}
		q.Words = []string{"许可", "行政许可", fmt.Sprintf("%06d", i*7), "有效期 决定", ""}[i%5]
		begun := time.Now()
		_, err := p.admin.Search(p.ctx, q)
		took[i] = time.Since(begun)
		must(b, err)
	}
	slices.Sort(took)
	return took[searches*99/100]
}
