package exchange

import (
	"context"
	"sync"

	"github.com/gxbus/gxbus/pkg/bus"
)

// laneWidth is how many batches are on their way to one node at once. Each is about a
// MiB here, on the line and there; more make a node that is slow no faster.
const laneWidth = 16

// lanes bound the batches on their way, to each node by itself: one that takes long to
// answer holds up nobody else's.
type lanes struct {
	mu sync.Mutex
	to map[bus.NodeID]chan struct{}
}

// enter waits until a batch may leave for a node. done has to be called once there is
// an answer.
func (l *lanes) enter(ctx context.Context, to bus.NodeID) (done func(), err error) {
	lane := l.lane(to)
	select {
	case lane <- struct{}{}:
		return func() { <-lane }, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (l *lanes) lane(to bus.NodeID) chan struct{} {
	l.mu.Lock()
	defer l.mu.Unlock()
	lane, ok := l.to[to]
	if !ok {
		if l.to == nil {
			l.to = map[bus.NodeID]chan struct{}{}
		}
		lane = make(chan struct{}, laneWidth)
		l.to[to] = lane
	}
	return lane
}
