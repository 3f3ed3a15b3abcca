package directory_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

func TestWatchYieldsEachChangeOnceAndWaitsForMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g := newGroup(t, "gz")
		d := g.join("gz")
		g.must(d.Write(t.Context(), initEntry(t)))
		ctx, cancel := context.WithCancel(t.Context())
		seen, ended := make(chan state.Batch, 10), make(chan error, 1)
		go func() {
			for batch, err := range d.Watch(ctx, 0, state.Nodes) {
				if err != nil {
					ended <- err
					return
				}
				seen <- batch
			}
		}()
		batch := <-seen
		if len(batch.Changes) != 1 || batch.Changes[0].Key != "gz" || batch.Through != 1 {
			t.Errorf("first: %+v", batch)
		}
		synctest.Wait()
		select {
		case batch := <-seen:
			t.Errorf("nothing was written: %+v", batch)
		default:
		}
		g.must(d.Write(t.Context(), tickEntry(t)))
		if batch := <-seen; batch.Changes != nil || batch.Through != 2 {
			t.Errorf("of an entry that changes nothing: %+v", batch)
		}
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Error(err)
		}
	})
}

func TestWatchEndsWhereTheReaderStops(t *testing.T) {
	g := newGroup(t, "gz")
	d := g.join("gz")
	g.must(d.Write(t.Context(), initEntry(t)))
	for batch, err := range d.Watch(t.Context(), 0) {
		if err != nil || batch.Through != 1 {
			t.Error(batch, err)
		}
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	batch, err := d.Changes(ctx, bus.Revision(1))
	if batch.Through != 1 || !errors.Is(err, context.Canceled) {
		t.Errorf("%+v, %v", batch, err)
	}
}
