package evaluation

import (
	"cmp"
	"fmt"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/calendar"
)

// Rollups are those that a report is made of, packed: a province's quarter has millions
// of rows, about some hundred thousand things. Latencies are left out, for no figure
// needs them; the digest of each rollup stays.
type Rollups struct {
	list   []packed
	abouts []About
	known  map[About]int32
}

// packed is a rollup but for what no report needs.
type packed struct {
	node     bus.NodeID
	day      calendar.Date
	text     string // the day
	from, to int64
	digest   string
	rows     []packedRow
}

type packedRow struct {
	about  int32 // in abouts
	count  int64
	events int64
	names  identity
}

// row is one of a rollup, unpacked.
type row struct {
	*About
	at            int32 // of About
	count, events int64
	names         identity
}

// Add adds rollups, in any order; one of a day may be there twice.
func (x *Rollups) Add(rollups ...Rollup) {
	for i := range rollups {
		x.add(&rollups[i], rollups[i].Digest())
	}
}

// Read adds rollups from their JSON, on all processors: to read them takes longest of a
// report.
func (x *Rollups) Read(stored [][]byte) error {
	var next atomic.Int64
	var adding sync.Mutex
	var failed error
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := next.Add(1) - 1; i < int64(len(stored)); i = next.Add(1) - 1 {
				r, err := DecodeRollup(stored[i])
				digest := r.Digest()
				adding.Lock()
				if x.add(&r, digest); err != nil {
					failed = err
				}
				adding.Unlock()
			}
		})
	}
	workers.Wait()
	return failed
}

func (x *Rollups) add(r *Rollup, digest string) {
	p := packed{node: r.Node, text: r.Day, from: r.From, to: r.To, digest: digest, rows: make([]packedRow, len(r.Rows))}
	p.day, _ = calendar.ParseDate(r.Day) // what is no day is in no window
	if x.known == nil {
		x.known = map[About]int32{}
	}
	for i := range r.Rows {
		from := &r.Rows[i]
		about, ok := x.known[from.About]
		if !ok {
			about = int32(len(x.abouts))
			x.abouts, x.known[from.About] = append(x.abouts, from.About), about
		}
		names, _ := readIdentity(from.Sum)
		p.rows[i] = packedRow{about, from.Count, from.Events, names}
	}
	x.list = append(x.list, p)
}

// each gives the rows of a rollup; what it gives is good until the next.
func (x *Rollups) each(p *packed, do func(*row)) {
	var r row
	for i := range p.rows {
		from := &p.rows[i]
		r = row{&x.abouts[from.about], from.about, from.count, from.events, from.names}
		do(&r)
	}
}

// used names the rollups.
func (x *Rollups) used() []RollupUsed {
	named := make([]RollupUsed, len(x.list))
	for i, p := range x.list {
		named[i] = RollupUsed{p.node, p.text, p.digest}
	}
	return named
}

// settle puts the rollups in order, and takes what is there twice once. Two of one node
// about one day that differ cannot both be true.
func (x *Rollups) settle() error {
	slices.SortFunc(x.list, func(a, b packed) int { return cmp.Or(cmp.Compare(a.node, b.node), cmp.Compare(a.text, b.text)) })
	var conflict error
	x.list = slices.CompactFunc(x.list, func(a, b packed) bool {
		if a.node != b.node || a.text != b.text {
			return false
		}
		if a.digest != b.digest && conflict == nil {
			conflict = bus.E(bus.CodeEvidence, bus.Defect{
				Field: "rollups", Problem: bus.Text{ZH: fmt.Sprintf("节点 %s 在 %s 有两份不同的日汇总", a.node, a.text), EN: fmt.Sprintf("node %s has two different rollups of %s", a.node, a.text)},
			})
		}
		return true
	})
	return conflict
}

// keep drops the rollups that are not to be kept.
func (x *Rollups) keep(node func(p *packed) bool) {
	x.list = slices.DeleteFunc(x.list, func(p packed) bool { return !node(&p) })
}
