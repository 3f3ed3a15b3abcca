package peer

import (
	"net"
	"sync"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
)

// listener is the accepting end of one protocol.
type listener struct {
	plane *Plane
	proto Protocol
	conns chan *Conn
	done  chan struct{}
	once  sync.Once
}

// Listen returns a listener for the streams of a protocol that other nodes
// open; each is a *[Conn]. Streams of a protocol that nobody listens for are
// closed. There is one listener a protocol at a time: a second is CodeInUse.
func (p *Plane) Listen(proto Protocol) (net.Listener, error) {
	if _, err := proto.header(); err != nil {
		return nil, err
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.listeners[proto] != nil || proto == relaying {
		return nil, bus.E(bus.CodeInUse, bus.Defect{
			Field: "protocol", Problem: bus.Text{ZH: "协议已有监听者：" + string(proto), EN: "already listened for: " + string(proto)},
		})
	}
	l := &listener{plane: p, proto: proto, conns: make(chan *Conn), done: make(chan struct{})}
	p.listeners[proto] = l
	return l, nil
}

// Accept waits for the next stream; net.ErrClosed once the listener or its
// plane is closed.
func (l *listener) Accept() (net.Conn, error) {
	select {
	case conn := <-l.conns:
		return conn, nil
	case <-l.done:
		return nil, net.ErrClosed
	case <-l.plane.ctx.Done():
		return nil, net.ErrClosed
	}
}

// Close stops accepting; streams handed out stay open.
func (l *listener) Close() error {
	l.once.Do(func() {
		close(l.done)
		l.plane.mu.Lock()
		defer l.plane.mu.Unlock()
		delete(l.plane.listeners, l.proto)
	})
	return nil
}

// Addr is this node's [Addr].
func (l *listener) Addr() net.Addr { return Addr(l.plane.config.Self) }

// deliver reads which protocol a new stream is for and hands it to whoever
// listens for that.
func (p *Plane) deliver(conn *Conn) {
	_ = conn.SetReadDeadline(time.Now().Add(p.config.HandshakeTimeout))
	proto, err := readHeader(conn.stream)
	if err != nil {
		p.config.Logger.Warn("peer: stream refused", "peer", conn.PeerID(), "error", err)
		_ = conn.Close()
		return
	}
	_ = conn.SetReadDeadline(noDeadline)
	if proto == relaying {
		p.relay(conn)
		return
	}
	p.mu.Lock()
	l := p.listeners[proto]
	p.mu.Unlock()
	if l == nil {
		p.config.Logger.Warn("peer: nobody listens for this protocol", "peer", conn.PeerID(), "protocol", proto)
		_ = conn.Close()
		return
	}
	select {
	case l.conns <- conn:
	case <-l.done:
		_ = conn.Close()
	case <-conn.session.mux.CloseChan():
		_ = conn.Close()
	}
}
