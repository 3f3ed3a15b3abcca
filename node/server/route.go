package server

import (
	"cmp"
	"context"
	"slices"
	"sync"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

// Address tells the peer plane where a node listens: as the directory says, or
// as was known when this node joined.
func (s *Server) Address(id bus.NodeID) (string, error) {
	var address string
	err := s.state.View(func(tx *state.Tx) error {
		n, _ := tx.Node(id)
		address = cmp.Or(n.PeerAddress, s.self.Peers[id])
		return nil
	})
	if err == nil && address == "" {
		err = bus.NotFound("node", string(id))
	}
	return address, err
}

// Next tells the peer plane which nodes are on the way to another: as the
// directory says, or the parent that was known when this node joined, which
// knows the rest.
func (s *Server) Next(id bus.NodeID) ([]bus.NodeID, error) {
	return nextOnTheWay(s.state, s.self.Self, id)
}

func nextOnTheWay(replica *state.Store, self Self, id bus.NodeID) (nodes []bus.NodeID, err error) {
	err = replica.View(func(tx *state.Tx) error {
		if _, placed := tx.Node(self.Node); !placed && self.Parent != "" {
			nodes = []bus.NodeID{self.Parent}
			return nil
		}
		if _, known := tx.Node(id); !known {
			return bus.NotFound("node", string(id))
		}
		if next, ok := tx.Next(self.Node, id); ok {
			nodes = append(nodes, next)
		}
		if above, ok := tx.Parent(id); ok && above != self.Node && !slices.Contains(nodes, above) {
			nodes = append(nodes, above)
		}
		if len(nodes) == 0 {
			return bus.E(bus.CodeUnavailable, bus.Defect{
				Field: "node", Problem: bus.Text{ZH: "没有可转接的节点", EN: "no node relays to it"},
			})
		}
		return nil
	})
	return nodes, err
}

// parent is the node above this one; empty at the top.
func (s *Server) parent() (parent bus.NodeID, err error) {
	err = s.state.View(func(tx *state.Tx) error {
		if _, placed := tx.Node(s.self.Node); !placed {
			parent = s.self.Parent
			return nil
		}
		parent, _ = tx.Parent(s.self.Node)
		return nil
	})
	return parent, err
}

// keepParent holds a connection with the node above, whichever the directory
// says that is: what others have for this node may have no other way.
func (s *Server) keepParent(ctx context.Context) {
	var parent bus.NodeID
	var keeping sync.WaitGroup
	stop := func() {}
	for {
		_, changed := s.directory.Applied()
		now, err := s.parent()
		if err != nil {
			s.logger.Error("look up the parent node", "error", err)
		} else if now != parent {
			stop()
			keeping.Wait()
			var kept context.Context
			kept, stop = context.WithCancel(ctx)
			if parent = now; parent != "" {
				s.logger.Info("parent node", "parent", parent)
				keeping.Go(func() { s.peers.KeepConnected(kept, now) })
			}
		}
		select {
		case <-changed:
		case <-ctx.Done():
			stop()
			keeping.Wait()
			return
		}
	}
}
