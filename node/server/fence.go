package server

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/consensus"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

// openFence keeps a voter that the group went on without from starting, where it
// can be known: the other voters are asked before this node could vote. Those that
// cannot be reached in time are not waited for; whoever they are will meet the
// fence then.
func (s *Server) openFence(ctx context.Context) (err error) {
	cutOff := func(cause error) { s.halt(givenUp(cause)) }
	if s.fence, err = consensus.NewFence(s.dir.path("generation.json"), s.trusts, cutOff); err != nil {
		return err
	}
	standing, err := consensus.Inspect(s.dir.path("raft"))
	if errors.Is(err, os.ErrNotExist) {
		return nil // a new node
	}
	if err != nil || !standing.Votes(s.self.Node) {
		return err
	}
	var others []bus.NodeID
	for _, m := range standing.Members {
		if m.ID != s.self.Node && s.trusts(m.ID) {
			others = append(others, m.ID)
		}
	}
	for id, status := range askAll(ctx, others, s.mesh.Status) {
		if own := s.fence.Generation().Number; status.Generation > own {
			return givenUp(fmt.Errorf("%w: node %s is of generation %d, this is %d", consensus.ErrCutOff, id, status.Generation, own))
		}
	}
	return nil
}

// trusts reports whether a node's word of a later generation counts: that of one
// that is meant to vote, by what this node knows. A node that knows nobody yet
// believes whoever leads it.
func (s *Server) trusts(id bus.NodeID) (trusted bool) {
	err := s.state.View(func(tx *state.Tx) error {
		n, _ := tx.Node(id)
		cluster, _ := tx.Cluster()
		trusted = n.Voter || cluster == ""
		return nil
	})
	return err == nil && trusted
}

func givenUp(cause error) error {
	return bus.E(bus.CodeCutOff, bus.Defect{
		Field: "data_dir", Problem: bus.Text{ZH: "本节点的目录副本已作废", EN: "what this node has of the directory no longer counts"},
		Allowed: "gxbus recover --rejoin, which keeps its events and evidence",
	}).Because(cause)
}
