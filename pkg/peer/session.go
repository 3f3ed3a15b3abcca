package peer

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/hashicorp/yamux"

	"github.com/gxbus/gxbus/pkg/bus"
)

const (
	// maxSessions is how many sessions one peer may hold. Two nodes that dial
	// each other at the same moment get two; a peer that restarts may leave one
	// behind until its silence is noticed. Beyond that the oldest is closed.
	maxSessions = 4
	// maxStreams is how many streams of both directions one session may hold, half
	// of them relayed. With a 256 KiB window each it bounds what a peer can make us
	// buffer.
	maxStreams     = 512
	streamWindow   = 256 << 10
	streamLinger   = 30 * time.Second // for the other side to close a stream that we closed
	quarantineTime = time.Minute
)

// violations are ends of a session that no correct peer brings about.
var violations = []error{yamux.ErrInvalidVersion, yamux.ErrInvalidMsgType, yamux.ErrDuplicateStream, yamux.ErrRecvWindowExceeded}

// session is one authenticated, multiplexed connection with a peer.
type session struct {
	self, peer  bus.NodeID
	via         bus.NodeID        // the neighbour that relays it; empty: a direct one
	certificate *x509.Certificate // the peer's
	mux         *yamux.Session
	served      bool // admitted for good; guarded by Plane.mu

	mu    sync.Mutex
	conns map[*Conn]struct{} // open here
}

func (s *session) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.conns {
		_ = conn.stream.SetDeadline(longAgo)
	}
}

func (s *session) close() { _ = s.mux.Close() } // says nothing that the serving goroutine does not learn

func (p *Plane) muxConfig() *yamux.Config {
	return &yamux.Config{
		AcceptBacklog:          maxStreams,
		EnableKeepAlive:        true,
		KeepAliveInterval:      p.config.KeepAlive,
		ConnectionWriteTimeout: 2 * p.config.KeepAlive, // a ping's, too
		MaxStreamWindowSize:    streamWindow,
		StreamOpenTimeout:      p.config.HandshakeTimeout,
		StreamCloseTimeout:     streamLinger,
		Logger:                 muxLogger{p.config.Logger},
	}
}

// adopt makes a session of a connection that id has proved to be its own.
func (p *Plane) adopt(id bus.NodeID, conn *tls.Conn, dialled bool) (*session, error) {
	open := yamux.Server
	if dialled {
		open = yamux.Client
	}
	s := &session{self: p.config.Self, peer: id, certificate: conn.ConnectionState().PeerCertificates[0], conns: map[*Conn]struct{}{}}
	if relayed, ok := conn.NetConn().(*Conn); ok {
		s.via = relayed.PeerID()
	}
	mux, err := open(&carrier{Conn: conn, session: s}, p.muxConfig())
	if err != nil {
		return nil, err
	}
	s.mux = mux
	surplus, ok := p.register(s)
	if !ok {
		s.close()
		return nil, errPlaneClosed
	}
	if surplus != nil {
		surplus.close()
	}
	// Asked again now that Disconnect can see the session: a node removed
	// between the handshake and here would otherwise stay.
	if err := p.admit(id, s.certificate); err != nil {
		p.depart(s, err)
		return nil, err
	}
	if !p.begin(s) {
		p.depart(s, errPlaneClosed)
		return nil, errPlaneClosed
	}
	p.config.Logger.Info("peer: connected", "peer", id, "remote", conn.RemoteAddr(), "relayed", s.via != "", "dialled", dialled)
	p.config.Connected(id)
	return s, nil
}

// register lists s, newest last, so that it can be disconnected; no stream goes
// over it yet. It returns the session that there is one too many of, if any,
// and false if the plane is closed.
func (p *Plane) register(s *session) (surplus *session, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil {
		return nil, false
	}
	sessions := append(p.sessions[s.peer], s)
	if len(sessions) > maxSessions {
		surplus, sessions = sessions[0], slices.Clone(sessions[1:])
	}
	p.sessions[s.peer] = sessions
	return surplus, true
}

// begin opens s for streams in both directions, unless the plane is closed.
func (p *Plane) begin(s *session) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.ctx.Err() != nil {
		return false
	}
	s.served = true
	p.running.Go(func() { p.serve(s) })
	if s.via != "" {
		p.running.Go(func() { p.attend(s) })
	}
	return true
}

// live returns the newest session as wanted that takes streams and is not known
// to be dead, a direct one if there is one. The caller holds p.mu.
func (p *Plane) live(w want) *session {
	var relayed *session
	for _, s := range slices.Backward(p.sessions[w.id]) {
		switch {
		case !s.served || s.mux.IsClosed():
		case s.via == "":
			return s
		case relayed == nil && !w.direct:
			relayed = s
		}
	}
	return relayed
}

// serve hands the streams that the peer opens to their protocols until the
// session ends.
func (p *Plane) serve(s *session) {
	for {
		stream, err := s.mux.AcceptStream()
		if err != nil {
			p.depart(s, err)
			return
		}
		if s.mux.NumStreams() > maxStreams {
			p.config.Logger.Warn("peer: too many streams", "peer", s.peer)
			_ = stream.Close()
			continue
		}
		p.running.Go(func() { p.deliver(newConn(s, stream)) })
	}
}

// ending closes s and returns why it ended. The multiplexer tells that only to
// whoever asks for a stream when none is left waiting: for one that is, it
// merely says that the session is shut down.
func (s *session) ending(err error) error {
	s.close()
	for range maxStreams {
		if !errors.Is(err, yamux.ErrSessionShutdown) {
			break
		}
		_, err = s.mux.AcceptStream()
	}
	return err
}

// depart closes and forgets a session.
func (p *Plane) depart(s *session, cause error) {
	cause = s.ending(cause)
	p.mu.Lock()
	rest := slices.DeleteFunc(slices.Clone(p.sessions[s.peer]), func(o *session) bool { return o == s })
	if len(rest) == 0 {
		delete(p.sessions, s.peer)
	} else {
		p.sessions[s.peer] = rest
	}
	p.mu.Unlock()
	p.config.Logger.Info("peer: disconnected", "peer", s.peer, "cause", cause)
	if slices.ContainsFunc(violations, func(v error) bool { return errors.Is(cause, v) }) {
		p.Quarantine(s.peer, cause.Error())
	}
}

// Disconnect ends every session with id, and with them its streams: it is no
// longer a member. Whether it may come back is for the Admission to say, which
// must know of the removal before Disconnect is called.
func (p *Plane) Disconnect(id bus.NodeID) {
	p.mu.Lock()
	sessions := p.sessions[id]
	p.mu.Unlock()
	for _, s := range sessions {
		s.close()
	}
}

// Quarantine ends every session with id and refuses it for a minute, in both
// directions: it broke a protocol. reason is logged.
func (p *Plane) Quarantine(id bus.NodeID, reason string) {
	until := p.config.Now().Add(quarantineTime)
	p.mu.Lock()
	p.shunned[id] = until
	p.mu.Unlock()
	p.config.Logger.Error("peer: quarantined", "peer", id, "reason", reason, "until", until)
	p.Disconnect(id)
}

func (p *Plane) quarantined(id bus.NodeID) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	until, ok := p.shunned[id]
	if ok && !p.config.Now().Before(until) {
		delete(p.shunned, id)
		return false
	}
	return ok
}

// KeepConnected holds a direct session with id open, dialling again whenever it
// ends, until ctx ends or the plane is closed. A child runs it for its parent,
// which then reaches the child without the child taking connections.
func (p *Plane) KeepConnected(ctx context.Context, id bus.NodeID) {
	const first, longest = 250 * time.Millisecond, 15 * time.Second
	wait := first
	for {
		s, err := p.session(ctx, want{id: id, direct: true})
		if err == nil {
			wait = first
			select {
			case <-s.mux.CloseChan():
			case <-ctx.Done():
				return
			}
		} else if ctx.Err() == nil {
			p.config.Logger.Warn("peer: cannot connect", "peer", id, "error", err, "again_in", wait)
		}
		if !p.pause(ctx.Done(), jitter(wait)) {
			return
		}
		wait = min(2*wait, longest)
	}
}
