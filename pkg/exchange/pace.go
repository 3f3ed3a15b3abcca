package exchange

import (
	"maps"
	"sync"
	"time"
)

// paces keep the rates that endpoints allow (WebHook-Allowed-Rate of the handshake). A
// rate is an endpoint's, to however many subscriptions it is the sink.
type paces struct {
	mu   sync.Mutex
	sent map[string]time.Time // endpoint → its newest request, or one that is about to be made
}

// place is a request's at an endpoint with a rate.
type place struct {
	of *paces
	to string
	at time.Time
}

// placeAt gives the next request to the endpoint of a sink its place, or says in how long
// there is one. What was sent before this node started is not known: a sink of before
// that waits as if it had been just then.
func (x *Exchange) placeAt(s sink) (p place, early time.Duration) {
	if s.Rate <= 0 {
		return place{}, 0
	}
	after := time.Time{}
	if s.At.Before(x.opened) {
		after = x.opened
	}
	return x.paces.take(shownURL(s.URL), time.Minute/time.Duration(s.Rate), after, x.Now())
}

// take gives a place every so often, and not as soon after a time.
func (p *paces) take(to string, every time.Duration, after, now time.Time) (place, time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	maps.DeleteFunc(p.sent, func(_ string, at time.Time) bool { return now.Sub(at) >= time.Minute }) // no rate is less than one a minute
	if last := p.sent[to]; last.After(after) {
		after = last
	}
	if early := after.Add(every).Sub(now); early > 0 && !after.IsZero() {
		return place{}, early
	}
	p.sent[to] = now
	return place{p, to, now}, 0
}

// back gives up a place that no request was made in.
func (l place) back() {
	if l.of == nil {
		return
	}
	l.of.mu.Lock()
	defer l.of.mu.Unlock()
	if l.of.sent[l.to].Equal(l.at) {
		delete(l.of.sent, l.to)
	}
}
