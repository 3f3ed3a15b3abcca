package server

import (
	"bytes"
	"context"
	"crypto/x509"
	"fmt"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/identity"
)

// farewell is how long the sessions of a removed node stay open: in this time it
// learns from its own replica that it was removed. Nothing but raft is heard of it
// meanwhile (see Known), and raft has it as a non-voter.
const farewell = 3 * time.Second

// removed is the refusal of a node that was removed.
func removed(id bus.NodeID) error {
	return bus.E(bus.CodeNodeRemoved, bus.Defect{
		Field: "node", Problem: bus.Text{ZH: "节点 " + string(id) + " 已被移出总线", EN: "node " + string(id) + " was removed from the bus"},
		Allowed: "a new node under a new id, with a new data directory",
	})
}

// Admit says who may connect: the holder of a certificate of this cluster, unless
// the directory knows its id as removed, or with another key.
//
// An id that this replica does not know yet is let in. The CA's holder hands out a
// certificate only after the join is in the log, so such a node is a member that
// this replica has yet to hear of: it may be the very leader that brings the news,
// when this node is new itself. Until then nothing but raft is spoken with it:
// see Known.
func (s *Server) Admit(id bus.NodeID, certificate *x509.Certificate) error {
	return s.state.View(func(tx *state.Tx) error {
		if tx.Removed(id) {
			return removed(id)
		}
		node, ok := tx.Node(id)
		if ok && len(node.Key) > 0 && !bytes.Equal(node.Key, identity.KeyHash(certificate.RawSubjectPublicKeyInfo)) {
			return bus.E(bus.CodeForbidden, bus.Defect{
				Field: "certificate", Problem: bus.Text{ZH: "密钥不是节点 " + string(id) + " 登记的密钥", EN: "not the key that node " + string(id) + " joined with"},
			})
		}
		return nil
	})
}

// Known returns nil for a node that the directory has; any other is heard in
// nothing but raft.
func (s *Server) Known(id bus.NodeID) error {
	return s.state.View(func(tx *state.Tx) error {
		if _, ok := tx.Node(id); ok {
			return nil
		}
		if tx.Removed(id) {
			return removed(id)
		}
		return bus.E(bus.CodeUnavailable, bus.Defect{
			Field: "node", Problem: bus.Text{ZH: "本节点副本尚无节点 " + string(id), EN: "this replica does not know node " + string(id) + " yet"},
		})
	})
}

// stillMember refuses to start a node whose own replica knows that it was removed.
func (s *Server) stillMember() error {
	return s.state.View(func(tx *state.Tx) error {
		if tx.Removed(s.self.Node) {
			return removed(s.self.Node)
		}
		return nil
	})
}

// followMembers ends the sessions of nodes that have been removed, and this node
// once it is one of them.
func (s *Server) followMembers(ctx context.Context) {
	known := map[bus.NodeID]bool{}
	var seen bus.Revision
	for {
		_, changed := s.directory.Applied()
		gone, err := s.departed(known, &seen)
		if err != nil {
			s.logger.Error("read the members", "error", err)
		}
		for _, id := range gone {
			s.logger.Info("node was removed from the bus", "node", id)
			s.workers.Go(func() {
				if pause(ctx, farewell) {
					s.peers.Disconnect(id)
				}
			})
		}
		if err := s.stillMember(); bus.CodeOf(err) == bus.CodeNodeRemoved {
			s.halt(fmt.Errorf("the node stops: %w", err))
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return
		}
	}
}

// departed brings known up to the nodes of the directory and returns those that
// are there no more.
func (s *Server) departed(known map[bus.NodeID]bool, seen *bus.Revision) (gone []bus.NodeID, err error) {
	err = s.state.View(func(tx *state.Tx) error {
		now := tx.Revision(state.Nodes)
		if now == *seen {
			return nil
		}
		*seen = now
		for id := range known {
			if _, ok := tx.Node(id); !ok {
				gone = append(gone, id)
				delete(known, id)
			}
		}
		for n := range tx.Nodes() {
			known[n.ID] = true
		}
		return nil
	})
	return gone, err
}

// pause waits for d; false means that ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
