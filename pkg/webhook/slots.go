package webhook

import (
	"context"
	"net/netip"
	"sync"
)

// slots holds down how many requests are under way to each address at once, whatever
// names and subscriptions lead there.
type slots struct {
	each int

	mu  sync.Mutex
	all map[netip.Addr]*slot
}

type slot struct {
	free  chan struct{}
	users int // that hold or wait for a place
}

// take waits for a place at an address, until release.
func (s *slots) take(ctx context.Context, at netip.Addr) (release func(), err error) {
	s.mu.Lock()
	if s.all == nil {
		s.all = map[netip.Addr]*slot{}
	}
	of, ok := s.all[at]
	if !ok {
		of = &slot{free: make(chan struct{}, s.each)}
		s.all[at] = of
	}
	of.users++
	s.mu.Unlock()
	leave := func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		if of.users--; of.users == 0 {
			delete(s.all, at)
		}
	}
	select {
	case of.free <- struct{}{}:
		return func() { <-of.free; leave() }, nil
	case <-ctx.Done():
		leave()
		return nil, ctx.Err()
	}
}
