package evaluation_test

import (
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

// province is a made-up quarter of a province: a node a division, departments and
// resources spread over them, and so many exchanges, each on both sides' records,
// twenty to a row. The same seed gives the same quarter.
func province(departments, resources, exchanges int) *evaluation.Material {
	random := rand.New(rand.NewPCG(1, 2))
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
	for i := range resources {
		v := template
		v.Resource.ID, v.Resource.Provider = bus.ResourceID(fmt.Sprint("r", i)), d.Departments[i%departments].ID
		d.Versions[v.Resource.ID] = []bus.Version{v}
	}
	rows := map[bus.NodeID]map[calendar.Date][]evaluation.Row{}
	put := func(node bus.NodeID, day calendar.Date, row evaluation.Row) {
		if rows[node] == nil {
			rows[node] = map[calendar.Date][]evaluation.Row{}
		}
		rows[node][day] = append(rows[node][day], row)
	}
	days := quarter.Days()
	const toARow = 20
	for range exchanges / toARow {
		r := random.IntN(resources)
		provider, consumer := d.Departments[r%departments].ID, d.Departments[random.IntN(departments)].ID
		row := evaluation.Row{
			About: evaluation.About{Mode: evaluation.ModeInterface, Resource: bus.ResourceID(fmt.Sprint("r", r)), Provider: provider, Consumer: consumer, Outcome: evaluation.Succeeded},
			Count: toARow, Sum: fmt.Sprintf("%032x", random.Uint64()), Latency: evaluation.Latency{0, 15, 5, 0, 0, 0, 0, 0, 0},
		}
		if random.IntN(20) == 0 {
			row.Outcome = evaluation.Failed
		}
		day := days[random.IntN(len(days))]
		row.Side = evaluation.ProviderSide
		put(d.Homes[provider], day, row)
		row.Side, row.Within = evaluation.ConsumerSide, true
		put(d.Homes[consumer], day, row)
	}
	for _, n := range d.Nodes {
		for _, day := range days {
			m.Rollups = append(m.Rollups, evaluation.Rollup{Format: evaluation.RollupFormat, Node: n.ID, Day: day.String(), Rows: rows[n.ID][day]})
		}
	}
	return m
}

// BenchmarkReport makes the report of a quarter of 144 divisions, 600 departments and
// 10,000 resources, with 2, 6 and 20 million exchanges: what one costs stays the same.
func BenchmarkReport(b *testing.B) {
	perExchange := 0.0
	for _, million := range []float64{2, 6, 20} {
		b.Run(fmt.Sprintf("%gM-exchanges", million), func(b *testing.B) {
			exchanges := int(million * 1e6)
			m := province(600, 10_000, exchanges)
			runtime.GC()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			for b.Loop() {
				r := evaluate(b, m, quarter)
				if len(r.Departments) != 600 {
					b.Fatal(len(r.Departments))
				}
			}
			runtime.ReadMemStats(&after)
			each := b.Elapsed().Seconds() / float64(b.N) / float64(exchanges)
			if perExchange == 0 {
				perExchange = each
			}
			b.ReportMetric(each/perExchange, "x-per-exchange")
			b.ReportMetric(float64(before.HeapAlloc)/1e6, "material-MB")
			b.ReportMetric(float64(after.Sys)/1e6, "process-MB")
		})
	}
}

// BenchmarkDerive sums up a day of a node's log as it lies on the disk, against a node
// at full rate: 51,000 events a second in batches of 256 are 600 leaves a second.
func BenchmarkDerive(b *testing.B) {
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
	b.ReportMetric(each*1e6, "µs/leaf")
	b.ReportMetric(each*fullRate*100, "%-of-a-processor")
}
