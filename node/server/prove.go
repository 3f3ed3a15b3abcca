package server

import (
	"context"
	"encoding/json"
	"slices"
	"time"

	"github.com/gxbus/gxbus/node/mesh"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/exchange"
	"go.etcd.io/bbolt"
)

// proveTimeout is how long one node is waited for: it signs its log first, and has
// that cosigned.
const proveTimeout = 10 * time.Second

// Prove makes the file that proves what is recorded of an event, signed by this
// node, with what the other nodes prove of it.
func (s *Server) Prove(ctx context.Context, by bus.Principal, request, event string) (client.ProofFile, error) {
	if err := s.audits(s.self.Node, by); err != nil {
		return client.ProofFile{}, err // else all others would refuse, and seem silent
	}
	where, nodes, err := s.locate(ctx, by, request, event)
	if err != nil {
		return client.ProofFile{}, err
	}
	proof := audit.Proof{Event: event, Made: s.now().UTC(), Node: s.self.Node}
	q := mesh.ProofQuery{By: by, Request: request, Occurrences: where}
	found := askWithin(ctx, proveTimeout, nodes, func(ctx context.Context, id bus.NodeID) (mesh.ProofAnswer, error) {
		if id == s.self.Node {
			return s.ProveHere(ctx, id, q)
		}
		return s.mesh.Prove(ctx, id, q)
	})
	for _, id := range nodes {
		a, ok := found[id]
		switch {
		case !ok:
			proof.Silent = append(proof.Silent, id)
		case a.Log != nil:
			proof.Logs = append(proof.Logs, *a.Log)
		}
	}
	if len(proof.Logs) == 0 {
		return client.ProofFile{}, bus.NotFound("event", event)
	}
	if proof.Grants, err = s.grantsOf(proof.Logs); err != nil {
		return client.ProofFile{}, err
	}
	file, err := proof.Seal(s.self.signer)
	return client.ProofFile{File: string(file)}, err
}

// audits refuses whoever is not an auditor for whom a node vouches.
func (s *Server) audits(through bus.NodeID, by bus.Principal) error {
	_, err := s.sees(through, by)
	if err == nil && by.Role != bus.RoleAuditor {
		err = bus.E(bus.CodeForbidden)
	}
	return err
}

// locate asks all nodes, in somebody's name, where they keep an event.
func (s *Server) locate(ctx context.Context, by bus.Principal, request, event string) (where []exchange.Occurrence, nodes []bus.NodeID, err error) {
	if nodes, err = s.nodes(); err != nil {
		return nil, nil, err
	}
	q := mesh.LocateQuery{By: by, Request: request, Event: event}
	first := everyNode(ctx, s, nodes,
		func() (mesh.LocateAnswer, error) { return s.LocateHere(ctx, s.self.Node, q) },
		func(ctx context.Context, id bus.NodeID) (mesh.LocateAnswer, error) { return s.mesh.Locate(ctx, id, q) })
	for _, a := range first {
		where = append(where, a.Occurrences...)
	}
	if len(where) == 0 && len(first) == len(nodes) {
		return nil, nodes, bus.NotFound("event", event)
	}
	slices.SortFunc(where, exchange.Occurrence.Compare)
	return slices.Compact(where), nodes, nil // a node that an event has moved from may still have it
}

// ProveHere proves what this node recorded of events, under a checkpoint that is
// cosigned if that can be had.
func (s *Server) ProveHere(ctx context.Context, from bus.NodeID, q mesh.ProofQuery) (a mesh.ProofAnswer, err error) {
	if err := s.audits(from, q.By); err != nil {
		return a, s.refused(ctx, from, q.By, q.Request, err)
	}
	if err := few(q.Occurrences); err != nil {
		return a, err
	}
	if err := s.inspected(ctx, q.By, q.Request, "proof of "+inOneLine(q.Occurrences)); err != nil {
		return a, err
	}
	head, err := s.cosignedHead(ctx)
	if err != nil {
		return a, err
	}
	log, ok, err := s.exchange.Prove(head, q.Occurrences)
	if ok {
		a.Log = &log
	}
	return a, err
}

// cosignedHead signs the head of the log and has it cosigned if that can be had.
func (s *Server) cosignedHead(ctx context.Context) (head bus.Checkpoint, err error) {
	s.signing.Lock()
	defer s.signing.Unlock()
	err = s.store.Commit(ctx, func(tx *bbolt.Tx) error {
		head, err = s.log.Checkpoint(tx, s.self.signer)
		return err
	})
	if err != nil {
		return head, err
	}
	head, err = s.askWitness(ctx, head)
	s.witness.tell(s, err) // an isolated node goes on
	return head, nil
}

// grantsOf are the grants that leaves name, as the directory has them.
func (s *Server) grantsOf(logs []audit.LogProof) (grants []bus.Grant, err error) {
	err = s.state.View(func(tx *state.Tx) error {
		seen := map[bus.GrantID]bool{}
		for _, log := range logs {
			for _, leaf := range log.Leaves {
				var r audit.Record
				if err := json.Unmarshal(leaf.Data, &r); err != nil || r.Grant == "" || seen[r.Grant] {
					continue // of a newer release: the file holds it all the same
				}
				seen[r.Grant] = true
				if g, ok := tx.Grant(r.Grant); ok {
					grants = append(grants, g)
				}
			}
		}
		return nil
	})
	return grants, err
}
