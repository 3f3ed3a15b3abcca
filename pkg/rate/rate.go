// Package rate bounds how much one of many may do in a second: requests and events of a
// system, refusals of a node. It keeps its count in memory, and knows nothing of what it
// counts.
package rate

import (
	"sync"
	"time"
)

// tellEvery is how often refusals of one system are told of.
const tellEvery = 10 * time.Second

// Buckets are token buckets, one a system or a node (threat S15): who floods is refused,
// and nobody else. They hold two seconds' worth of what is counted: requests, events,
// refusals.
type Buckets[ID comparable] struct {
	now    func() time.Time
	second float64 // that a bucket gets

	mu      sync.Mutex
	buckets map[ID]*bucket
}

type bucket struct {
	tokens  float64
	at      time.Time // of tokens
	refused int       // not yet told of
	told    time.Time
}

// New makes buckets that get so much a second.
func New[ID comparable](now func() time.Time, perSecond int) *Buckets[ID] {
	return &Buckets[ID]{now: now, second: float64(perSecond), buckets: map[ID]*bucket{}}
}

// Take takes n for id, from 1, all or nothing, or says how long it must wait. What
// is more than a bucket holds passes when it is full, and is paid for afterwards. tell is
// how much that was refused is to be put on record now; to record each would do the
// flood's work. The first is told of at once, what follows together, with the next one.
func (r *Buckets[ID]) Take(id ID, n int) (wait time.Duration, tell int) {
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
