package exchange_test

import (
	"context"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	cloudevent "github.com/cloudevents/sdk-go/v2/event"
	"go.etcd.io/bbolt"

	"github.com/gxbus/gxbus/pkg/event"
	"github.com/gxbus/gxbus/pkg/exchange"
)

const (
	benchPublishers = 8
	benchBatch      = 100
	benchSize       = 1 << 10 // bytes of an event
)

// BenchmarkDurablePublish publishes batches of 100 events of 1 KiB from 8
// publishers at once: decided on, stored, fsynced, with evidence. The baseline
// is bbolt alone, given the same bytes in as many, equally grouped commits.
func BenchmarkDurablePublish(b *testing.B) {
	w := newWorld(b, engine(b))
	x := w.provider().Exchange
	template := benchEvent(b)
	b.ResetTimer()
	inParallel(b, func(round int) error {
		_, err := x.Publish(context.Background(), publisher, "", firms, benchEvents(template, round))
		return err
	})
	ours := float64(b.N*benchBatch) / b.Elapsed().Seconds()
	b.StopTimer()
	raw := rawRate(b, template)
	b.ReportMetric(ours, "events/s")
	b.ReportMetric(raw, "baseline")
	b.ReportMetric(ours/raw, "ratio")
}

// inParallel does b.N rounds from as many goroutines as there are publishers.
func inParallel(b *testing.B, do func(round int) error) {
	b.Helper()
	var next atomic.Int64
	var wg sync.WaitGroup
	for range benchPublishers {
		wg.Go(func() {
			for round := next.Add(1); round <= int64(b.N); round = next.Add(1) {
				if err := do(int(round)); err != nil {
					b.Error(err)
					return
				}
			}
		})
	}
	wg.Wait()
}

func benchEvent(b *testing.B) cloudevent.Event {
	b.Helper()
	e := sample(0)
	bare, err := event.Marshal(e)
	must(b, err)
	padding := strings.Repeat("x", benchSize-len(bare)-len(`,"scope":""`))
	data := strings.TrimSuffix(string(e.Data()), "}") + `,"scope":"` + padding + `"}`
	must(b, e.SetData("application/json", []byte(data)))
	return e
}

// benchEvents makes a round's events; they share the data.
func benchEvents(template cloudevent.Event, round int) []cloudevent.Event {
	events := make([]cloudevent.Event, benchBatch)
	for i := range events {
		attributes := *template.Context.(*cloudevent.EventContextV1)
		attributes.ID = strconv.Itoa(round*benchBatch + i)
		events[i] = template
		events[i].Context = &attributes
	}
	return events
}

func rawRate(b *testing.B, template cloudevent.Event) float64 {
	b.Helper()
	store, err := exchange.OpenStore(filepath.Join(b.TempDir(), "raw.db"), func(err error) { b.Error(err) })
	must(b, err)
	defer func() { must(b, store.Close()) }()
	data, err := event.Marshal(template)
	must(b, err)
	b.ResetTimer()
	b.StartTimer()
	inParallel(b, func(int) error {
		return store.Commit(context.Background(), func(tx *bbolt.Tx) error {
			bucket := tx.Bucket([]byte("events"))
			bucket.FillPercent = 1
			for range benchBatch {
				n, err := bucket.NextSequence()
				if err != nil {
					return err
				}
				if err := bucket.Put(fmt.Appendf(nil, "%08d", n), data); err != nil {
					return err
				}
			}
			return nil
		})
	})
	b.StopTimer()
	return float64(b.N*benchBatch) / b.Elapsed().Seconds()
}

// BenchmarkDepartmentMove moves a department with 20,000 events of 1 KiB between
// two nodes of this process: sealed, counted, copied in chunks that are fsynced,
// read back and compared. The baseline is bbolt alone, given the same events in
// commits of the same size.
func BenchmarkDepartmentMove(b *testing.B) {
	const events = 20_000
	w, _ := movable(b)
	template := benchEvent(b)
	for round := range events / benchBatch {
		_, err := w.provider().Publish(context.Background(), publisher, "", firms, benchEvents(template, round))
		must(b, err)
	}
	b.ResetTimer()
	from, to := shenzhen, zhuhai
	for range b.N {
		w.move(market, to)
		w.moved(market, from, to)
		from, to = to, from
	}
	ours := float64(b.N*events) / b.Elapsed().Seconds()
	b.StopTimer()
	raw := rawCopy(b, template, events)
	b.ReportMetric(ours, "events/s")
	b.ReportMetric(raw, "baseline")
	b.ReportMetric(ours/raw, "ratio")
}

// rawCopy puts events into a file, a MiB a commit.
func rawCopy(b *testing.B, template cloudevent.Event, events int) float64 {
	b.Helper()
	store, err := exchange.OpenStore(filepath.Join(b.TempDir(), "raw.db"), func(err error) { b.Error(err) })
	must(b, err)
	defer func() { must(b, store.Close()) }()
	data, err := event.Marshal(template)
	must(b, err)
	began := time.Now()
	for done := 0; done < events; {
		must(b, store.Commit(context.Background(), func(tx *bbolt.Tx) error {
			bucket := tx.Bucket([]byte("events"))
			bucket.FillPercent = 1
			for size := 0; size < 1<<20; size += len(data) {
				if err := bucket.Put(fmt.Appendf(nil, "%08d", done), data); err != nil {
					return err
				}
				done++
			}
			return nil
		}))
	}
	return float64(events) / time.Since(began).Seconds()
}
