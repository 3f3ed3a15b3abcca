package exchange_test

import (
	"context"
	"testing"
	"time"

	"github.com/gxbus/gxbus/pkg/exchange"
)

// What waits for a node that was away leaves soon after it is back, however long the
// pause would have been.
func TestANodeThatIsBackIsNotLetWait(t *testing.T) {
	w, _ := fake(t)
	failed := make(chan struct{}, 100)
	w.line.hook(func(context.Context, exchange.Batch) error {
		failed <- struct{}{}
		return errLine
	}, nil)
	w.provider().retry = time.Hour
	w.provider().reopen()
	w.subscribe(sub, puller)
	w.publish(1, 3)
	within(t, "the first attempt", failed)
	w.provider().connected <- guangzhou
	within(t, "another attempt", failed)
	w.provider().connected <- shenzhen // is not where it is to go
	w.line.hook(nil, nil)
	w.provider().connected <- guangzhou
	w.received(3)
}
