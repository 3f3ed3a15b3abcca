package evaluation_test

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
	"github.com/gxbus/gxbus/pkg/evaluation"
)

// realtimeEvery: one entry in so many is updated in real time, and has heartbeats.
const realtimeEvery = 10

// province is a made-up quarter of a province: a node a division, departments and
// resources spread over them, three consumers a resource, and so many exchanges, each on
// both sides' records. As everywhere, few resources have most of them (Zipf). The same
// numbers give the same quarter.
func province(departments, resources, exchanges int) *evaluation.Material {
	var rollups evaluation.Rollups
	m := quarterOf(departments, resources, exchanges, func(r evaluation.Rollup) { rollups.Add(r) })
	m.Rollups = rollups
	return m
}

func quarterOf(departments, resources, exchanges int, add func(evaluation.Rollup)) *evaluation.Material {
	random := rand.New(rand.NewPCG(1, 2))
	popular := rand.NewZipf(random, 1.1, 10, uint64(resources-1))
	m := &evaluation.Material{Format: evaluation.MaterialFormat, Cluster: "gd"}
	d := &m.Directory
	d.Days, d.Divisions, d.Versions, d.Homes = calendar.BuiltIn(), bus.Guangdong(), map[bus.ResourceID][]bus.Version{}, map[bus.USCC]bus.NodeID{}
	for _, x := range d.Divisions {
		d.Nodes = append(d.Nodes, bus.Node{ID: bus.NodeID("n" + string(x.Code)), Division: x.Code})
	}
	for i := range departments {
		at := d.Divisions[i%len(d.Divisions)].Code
		id := bus.USCC(fmt.Sprintf("1144%014d", i))
		d.Departments = append(d.Departments, bus.Department{ID: id, Name: fmt.Sprint("样例部门 ", i), Division: at})
		d.Homes[id] = bus.NodeID("n" + string(at))
	}
	template := published(nil)["r"][0]
	ids := make([]bus.ResourceID, resources)
	for i := range resources {
		v := template
		ids[i] = bus.ResourceID(fmt.Sprint("r", i))
		v.Resource.ID, v.Resource.Provider = ids[i], d.Departments[i%departments].ID
		if i%realtimeEvery == 0 {
			realtime(&v)
		}
		d.Versions[ids[i]] = []bus.Version{v}
	}
	type kind struct {
		resource, consumer int
		outcome            evaluation.Outcome
	}
	days := quarter.Days()
	counts := make([]map[kind]int64, len(days))
	for i := range counts {
		counts[i] = map[kind]int64{}
	}
	for range exchanges {
		r := int(popular.Uint64())
		k := kind{r, (r*7 + 1 + random.IntN(3)) % departments, evaluation.Succeeded}
		if random.IntN(20) == 0 {
			k.outcome = evaluation.Failed
		}
		counts[random.IntN(len(days))][k]++
	}
	for i, day := range days {
		rows := map[bus.NodeID][]evaluation.Row{}
		for k, n := range counts[i] {
			provider, consumer := d.Departments[k.resource%departments].ID, d.Departments[k.consumer].ID
			row := evaluation.Row{
				About: evaluation.About{Mode: evaluation.ModeInterface, Resource: ids[k.resource], Provider: provider, Consumer: consumer, Outcome: k.outcome, Side: evaluation.ProviderSide},
				Count: n, Sum: fmt.Sprintf("%032x", uint64(k.resource*1000+k.consumer)+uint64(n)), Latency: evaluation.Latency{0, n, 0, 0, 0, 0, 0, 0, 0},
			}
			rows[d.Homes[provider]] = append(rows[d.Homes[provider]], row)
			row.Side, row.Within = evaluation.ConsumerSide, true
			rows[d.Homes[consumer]] = append(rows[d.Homes[consumer]], row)
		}
		for r := 0; r < resources; r += realtimeEvery {
			provider := d.Departments[r%departments].ID
			rows[d.Homes[provider]] = append(rows[d.Homes[provider]], evaluation.Row{
				About: evaluation.About{Side: evaluation.ProviderSide, Mode: evaluation.ModeHeartbeat, Resource: ids[r], Provider: provider, Outcome: evaluation.Succeeded},
				Count: 24, Events: int64(1440 - r%60), Sum: fmt.Sprintf("%032x", r),
			})
		}
		for _, n := range d.Nodes {
			add(evaluation.Rollup{Format: evaluation.RollupFormat, Node: n.ID, Day: day.String(), Rows: rows[n.ID]})
		}
		counts[i] = nil
	}
	return m
}

// The quarter of the benchmarks: 144 divisions and this, and 2 million exchanges.
const (
	fullDepartments = 600
	fullResources   = 10_000
	fullExchanges   = 2_000_000
)

// BenchmarkEvaluationMemory is what a process has taken from the system that holds the
// quarter and has made its report. It comes first, while nothing else has.
func BenchmarkEvaluationMemory(b *testing.B) {
	const limit = 500 // MB
	m := province(fullDepartments, fullResources, fullExchanges)
	for b.Loop() {
		evaluate(b, m, quarter)
	}
	var memory runtime.MemStats
	runtime.ReadMemStats(&memory)
	taken := float64(memory.Sys-memory.HeapReleased) / 1e6
	b.ReportMetric(taken, "MB")
	b.ReportMetric(limit, "baseline")
	b.ReportMetric(taken/limit, "ratio")
}

// BenchmarkEvaluationReport makes the report of the quarter with its exchanges, three
// and ten times as many: against the limit, and then against what so many should take
// by the first.
func BenchmarkEvaluationReport(b *testing.B) {
	const limit = 10 // seconds
	first := 0.0
	for _, times := range []int{1, 3, 10} {
		b.Run(fmt.Sprint(times, "x"), func(b *testing.B) {
			m := province(fullDepartments, fullResources, times*fullExchanges)
			runtime.GC()
			for b.Loop() {
				if r := evaluate(b, m, quarter); len(r.Departments) != fullDepartments {
					b.Fatal(len(r.Departments))
				}
			}
			took, baseline := b.Elapsed().Seconds()/float64(b.N), float64(limit)
			if times == 1 {
				first = took
			} else {
				baseline = first * float64(times)
			}
			b.ReportMetric(took, "s")
			b.ReportMetric(baseline, "baseline")
			b.ReportMetric(took/baseline, "ratio")
		})
	}
}

// BenchmarkEvaluationLoad reads the quarter's rollups as a node keeps them, in JSON,
// against what a report may take altogether.
func BenchmarkEvaluationLoad(b *testing.B) {
	const limit = 10 // seconds
	var stored [][]byte
	quarterOf(fullDepartments, fullResources, fullExchanges, func(r evaluation.Rollup) {
		data, err := json.Marshal(r)
		if err != nil {
			b.Fatal(err)
		}
		stored = append(stored, data)
	})
	for b.Loop() {
		var read evaluation.Rollups
		if err := read.Read(stored); err != nil {
			b.Fatal(err)
		}
	}
	took := b.Elapsed().Seconds() / float64(b.N)
	b.ReportMetric(took, "s")
	b.ReportMetric(limit, "baseline")
	b.ReportMetric(took/limit, "ratio")
}

// BenchmarkEvaluationRollup sums up a day of a node's log as it lies on the disk, as a
// share of a processor beside a node at full rate: 51,000 events a second in batches of
// 256 are 600 leaves a second.
func BenchmarkEvaluationRollup(b *testing.B) {
	const limit = 5 // %
	db, err := bbolt.Open(filepath.Join(b.TempDir(), "evidence.db"), 0o600, &bbolt.Options{NoSync: true})
	if err != nil {
		b.Fatal(err)
	}
	defer func() {
		if err := db.Close(); err != nil {
			b.Error(err)
		}
	}()
	const leaves, fullRate = 30_000, 600
	var log *audit.Log
	err = db.Update(func(tx *bbolt.Tx) (err error) {
		if log, err = audit.Open(tx, audit.Origin("gd", "gz")); err != nil {
			return err
		}
		at := clock("2026-03-02 00:00")
		var records []audit.Record
		for i := range leaves / 3 {
			at, last := at.Add(time.Duration(i)*time.Millisecond), uint64(i+1)*256
			id := fmt.Sprint("d", i)
			for _, kind := range []audit.Kind{audit.KindAccepted, audit.KindDecision, audit.KindForwarded} {
				r := batch(kind, id, last-255, last, "2026-03-02 00:00")
				r.At = at
				records = append(records, r)
			}
		}
		_, err = log.Append(tx, records...)
		return err
	})
	if err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		err := db.View(func(tx *bbolt.Tx) error {
			_, err := evaluation.Derive("gz", log.Records(tx, 0, leaves), []calendar.Date{calendar.DateOf(oneDay.From)})
			return err
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	each := b.Elapsed().Seconds() / float64(b.N) / leaves
	share := each * fullRate * 100
	b.ReportMetric(share, "%")
	b.ReportMetric(limit, "baseline")
	b.ReportMetric(share/limit, "ratio")
}
