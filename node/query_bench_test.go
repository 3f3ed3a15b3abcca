package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/binding"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// BenchmarkQueryCrossNode measures queries from one node's process through another's
// to a provider's HTTP service, decided on, masked and on record at both. With one
// caller it tells how much the median takes longer than asking the service directly,
// against 3 ms; with more, queries a second against asking it directly. One that
// fails fails the benchmark.
func BenchmarkQueryCrossNode(b *testing.B) {
	x := newInquiring(newCrossing(b, pair()...))
	for _, callers := range []int{1, 64, 1000} {
		b.Run(fmt.Sprint(callers), func(b *testing.B) {
			total := max(2000, 2*callers)
			for b.Loop() {
				direct, alone := x.measure(b, callers, total, x.direct)
				through, rate := x.measure(b, callers, total, x.query)
				if callers == 1 {
					added := float64(through-direct) / float64(time.Millisecond)
					b.ReportMetric(added, "ms")
					b.ReportMetric(3, "baseline")
					b.ReportMetric(added/3, "ratio")
					continue
				}
				b.ReportMetric(rate, "queries/s")
				b.ReportMetric(alone, "baseline")
				b.ReportMetric(rate/alone, "ratio")
			}
		})
	}
}

// inquiring is a provider's service, its node and the node of one who asks.
type inquiring struct {
	ctx      context.Context
	service  *httptest.Server
	consumer *client.Client
	grant    bus.GrantID
	web      *http.Client
}

func newInquiring(c *crossing) *inquiring {
	b := c.b
	b.Helper()
	x := &inquiring{ctx: context.Background(), web: &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 64, MaxConnsPerHost: 64}}}
	x.service = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		fmt.Fprintf(w, `[{"uscc":%q,"enterprise_name":"样例企业","phone":"19900000001","legal_representative_id":%q}]`, r.URL.Query().Get("uscc"), sample.IDNumber(1))
	}))
	b.Cleanup(x.service.Close)
	x.grant = c.grant(sample.GuangzhouHealth)
	_, err := c.system(sample.ShenzhenMarket).PutBinding(x.ctx, binding.Binding{Resource: c.resource.ID, HTTP: &binding.HTTP{URL: x.service.URL}})
	must(b, err)
	x.consumer = c.system(sample.GuangzhouHealth)
	must(b, fleet.Until(x.ctx, "the grant to be known", func(context.Context) error { return x.query(0) }))
	return x
}

func (x *inquiring) query(n int) error {
	answer, err := x.consumer.Query(x.ctx, "enterprise-registration", client.Query{
		Grant: x.grant, Purpose: bus.PurposeVerification, Matter: "440106001000", Case: fmt.Sprint("case-", n), Parameters: json.RawMessage(`{"uscc":"x"}`),
	})
	if err == nil && answer.Rows != 1 {
		err = fmt.Errorf("%d rows", answer.Rows)
	}
	return err
}

func (x *inquiring) direct(int) error {
	response, err := x.web.Get(x.service.URL + "?uscc=x")
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return err
}

// measure has callers ask a total of times, and returns the median and the rate.
func (x *inquiring) measure(b *testing.B, callers, total int, ask func(int) error) (median time.Duration, rate float64) {
	b.Helper()
	took := make([]time.Duration, total)
	var next atomic.Int64
	var work sync.WaitGroup
	begun := time.Now()
	for range callers {
		work.Go(func() {
			for n := int(next.Add(1)) - 1; n < total; n = int(next.Add(1)) - 1 {
				at := time.Now()
				if err := ask(n); err != nil {
					b.Errorf("of %d callers: %v", callers, err)
					return
				}
				took[n] = time.Since(at)
			}
		})
	}
	work.Wait()
	rate = float64(total) / time.Since(begun).Seconds()
	slices.Sort(took)
	return took[total/2], rate
}
