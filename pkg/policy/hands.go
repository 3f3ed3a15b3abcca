package policy

import "time"

// hands are the goroutines that evaluate. OPA recurses deeply: a new goroutine grows its
// stack by copying it several times, a fifth of what a decision takes, so that one which
// has done its work waits a little for more.
type hands chan func()

const restFor = 200 * time.Millisecond // until a goroutine that has nothing to do ends

// give has work done in a goroutine of its own.
func (h hands) give(work func()) {
	select {
	case h <- work:
	default:
		go h.run(work)
	}
}

func (h hands) run(work func()) {
	rest := time.NewTimer(restFor)
	defer rest.Stop()
	for {
		work()
		rest.Reset(restFor)
		select {
		case work = <-h:
		case <-rest.C:
			return
		}
	}
}
