package peer

import (
	"context"
	"errors"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

// headStart is how long the first way to a node is tried alone.
const headStart = 500 * time.Millisecond

// way leads to a node: a TCP connection to its address, or a stream through
// relays. TLS runs over whatever reach returns and is verified against the
// node's id, so that nothing above or below notices which it is, and no relay is
// trusted.
type way struct {
	address string // empty: through relays
	reach   func(context.Context) (net.Conn, error)
}

// ways lists how to get what is wanted, in the order of trying: directly, then
// through the next node along the hierarchy; the other way round where the
// address did not answer a short time ago. It is the one place that chooses.
func (p *Plane) ways(w want) ([]way, error) {
	var found []way
	address, err := p.config.Resolver.Address(w.id)
	if err == nil {
		found = append(found, way{address, func(ctx context.Context) (net.Conn, error) { return p.config.Connect(ctx, address) }})
	}
	if !w.direct {
		relays, nextErr := p.config.Resolver.Next(w.id)
		if nextErr == nil && relays[0] != w.id { // otherwise nobody lies between
			found = append(found, way{"", func(ctx context.Context) (net.Conn, error) {
				return p.towards(ctx, relays, relayRequest{target: w.id, hops: maxHops})
			}})
		}
		err = errors.Join(err, nextErr)
	}
	if len(found) == 0 {
		return nil, err
	}
	if p.avoids(w.id, address) {
		slices.Reverse(found)
	}
	return found, nil
}

// race makes the attempts one after another and returns what the first to
// succeed gave; what a later one gives after all is discarded. The next begins
// when one has failed or headStart has passed: a packet filter that drops what it
// does not like must not cost a whole handshake's patience. The caller is one of
// the plane's goroutines.
func race[T any](ctx context.Context, p *Plane, attempts []func(context.Context) (T, error), discard func(T)) (won T, err error) {
	ctx, cancel := context.WithCancel(ctx)
	type result struct {
		value T
		err   error
	}
	results := make(chan result, len(attempts))
	begun, ended := 0, 0
	begin := func() {
		if begun == len(attempts) {
			return
		}
		attempt := attempts[begun]
		begun++
		p.running.Go(func() {
			var r result
			r.value, r.err = attempt(ctx)
			results <- r
		})
	}
	var failed []error
	defer func() {
		cancel()
		p.running.Go(func() {
			for range begun - ended {
				if r := <-results; r.err == nil {
					discard(r.value)
				}
			}
		})
	}()
	late := time.NewTicker(headStart)
	defer late.Stop()
	begin()
	for len(failed) < len(attempts) {
		select {
		case r := <-results:
			if ended++; r.err == nil {
				return r.value, nil
			}
			failed = append(failed, r.err)
		case <-late.C:
		}
		begin()
	}
	return won, errors.Join(failed...)
}

// avoidance says that an address did not answer.
type avoidance struct {
	address string
	until   time.Time
}

// remember keeps what became of a direct way, so that the next dial need not
// find it out again.
func (p *Plane) remember(id bus.NodeID, w way, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case w.address == "":
	case err == nil:
		delete(p.avoided, id)
	default:
		p.avoided[id] = avoidance{w.address, p.config.Now().Add(jitter(p.config.RetryDirect))}
	}
}

func (p *Plane) avoids(id bus.NodeID, address string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	a, ok := p.avoided[id]
	return ok && a.address == address && p.config.Now().Before(a.until)
}

// attend looks at a relayed session from time to time. Once the node can be
// reached directly, new streams go that way and those that are open end where
// they are. A relayed session without a stream at two looks is closed, for it
// takes room in every relay.
func (p *Plane) attend(s *session) {
	unused := false
	for p.pause(s.mux.CloseChan(), jitter(p.config.RetryDirect)) {
		_, _ = p.session(p.ctx, want{id: s.peer, direct: true}) // where that fails, this one goes on
		if s.mux.NumStreams() > 0 {
			unused = false
			continue
		}
		if unused {
			s.close()
			return
		}
		unused = true
	}
}

// connect is the default of Config.Connect.
func (c Config) connect(ctx context.Context, address string) (net.Conn, error) {
	dialer := net.Dialer{LocalAddr: c.source()}
	return dialer.DialContext(ctx, "tcp", address)
}

// source is the address that connections leave from: the one this node listens
// on, where that is one address, so that a firewall between sites needs one rule
// a node. nil leaves the choice to the system.
func (c Config) source() net.Addr {
	host, _, err := net.SplitHostPort(c.Listen)
	if err != nil {
		return nil
	}
	ip, err := netip.ParseAddr(host)
	if err != nil || ip.IsUnspecified() {
		return nil
	}
	return &net.TCPAddr{IP: ip.AsSlice(), Zone: ip.Zone()}
}

// jitter spreads waiting between half of d and d, so that nodes that lost the
// same peer do not all come back at once.
func jitter(d time.Duration) time.Duration { return d/2 + rand.N(d/2+1) }
