package peer

import (
	"context"
	"net"
	"time"

	"github.com/hashicorp/raft"

	"github.com/gxbus/gxbus/pkg/bus"
)

// StreamLayer lets raft.NewNetworkTransport run over peer connections. A
// raft.ServerAddress is a node id.
type StreamLayer struct {
	net.Listener
	plane *Plane
}

var _ raft.StreamLayer = (*StreamLayer)(nil)

// StreamLayer starts listening for raft.
func (p *Plane) StreamLayer() (*StreamLayer, error) {
	l, err := p.Listen(Raft)
	if err != nil {
		return nil, err
	}
	return &StreamLayer{Listener: l, plane: p}, nil
}

// Dial opens a raft stream to the node that address names.
func (s *StreamLayer) Dial(address raft.ServerAddress, timeout time.Duration) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(s.plane.ctx, timeout)
	defer cancel()
	return s.plane.Dial(ctx, bus.NodeID(address), Raft)
}
