package exchange_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/policy"
)

// BenchmarkDecisionBesideManyGrants measures a decision on forwarding, read from the
// directory and decided, with 20,000 grants in the directory and 200 layers loaded;
// ratio is to the same with one grant and the base layer. The heap that grants and
// layers take is told beside it.
func BenchmarkDecisionBesideManyGrants(b *testing.B) {
	alone := newWorld(b, engine(b))
	alone.subscribe(sub, puller)
	before := heap()
	e := engine(b)
	many := newWorld(b, e)
	many.subscribe(sub, puller)
	many.grants(b, 20_000)
	var layers []bus.Layer
	for n := range 200 {
		id := bus.LayerID(fmt.Sprintf("division/44%04d", 5000+n))
		pkg, _ := policy.LayerPackage(id)
		layers = append(layers, bus.Layer{ID: id, Revision: 1, Modules: map[string]string{
			"rules.rego": "package " + pkg + "\ndeny contains {\"code\": \"x\", \"zh\": \"示例\", \"en\": \"a sample\"} if input.purpose == \"nothing\"\n"}})
	}
	e.Load(layers)
	held := heap() - before
	decide := func(w *world) time.Duration {
		start := time.Now()
		d, err := w.provider().DecideForward(b.Context(), sub)
		must(b, err)
		if !d.Allow {
			b.Fatalf("denied: %+v", d.Reasons)
		}
		return time.Since(start)
	}
	var ours, bare time.Duration
	for b.Loop() { // by turns: a busy machine is busy for both
		ours += decide(many)
		bare += decide(alone)
	}
	b.ReportMetric(float64(ours)/float64(b.N)/float64(time.Microsecond), "µs")
	b.ReportMetric(float64(bare)/float64(b.N)/float64(time.Microsecond), "baseline")
	b.ReportMetric(float64(ours)/float64(bare), "ratio")
	b.ReportMetric(float64(held)/(1<<20), "MiB")
	runtime.KeepAlive(e)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// grants adds n grants like the one that is there.
func (w *world) grants(b *testing.B, n int) {
	b.Helper()
	w.directory.log.Lock()
	defer w.directory.log.Unlock()
	applied, _ := w.directory.Applied()
	var log []state.Log
	var like bus.Grant
	must(b, w.directory.View(func(tx *state.Tx) error { like, _ = tx.Grant(grant); return nil }))
	for i := range n {
		e, err := command.New(command.GrantPut, secadmin, "", 0, bus.Grant{
			ID: bus.GrantID(fmt.Sprintf("grant-n-%d", i)), Agreement: like.Agreement, Resource: like.Resource, Consumer: like.Consumer,
			Purposes: like.Purposes, Items: like.Items, NotBefore: like.NotBefore, NotAfter: like.NotAfter,
		})
		must(b, err)
		e.At, e.Node = w.clock.now(), shenzhen
		data, err := e.Encode()
		must(b, err)
		log = append(log, state.Log{Index: uint64(applied) + 1 + uint64(i), Data: data})
		if len(log) == 1000 || i == n-1 {
			results, err := w.directory.Apply(log)
			must(b, err)
			for _, r := range results {
				must(b, r.Err())
			}
			log = nil
		}
	}
}
