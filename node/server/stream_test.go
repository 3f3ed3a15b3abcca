package server_test

import (
	"context"
	"errors"
	"testing"

	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/nodetest"
)

// A stream is followed over connections that the node ends, each event once, and what
// its reader has gone on from is acknowledged.
func TestAStreamIsFollowedBeyondItsEnd(t *testing.T) {
	const count = 1100 // the node ends a stream after 1000
	s := tellWith(t, nodetest.Options{}, fleet.Province()[0])
	s.grant(t)
	s.subscribe(t)
	s.publish(t, 1, 68)
	ctx, stop := context.WithCancel(context.Background())
	defer stop()
	seen, last := 0, uint64(0)
	for e, err := range s.consumer.Stream(ctx, "sub-1") {
		if errors.Is(err, context.Canceled) {
			break
		}
		check(t, err)
		if e.Number != last+1 {
			t.Fatalf("event %d after %d", e.Number, last)
		}
		switch last = e.Number; last {
		case 68: // the others come after it: no answer ends by chance where the stream has to
			s.publish(t, 69, 516)
			s.publish(t, 585, 516)
		case count:
			seen = count
			stop()
		}
	}
	if seen != count {
		t.Fatalf("%d events came", last)
	}
	events, _, err := s.consumer.Pull(context.Background(), "sub-1", 1000)
	check(t, err)
	if len(events) != count-1000 {
		t.Errorf("%d events are not acknowledged", len(events))
	}
}
