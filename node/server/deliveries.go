package server

import (
	"cmp"
	"context"
	"encoding/json"
	"slices"

	"github.com/gxbus/gxbus/node/mesh"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/exchange"
)

// Deliveries tells how far an event has come to each subscription: what this node, the
// provider's, knows, and what the consumers' nodes recorded. Whoever is neither the
// provider nor an administrator is told that there is no such event.
func (s *Server) Deliveries(ctx context.Context, by bus.Principal, id, source string) (found []client.Deliveries, err error) {
	where, err := s.exchange.Occurrences(id)
	if err != nil {
		return nil, err
	}
	for _, at := range where {
		if !s.mayFollow(by, at.Resource) {
			continue
		}
		from, all, err := s.exchange.Standings(at, source)
		if bus.CodeOf(err) == bus.CodeNotFound { // nothing is left of it, or it is of another source
			continue
		}
		if err != nil {
			return nil, err
		}
		if err := s.askConsumers(ctx, at, all); err != nil {
			return nil, err
		}
		found = append(found, client.Deliveries{Event: id, Source: from, Resource: at.Resource, Sequence: at.Sequence, Deliveries: all})
	}
	if len(found) == 0 {
		return nil, bus.NotFound("event", id)
	}
	slices.SortFunc(found, func(a, b client.Deliveries) int {
		return cmp.Or(cmp.Compare(a.Resource, b.Resource), cmp.Compare(a.Sequence, b.Sequence))
	})
	return found, nil
}

func (s *Server) mayFollow(by bus.Principal, id bus.ResourceID) (may bool) {
	_ = s.state.View(func(tx *state.Tx) error { // an error leaves it at no
		r, ok := tx.Resource(id)
		may = ok && (by.Role.Administrator() || by.Department == r.Provider)
		return nil
	})
	return may
}

// askConsumers asks the consumers' nodes for what they recorded, each once. For one
// that does not answer, its newest receipt does.
func (s *Server) askConsumers(ctx context.Context, at exchange.Occurrence, all []bus.Delivery) (err error) {
	var nodes []bus.NodeID
	for _, d := range all {
		if exchange.Elsewhere(d) && d.Node != "" && !slices.Contains(nodes, d.Node) {
			nodes = append(nodes, d.Node)
		}
	}
	told := s.ask(ctx, nodes, mesh.TraceQuery{Event: at})
	for i, d := range all {
		if !exchange.Elsewhere(d) {
			continue
		}
		if answer, ok := told[d.Node]; ok {
			all[i] = exchange.Follow(d, leavesOf(answer))
			continue
		}
		d.Silent = true
		if all[i], err = s.exchange.ByReceipt(d, at.Sequence); err != nil {
			return err
		}
	}
	return nil
}

// leavesOf reads the steps that a node told of, but for those of a newer release.
func leavesOf(a mesh.TraceAnswer) (leaves []audit.Leaf) {
	for _, step := range a.Steps {
		leaf := audit.Leaf{Index: step.Leaf}
		if json.Unmarshal(step.Record, &leaf.Record) == nil {
			leaves = append(leaves, leaf)
		}
	}
	return leaves
}
