package directory

import (
	"context"
	"sync"

	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

// flights put entries through the log together: what comes in while others are on
// their way waits and goes as one log entry, so that the cost of an entry of the
// log (its place in raft, its fsyncs on every voter) is shared by all who wait for
// one, and a single writer waits for nobody.
type flights struct {
	turn chan struct{} // holds one for each flight under way

	mu      sync.Mutex
	waiting *flight // the next one, until it leaves; nil where nobody waits
}

// atOnce is how many flights are under way at most: one in the leader's log, one
// in the followers', one in the state machine.
const atOnce = 3

type flight struct {
	entries [][]byte
	size    int
	done    chan struct{} // closed when the following are set
	results []state.Result
	err     error
}

// board returns what became of an entry, or of the whole flight. The first who
// waits for a flight runs it.
func (f *flights) board(ctx context.Context, entry []byte, run func([][]byte) ([]state.Result, error)) (state.Result, error) {
	mine, seat := f.join(entry)
	if seat == 0 {
		f.turn <- struct{}{}
		f.depart(mine)
		mine.results, mine.err = run(mine.entries)
		<-f.turn
		close(mine.done)
	}
	select {
	case <-mine.done:
	case <-ctx.Done():
		return state.Result{}, ctx.Err()
	}
	if mine.err != nil {
		return state.Result{}, mine.err
	}
	return mine.results[seat], nil
}

func (f *flights) join(entry []byte) (mine *flight, seat int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.waiting == nil || f.waiting.size+len(entry)+1 > command.MaxSize {
		f.waiting = &flight{done: make(chan struct{})}
	}
	mine = f.waiting
	mine.entries = append(mine.entries, entry)
	mine.size += len(entry) + 1
	return mine, len(mine.entries) - 1
}

// depart lets nobody else board.
func (f *flights) depart(leaving *flight) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.waiting == leaving { // not where it was full and another waits
		f.waiting = nil
	}
}
