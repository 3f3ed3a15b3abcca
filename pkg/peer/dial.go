package peer

import (
	"context"
	"fmt"
	"net"

	"github.com/gxbus/gxbus/pkg/bus"
)

// flight is a handshake under way that everyone who wants the peer waits for.
type flight struct {
	done    chan struct{}
	session *session // set before done is closed
	err     error
}

// want is a node to have a session with. A direct one passes no relay.
type want struct {
	id     bus.NodeID
	direct bool
}

// Dial opens a stream of a protocol to a node, over a session that is open
// already in either direction or, if there is none, over a new one: direct where
// its address can be reached, else through relays along the hierarchy. Either
// way it is encrypted and authenticated with that node, end to end. The Conn is
// a *[Conn]. ctx bounds the dialling, not the stream. A node that cannot be
// reached, or that is not who it should be, is CodeUnavailable.
func (p *Plane) Dial(ctx context.Context, id bus.NodeID, proto Protocol) (net.Conn, error) {
	header, err := proto.header()
	if err != nil {
		return nil, err
	}
	conn, err := p.open(ctx, want{id: id}, header)
	if err != nil {
		return nil, unreachable(id, err)
	}
	return conn, nil
}

// open opens a stream that begins with header over a session as wanted.
func (p *Plane) open(ctx context.Context, w want, header []byte) (*Conn, error) {
	for attempt := 0; ; attempt++ {
		s, err := p.session(ctx, w)
		if err != nil {
			return nil, err
		}
		conn, err := s.open(ctx, header)
		if err == nil {
			return conn, nil
		}
		// The session died after it was chosen: what follows finds it dead.
		if attempt == 1 || !s.mux.IsClosed() || ctx.Err() != nil {
			return nil, err
		}
	}
}

// open opens a stream that begins with header.
func (s *session) open(ctx context.Context, header []byte) (*Conn, error) {
	stream, err := s.mux.OpenStream()
	if err != nil {
		return nil, err
	}
	conn := newConn(s, stream)
	if deadline, ok := ctx.Deadline(); ok {
		_ = conn.SetWriteDeadline(deadline)
	}
	if _, err := conn.Write(header); err != nil {
		_ = conn.Close()
		return nil, err
	}
	return conn, conn.SetWriteDeadline(noDeadline)
}

// session returns a live session as wanted. Callers that need a new one at the
// same time share one handshake, which goes on for the others when one gives up.
func (p *Plane) session(ctx context.Context, w want) (*session, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p.mu.Lock()
	if p.ctx.Err() != nil {
		p.mu.Unlock()
		return nil, errPlaneClosed
	}
	if s := p.live(w); s != nil {
		p.mu.Unlock()
		return s, nil
	}
	f := p.flights[w]
	if f == nil {
		f = &flight{done: make(chan struct{})}
		p.flights[w] = f
		p.running.Go(func() { p.fly(w, f) })
	}
	p.mu.Unlock()
	select {
	case <-f.done:
		return f.session, f.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// fly carries out a flight. If it fails but the node has connected to us
// meanwhile, that session is the result.
func (p *Plane) fly(w want, f *flight) {
	ctx, cancel := context.WithTimeout(p.ctx, p.config.HandshakeTimeout)
	defer cancel()
	f.session, f.err = p.connect(ctx, w)
	p.mu.Lock()
	defer p.mu.Unlock()
	if s := p.live(w); f.err != nil && s != nil {
		f.session, f.err = s, nil
	}
	delete(p.flights, w)
	close(f.done)
}

func (p *Plane) connect(ctx context.Context, w want) (*session, error) {
	if p.quarantined(w.id) {
		return nil, fmt.Errorf("node %s is quarantined", w.id)
	}
	ways, err := p.ways(w)
	if err != nil {
		return nil, err
	}
	attempts := make([]func(context.Context) (*session, error), len(ways))
	for i, way := range ways {
		attempts[i] = func(ctx context.Context) (*session, error) {
			s, err := p.travel(ctx, w.id, way)
			p.remember(w.id, way, err)
			return s, err
		}
	}
	return race(ctx, p, attempts, func(*session) {}) // one more session does no harm
}

// travel makes a session with id over one way.
func (p *Plane) travel(ctx context.Context, id bus.NodeID, w way) (*session, error) {
	raw, err := w.reach(ctx)
	if err != nil {
		return nil, err
	}
	conn, err := p.admitOutbound(ctx, raw, id)
	if err != nil {
		raw.Close()
		return nil, err
	}
	s, err := p.adopt(id, conn, true)
	if err != nil {
		raw.Close()
	}
	return s, err
}

// unreachable is what callers see of a failed dial; the cause is for logs.
func unreachable(id bus.NodeID, cause error) error {
	return bus.E(bus.CodeUnavailable, bus.Defect{
		Field:   "node",
		Problem: bus.Text{ZH: "暂时无法连接节点 " + string(id), EN: "node " + string(id) + " cannot be reached now"},
	}).Because(cause)
}
