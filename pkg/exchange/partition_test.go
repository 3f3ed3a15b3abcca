package exchange_test

import (
	"context"
	"errors"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	cloudevent "github.com/cloudevents/sdk-go/v2/event"

	"github.com/gxbus/gxbus/pkg/exchange"
	"github.com/gxbus/gxbus/pkg/webhook"
)

// keyed makes events of a partition: their ids tell it, and their place in it.
func keyed(partition, first, last int) []cloudevent.Event {
	events := run(1000*partition+first, 1000*partition+last)
	for i := range events {
		events[i].SetExtension("partitionkey", strconv.Itoa(partition))
	}
	return events
}

// Several publish at once, each the events of one partition in their order; batches and
// answers are lost, a node starts anew, and the sink fails: the order of each partition
// is kept up to the end, by pull and by webhook.
func TestTheOrderOfAPartitionIsThatOfItsPublisher(t *testing.T) {
	const partitions, each = 3, 40
	w, _ := fake(t)
	var sent, answered, asked atomic.Int64
	lost := func(n *atomic.Int64) func(context.Context, exchange.Batch) error {
		return func(context.Context, exchange.Batch) error {
			if n.Add(1)%3 == 0 {
				return errLine
			}
			return nil
		}
	}
	w.line.hook(lost(&sent), lost(&answered))
	w.sinks.follow(func([]int) (webhook.Answer, error) {
		if asked.Add(1)%3 == 0 {
			return webhook.Answer{}, errors.New("cut")
		}
		return webhook.Answer{Status: 200}, nil
	})
	w.subscribe(sub, puller)
	w.put(nil)
	w.subscribe("sub-2", puller)
	var publishing sync.WaitGroup
	for p := range partitions {
		publishing.Go(func() {
			for n := 1; n <= each; n += 2 {
				if _, err := w.provider().Publish(t.Context(), publisher, "", firms, keyed(p+1, n, n+1)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	publishing.Wait()
	w.consumer().reopen()
	inOrder := func(way string, got []int) error {
		if len(got) < partitions*each {
			return errLine // not yet all of them
		}
		for p := range partitions {
			ofIt := slices.DeleteFunc(slices.Clone(got), func(id int) bool { return id/1000 != p+1 })
			if !slices.Equal(ofIt, numbers(1000*(p+1)+1, 1000*(p+1)+each)) {
				t.Errorf("%s: of partition %d came %v", way, p+1, ofIt)
			}
		}
		return nil
	}
	eventually(t, "all is pulled", func() error {
		events, _, err := w.consumer().Pull(t.Context(), puller, "sub-2", partitions*each)
		if err != nil {
			return err
		}
		return inOrder("pull", ids(events))
	})
	eventually(t, "all is taken to the webhook", func() error {
		w.sinks.mu.Lock()
		defer w.sinks.mu.Unlock()
		var once []int // one whose answer the node did not record comes again
		for _, id := range w.sinks.taken {
			if !slices.Contains(once, id) {
				once = append(once, id)
			}
		}
		return inOrder("webhook", once)
	})
}
