package policy_test

import (
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/open-policy-agent/opa/v1/ast"
	"github.com/open-policy-agent/opa/v1/rego"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/policy"
)

// BenchmarkDecisionLatency measures a decision; ratio is to OPA alone, evaluating the
// same modules with a query prepared once and an input parsed once.
func BenchmarkDecisionLatency(b *testing.B) {
	samples, err := policy.Samples()
	if err != nil {
		b.Fatal(err)
	}
	four := append(samples, layerOf(b, "division/440300", 1, deny("x", `input.purpose == "nothing"`)),
		layerOf(b, "division/440106", 1, deny("x", `input.purpose == "nothing"`)))
	for name, layers := range map[string][]bus.Layer{"base": nil, "base-plus-four": four} {
		b.Run(name, func(b *testing.B) {
			e, in := newEngine(b, layers...), forward()
			bare := bareOPA(b, layers, in)
			if d := e.Decide(b.Context(), in); !d.Allow {
				b.Fatalf("denied for %q", codes(d))
			}
			b.ReportAllocs()
			for b.Loop() {
				e.Decide(b.Context(), in)
			}
			mine := b.Elapsed() / time.Duration(b.N)
			b.StopTimer()
			start := time.Now()
			for range b.N {
				bare()
			}
			opa := time.Since(start) / time.Duration(b.N)
			b.ReportMetric(float64(mine)/float64(time.Microsecond), "µs")
			b.ReportMetric(float64(opa)/float64(time.Microsecond), "baseline")
			b.ReportMetric(float64(mine)/float64(opa), "ratio")
		})
	}
}

func bareOPA(b *testing.B, layers []bus.Layer, in policy.Input) func() {
	base, err := policy.Base()
	if err != nil {
		b.Fatal(err)
	}
	input, err := ast.InterfaceToValue(in)
	if err != nil {
		b.Fatal(err)
	}
	var queries []rego.PreparedEvalQuery
	for _, l := range append([]bus.Layer{base}, layers...) {
		pkg, _ := policy.LayerPackage(l.ID)
		options := []func(*rego.Rego){rego.Query("data." + pkg)}
		for file, text := range l.Modules {
			if len(file) < 10 || file[len(file)-10:] != "_test.rego" {
				options = append(options, rego.Module(file, text))
			}
		}
		q, err := rego.New(options...).PrepareForEval(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		queries = append(queries, q)
	}
	return func() {
		for _, q := range queries {
			if _, err := q.Eval(b.Context(), rego.EvalParsedInput(input)); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkLoad measures one layer's way from text to use.
func BenchmarkLoad(b *testing.B) {
	e := newEngine(b)
	revision := bus.Revision(0)
	for b.Loop() {
		revision++
		e.Load([]bus.Layer{layerOf(b, city, revision, deny("x", `input.purpose == "nothing"`))})
	}
}

// BenchmarkDecisionBesideManyLayers measures a decision while 200 layers are loaded
// of which none applies; ratio is to one with the base layer only.
func BenchmarkDecisionBesideManyLayers(b *testing.B) {
	var others []bus.Layer
	for n := range 200 {
		others = append(others, layerOf(b, bus.LayerID(fmt.Sprintf("division/44%04d", 5000+n)), 1, deny("x", `input.purpose == "nothing"`)))
	}
	before := heap()
	many, in := newEngine(b, others...), forward()
	held := heap() - before
	alone := newEngine(b)
	for b.Loop() {
		many.Decide(b.Context(), in)
	}
	mine := b.Elapsed() / time.Duration(b.N)
	b.StopTimer()
	start := time.Now()
	for range b.N {
		alone.Decide(b.Context(), in)
	}
	bare := time.Since(start) / time.Duration(b.N)
	b.ReportMetric(float64(mine)/float64(time.Microsecond), "µs")
	b.ReportMetric(float64(bare)/float64(time.Microsecond), "baseline")
	b.ReportMetric(float64(mine)/float64(bare), "ratio")
	b.ReportMetric(float64(held)/(1<<20), "MiB")
	runtime.KeepAlive(many)
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
