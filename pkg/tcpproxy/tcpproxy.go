// Package tcpproxy puts links between processes on one machine that a test can
// slow down, cut and heal: a network for those who have no netem.
//
// An end of a link is known by its host. Each process listens on a loopback
// address of its own, 127.0.x.y, and connects from it; others are told an address
// of a proxy in its place. What is cut stays silent, as behind a firewall that
// drops: connections stall, new ones are taken and not answered, and what was on
// its way arrives once the link is healed.
package tcpproxy

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"sync"
	"time"
)

const (
	chunk  = 32 << 10 // bytes read at once
	queued = 64       // chunks of a direction on their way at most
)

// Network is a set of links. Those that nothing was said of are fast and whole.
type Network struct {
	running context.Context
	stop    context.CancelFunc
	working sync.WaitGroup

	mu    sync.Mutex
	cut   map[link]chan struct{} // closed when it is healed
	delay map[way]time.Duration
	open  map[io.Closer]bool
}

// way is a direction: from the host that sends to the one that receives.
type way struct{ from, to string }

// link is both directions between two hosts, the smaller name first.
type link struct{ a, b string }

func linkOf(a, b string) link { return link{min(a, b), max(a, b)} }

// New makes a network without listeners.
func New() *Network {
	n := &Network{cut: map[link]chan struct{}{}, delay: map[way]time.Duration{}, open: map[io.Closer]bool{}}
	n.running, n.stop = context.WithCancel(context.Background())
	return n
}

// Listen takes connections at address and leads them to target, over the link
// between the host they come from and target's. It returns the address taken,
// which has a port where address asks for any.
func (n *Network) Listen(address, target string) (string, error) {
	to, _, err := net.SplitHostPort(target)
	if err != nil {
		return "", fmt.Errorf("target of a proxy: %w", err)
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return "", fmt.Errorf("listen for a proxy: %w", err)
	}
	if !n.keep(l) {
		return "", errors.Join(net.ErrClosed, l.Close())
	}
	n.working.Go(func() {
		for {
			conn, err := l.Accept()
			if err != nil {
				return // closed: nothing else ends a listener on loopback
			}
			n.working.Go(func() { n.serve(conn, target, to) })
		}
	})
	return l.Addr().String(), nil
}

// Cut stops all traffic between two hosts until Heal.
func (n *Network) Cut(a, b string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if l := linkOf(a, b); n.cut[l] == nil {
		n.cut[l] = make(chan struct{})
	}
}

// Heal lets two hosts reach each other again.
func (n *Network) Heal(a, b string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.heal(linkOf(a, b))
}

// HealAll undoes every Cut.
func (n *Network) HealAll() {
	n.mu.Lock()
	defer n.mu.Unlock()
	for l := range n.cut {
		n.heal(l)
	}
}

func (n *Network) heal(l link) {
	if healed := n.cut[l]; healed != nil {
		close(healed)
		delete(n.cut, l)
	}
}

// Delay makes what from sends to to arrive later by d; the other direction stays
// as it is.
func (n *Network) Delay(from, to string, d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.delay[way{from, to}] = d
}

// Close ends every listener and connection.
func (n *Network) Close() error {
	n.stop()
	n.mu.Lock()
	var errs []error
	for c := range n.open {
		if err := c.Close(); !errors.Is(err, net.ErrClosed) {
			errs = append(errs, err)
		}
	}
	n.mu.Unlock()
	n.working.Wait()
	return errors.Join(errs...)
}

// keep has c closed with the network; false where that is closed.
func (n *Network) keep(c io.Closer) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.running.Err() != nil {
		return false
	}
	n.open[c] = true
	return true
}

func (n *Network) drop(c io.Closer) {
	n.mu.Lock()
	delete(n.open, c)
	n.mu.Unlock()
	_ = c.Close() // both ends see it; there is nobody else to tell
}

// passable returns once the link is whole; false where the network is closed.
func (n *Network) passable(l link) bool {
	for {
		n.mu.Lock()
		healed := n.cut[l]
		n.mu.Unlock()
		if healed == nil {
			return n.running.Err() == nil
		}
		select {
		case <-healed:
		case <-n.running.Done():
			return false
		}
	}
}

// serve carries one connection.
func (n *Network) serve(near net.Conn, target, to string) {
	if !n.keep(near) {
		_ = near.Close() // accepted while the network was closing
		return
	}
	defer n.drop(near)
	from, _, err := net.SplitHostPort(near.RemoteAddr().String())
	if err != nil || !n.passable(linkOf(from, to)) {
		return
	}
	far, err := (&net.Dialer{}).DialContext(n.running, "tcp", target)
	if err != nil {
		return // as if target had refused
	}
	if !n.keep(far) {
		_ = far.Close() // dialled while the network was closing
		return
	}
	defer n.drop(far)
	var ways sync.WaitGroup
	ways.Go(func() { n.carry(near, far, way{from, to}) })
	ways.Go(func() { n.carry(far, near, way{to, from}) })
	ways.Wait()
}

// parcel is a piece of a stream on its way.
type parcel struct {
	data []byte
	due  time.Time
}

// carry copies one direction, each piece no sooner than it is due and the link is
// whole. The end of the stream travels as a piece does; after a failure both
// directions end.
func (n *Network) carry(src, dst net.Conn, w way) {
	pieces := make(chan parcel, queued)
	gone := make(chan struct{})
	var sending sync.WaitGroup
	sending.Go(func() {
		defer close(gone)
		for p := range pieces {
			if !n.arrive(p.due, w) {
				return
			}
			if p.data == nil {
				if half, ok := dst.(interface{ CloseWrite() error }); ok {
					_ = half.CloseWrite() // a peer that is gone needs no end
				}
				return
			}
			if _, err := dst.Write(p.data); err != nil {
				_ = src.Close() // wakes the reader below
				return
			}
		}
	})
	for done := false; !done; {
		buffer := make([]byte, chunk)
		size, err := src.Read(buffer)
		n.mu.Lock()
		due := time.Now().Add(n.delay[w])
		n.mu.Unlock()
		var p []parcel
		if size > 0 {
			p = append(p, parcel{buffer[:size], due})
		}
		if err != nil {
			p, done = append(p, parcel{nil, due}), true
		}
		for _, piece := range p {
			select {
			case pieces <- piece:
			case <-gone:
				done = true
			}
		}
	}
	close(pieces)
	sending.Wait()
}

// arrive waits until a piece may arrive; false where the network is closed.
func (n *Network) arrive(due time.Time, w way) bool {
	if wait := time.Until(due); wait > 0 {
		timer := time.NewTimer(wait)
		defer timer.Stop()
		select {
		case <-timer.C:
		case <-n.running.Done():
			return false
		}
	}
	return n.passable(linkOf(w.from, w.to))
}
