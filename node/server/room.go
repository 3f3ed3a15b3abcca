package server

import (
	"fmt"
	"sync"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory"
	"github.com/gxbus/gxbus/pkg/storage"
)

// roomLife is for how long a measurement of the disk stands: a full disk is
// noticed, and room made again too, within it.
const roomLife = 200 * time.Millisecond

// room says whether there is room for new writes and events. The reserve that it
// keeps is for what must go on: evidence, acknowledgements, revocations, ticks.
type room struct {
	dir     string
	reserve int64
	fsm     *directory.FSM // nil before it is open

	mu       sync.Mutex
	measured time.Time
	verdict  error
}

// check returns bus.CodeStorageFull while the disk has less than the reserve.
func (r *room) check() error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if now := time.Now(); now.Sub(r.measured) >= roomLife { // a span, not a date: no clock to inject
		r.measured, r.verdict = now, r.measure()
	}
	return r.verdict
}

func (r *room) measure() error {
	if r.fsm != nil && r.fsm.Full() {
		return r.full(0)
	}
	free, _, err := storage.Free(r.dir)
	if err != nil {
		return bus.E(bus.CodeInternal).Because(err)
	}
	if int64(free) < r.reserve {
		return r.full(free)
	}
	return nil
}

func (r *room) full(free uint64) error {
	return bus.E(bus.CodeStorageFull, bus.Defect{
		Field:   "data_dir",
		Problem: bus.Text{ZH: fmt.Sprintf("磁盘仅剩 %d MiB", free>>20), EN: fmt.Sprintf("%d MiB are left on the disk", free>>20)},
		Allowed: fmt.Sprintf("disk_reserve, %d MiB; make room, and it goes on by itself", r.reserve>>20),
	})
}
