package policy_test

import (
	"context"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/policy"
)

// compared reports a value, what it is held against, and their ratio.
func compared(b *testing.B, unit string, value, baseline float64) {
	b.ReportMetric(value, unit)
	b.ReportMetric(baseline, "baseline")
	b.ReportMetric(value/baseline, "ratio")
}

func micros(d time.Duration) float64 { return float64(d) / float64(time.Microsecond) }

// BenchmarkBatchDecision measures what one event of a batch of 256 costs to decide
// on; ratio is to a decision about one event alone.
func BenchmarkBatchDecision(b *testing.B) {
	const events = 256
	for name, rules := range map[string]string{
		"unread":    deny("x", `input.purpose == "nothing"`),
		"attribute": deny("x", `input.event.type == "nothing"`),
		"whole":     deny("x", `some v in input.event; v == "nothing"`),
	} {
		b.Run(name, func(b *testing.B) {
			e, in := newEngine(b, layerOf(b, city, 1, rules)), forward()
			event := func(i int) policy.Event {
				return policy.Event{"id": strconv.Itoa(i), "type": "cn.gov.sample.firm.registered.v1", "source": "/systems/register"}
			}
			for b.Loop() {
				if d, alike := e.DecideEvents(b.Context(), in, events, event); !d.Allow || alike != events {
					b.Fatalf("denied for %q, %d alike", codes(d), alike)
				}
			}
			batch := b.Elapsed() / time.Duration(b.N*events)
			b.StopTimer()
			in.Event = event(0)
			start := time.Now()
			for range b.N {
				e.Decide(b.Context(), in)
			}
			compared(b, "µs", micros(batch), micros(time.Since(start))/float64(b.N))
		})
	}
}

// window is for how long decisions are watched.
const window = 3 * time.Second

// latencies takes decisions on in, one after another, for a time.
func latencies(b testing.TB, e *policy.Engine, in policy.Input, length time.Duration) (took []time.Duration) {
	b.Helper()
	for start := time.Now(); time.Since(start) < length; {
		began := time.Now()
		d := e.Decide(b.Context(), in)
		took = append(took, time.Since(began))
		if !d.Allow {
			b.Fatalf("denied for %q", codes(d))
		}
	}
	slices.Sort(took)
	return took
}

func part(sorted []time.Duration, q float64) time.Duration {
	return sorted[int(q*float64(len(sorted)-1))]
}

// BenchmarkLayerActivation measures decisions while layers are activated one after
// another beside them, five a second; ratio is to the same decisions while none is.
func BenchmarkLayerActivation(b *testing.B) {
	for name, quantile := range map[string]float64{"decision-median": 0.5, "decision-p99": 0.99} {
		b.Run(name, func(b *testing.B) {
			var quiet, busy time.Duration
			for range b.N {
				e := newEngine(b, layerOf(b, city, 1, `items := ["name"]`))
				quiet += part(latencies(b, e, forward(), window), quantile)
				stop := make(chan struct{})
				var loading sync.WaitGroup
				loading.Go(func() {
					tick := time.NewTicker(200 * time.Millisecond)
					defer tick.Stop()
					for revision := bus.Revision(2); ; revision++ {
						select {
						case <-tick.C:
							e.Load([]bus.Layer{layerOf(b, city, revision, `items := ["name"]`+"\n"+deny("x", `input.purpose == "nothing"`))})
						case <-stop:
							return
						}
					}
				})
				busy += part(latencies(b, e, forward(), window), quantile)
				close(stop)
				loading.Wait()
			}
			compared(b, "µs", micros(busy)/float64(b.N), micros(quiet)/float64(b.N))
		})
	}
}

// bombard has four callers set a bomb off over and over, until it is stopped.
func bombard(e *policy.Engine) (stop func()) {
	stopped := make(chan struct{})
	var bombing sync.WaitGroup
	for range 4 {
		bombing.Go(func() {
			for {
				e.Decide(context.Background(), forward())
				select {
				case <-stopped:
					return
				case <-time.After(10 * time.Millisecond):
				}
			}
		})
	}
	return func() {
		close(stopped)
		bombing.Wait()
	}
}

// BenchmarkCostBomb measures decisions that a bomb does not apply to, while four
// callers set it off over and over from its activation on; ratio is to the same
// decisions without it. Beside it, how late the bomb's first caller is denied; ratio is
// to the deadline.
func BenchmarkCostBomb(b *testing.B) {
	const deadline = 200 * time.Millisecond
	engine := func(b *testing.B) *policy.Engine {
		e, err := policy.New(policy.Options{Deadline: deadline, CompileLimit: patient})
		if err != nil {
			b.Fatal(err)
		}
		e.Load(nil)
		return e
	}
	bombs := []bus.Layer{layerOf(b, city, 1, bomb("input.version == 1"))}
	elsewhere := with(func(in *policy.Input) { in.Consumer = in.Provider })
	b.Run("others-p99", func(b *testing.B) {
		var quiet, busy time.Duration
		for range b.N {
			e := engine(b)
			quiet += part(latencies(b, e, elsewhere, window), 0.99)
			e.Load(bombs)
			stop := bombard(e)
			busy += part(latencies(b, e, elsewhere, 2*window), 0.99)
			stop()
		}
		compared(b, "µs", micros(busy)/float64(b.N), micros(quiet)/float64(b.N))
	})
	b.Run("denied-after", func(b *testing.B) {
		var took time.Duration
		for range b.N {
			e := engine(b)
			e.Load(bombs)
			start := time.Now()
			if d := e.Decide(b.Context(), forward()); d.Allow {
				b.Fatal("it is allowed")
			}
			took += time.Since(start)
		}
		compared(b, "ms", micros(took)/1000/float64(b.N), micros(deadline)/1000)
	})
}
