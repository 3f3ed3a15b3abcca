package policy

import (
	"sync"
	"sync/atomic"
	"time"
)

// longestRest is how long a layer rests at most, in deadlines.
const longestRest = 64

// strain keeps a layer that costs too much from costing others their answers. A layer
// that was not in time rests for a deadline, and whom it applies to is told at once
// that it is unavailable. Then one decision finds out whether it is in time again; while
// it is not, each rest is twice as long as the one before. A nil strain never rests.
type strain struct {
	misses atomic.Int32 // in a row; 0: all is well
	mu     sync.Mutex
	until  time.Time // it rests
	trying bool      // a decision finds out
}

// admits reports whether the layer may be asked now. Whoever is let in while it has
// misses tells how that ended.
func (s *strain) admits(now time.Time) bool {
	if s == nil || s.misses.Load() == 0 {
		return true
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.misses.Load() > 0 && (s.trying || now.Before(s.until)) {
		return false
	}
	s.trying = s.misses.Load() > 0
	return true
}

// ended takes in how an evaluation of the layer ended: in time, or neither that nor
// missed, because another layer took the time or the caller hung up.
func (s *strain) ended(inTime bool) {
	if s == nil || s.misses.Load() == 0 {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.trying && inTime {
		s.misses.Store(0)
	}
	s.trying = false
}

// missed takes in that a round was not over at its deadline for the layer's sake.
// Rounds that began before it rested count as one.
func (s *strain) missed(began, now time.Time, deadline time.Duration) {
	if s == nil {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if began.Before(s.until) {
		return
	}
	misses := s.misses.Add(1)
	s.until = now.Add(deadline * time.Duration(min(1<<min(misses-1, 16), longestRest)))
	s.trying = false
}

// resting reports whether the layer was not in time when it was last asked.
func (s *strain) resting() bool { return s != nil && s.misses.Load() > 0 }
