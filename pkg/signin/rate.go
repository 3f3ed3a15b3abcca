package signin

import (
	"sync"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

// tellEvery is how often refusals of one system are told of.
const tellEvery = 10 * time.Second

// Rates are token buckets, one a system (threat S15): a system that floods is
// refused, and nobody else. They hold two seconds' worth of what is counted: requests,
// or events.
type Rates struct {
	now    func() time.Time
	second float64 // that a bucket gets

	mu      sync.Mutex
	buckets map[bus.SystemID]*bucket
}

type bucket struct {
	tokens  float64
	at      time.Time // of tokens
	refused int       // not yet told of
	told    time.Time
}

// NewRates makes buckets that get so much a second.
func NewRates(now func() time.Time, perSecond int) *Rates {
	return &Rates{now: now, second: float64(perSecond), buckets: map[bus.SystemID]*bucket{}}
}

// Take takes n of a system, from 1, all or nothing, or says how long it must wait. What
// is more than a bucket holds passes when it is full, and is paid for afterwards. tell is
// how much that was refused is to be put on record now; to record each would do the
// flood's work. The first is told of at once, what follows together, with the next one.
func (r *Rates) Take(id bus.SystemID, n int) (wait time.Duration, tell int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := r.now()
	b := r.buckets[id]
	if b == nil {
		b = &bucket{tokens: 2 * r.second, at: now}
		r.buckets[id] = b
	}
	if passed := now.Sub(b.at); passed > 0 {
		b.tokens = min(2*r.second, b.tokens+passed.Seconds()*r.second)
	}
	b.at = now
	if need := min(float64(n), 2*r.second); b.tokens >= need {
		b.tokens -= float64(n)
	} else {
		b.refused += n
		wait = max(time.Duration((need-b.tokens)/r.second*float64(time.Second)), 1)
	}
	if b.refused > 0 && now.Sub(b.told) >= tellEvery {
		tell, b.refused, b.told = b.refused, 0, now
	}
	return wait, tell
}
