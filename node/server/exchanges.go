package server

import (
	"cmp"
	"context"
	"slices"

	"github.com/gxbus/gxbus/node/mesh"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/exchange"
)

const (
	recordLimit = 100  // records of a page, where nothing is said
	mostRecords = 1000 // in one answer, or batches in one question
)

// Exchanges tells of exchanges as all nodes have them on record, each once: a batch by
// the node that sends it, with how far it came at the consumer's; a query by the node
// where it was asked. Each node judges for itself what by may see. One that did not
// answer is named, and what it sent to others is told by those.
func (s *Server) Exchanges(ctx context.Context, by bus.Principal, request string, q client.ExchangeQuery, page string) (out client.ExchangePage, err error) {
	at, err := readPlace(page)
	if err != nil {
		return out, err
	}
	search := exchange.Search{
		Search:   audit.Search{Grant: q.Grant, Case: q.Case, Trace: q.Trace, Department: q.Department, From: q.From, To: q.To, Limit: min(cmp.Or(q.Limit, recordLimit), mostRecords)},
		Resource: q.Resource, Mode: q.Mode, Status: q.Status, Fault: q.Fault,
	}
	nodes, found, err := s.askRecords(ctx, q.Here, at, mesh.RecordQuery{By: by, Request: request, Search: &search})
	if err != nil {
		return out, err
	}
	line := timeline[bus.ExchangeRecord]{place: at, limit: search.Limit}
	for _, id := range nodes {
		a, ok := found[id]
		if !ok {
			line.place.Silent = append(line.place.Silent, id)
			continue
		}
		from := source[bus.ExchangeRecord]{id: id, through: a.Through, more: a.More}
		for _, r := range a.Records {
			if _, tells := found[r.Peer]; !tells {
				r.Node = id // whatever it says of itself
				from.told = append(from.told, told[bus.ExchangeRecord]{r, r.Leaf, r.At})
			}
		}
		line.add(from)
	}
	out.Items, out.Silent = line.merge(), line.place.Silent
	if !q.Here {
		s.complete(ctx, by, request, out.Items, found)
	}
	out.Items = slices.DeleteFunc(out.Items, func(r bus.ExchangeRecord) bool { return !search.Wants(r) })
	if line.more {
		out.Next = line.place.String()
	}
	return out, nil
}

// askRecords asks the nodes that are not silent for their next page, or this one alone,
// which has let the caller in.
func (s *Server) askRecords(ctx context.Context, here bool, at place, q mesh.RecordQuery) (nodes []bus.NodeID, found map[bus.NodeID]mesh.RecordAnswer, err error) {
	question := func(id bus.NodeID) mesh.RecordQuery {
		own := *q.Search
		own.After = at.after(id)
		return mesh.RecordQuery{By: q.By, Request: q.Request, Search: &own}
	}
	if self := s.self.Node; here {
		a, err := s.record(ctx, question(self))
		return []bus.NodeID{self}, map[bus.NodeID]mesh.RecordAnswer{self: a}, err
	}
	if _, err := s.sees(s.self.Node, q.By); err != nil {
		return nil, nil, err // else all others would refuse, and seem silent
	}
	if nodes, err = s.nodes(); err != nil {
		return nil, nil, err
	}
	nodes = slices.DeleteFunc(nodes, func(id bus.NodeID) bool { return slices.Contains(at.Silent, id) })
	return nodes, s.askRecord(ctx, nodes, question), nil
}

// askRecord asks nodes for their halves of the record.
func (s *Server) askRecord(ctx context.Context, nodes []bus.NodeID, question func(bus.NodeID) mesh.RecordQuery) map[bus.NodeID]mesh.RecordAnswer {
	return askWithin(ctx, evidenceTimeout, nodes, func(ctx context.Context, id bus.NodeID) (mesh.RecordAnswer, error) {
		if id == s.self.Node {
			return s.RecordHere(ctx, id, question(id))
		}
		a, err := s.mesh.Record(ctx, id, question(id))
		if err != nil {
			s.logger.Debug("node did not tell of its exchanges", "node", id, "error", err)
		}
		return a, err
	})
}

// complete adds to batches what the nodes that answered have on record of how far they
// came: the consumer's, wherever it is served by now.
func (s *Server) complete(ctx context.Context, by bus.Principal, request string, records []bus.ExchangeRecord, answered map[bus.NodeID]mesh.RecordAnswer) {
	var nodes []bus.NodeID
	for id := range answered {
		nodes = append(nodes, id)
	}
	questions := map[bus.NodeID][]exchange.BatchID{}
	for _, r := range records {
		batch, ok := exchange.BatchOf(r)
		if !ok || !r.Status.OnTheWay() || !r.Received.IsZero() && r.AsOf.IsZero() {
			continue
		}
		for _, id := range nodes {
			if id != r.Node {
				questions[id] = append(questions[id], batch)
			}
		}
	}
	nodes = slices.DeleteFunc(nodes, func(id bus.NodeID) bool { return len(questions[id]) == 0 })
	found := s.askRecord(ctx, nodes, func(id bus.NodeID) mesh.RecordQuery {
		return mesh.RecordQuery{By: by, Request: request, Batches: questions[id]}
	})
	passed := map[exchange.BatchID]bus.ExchangeRecord{}
	for _, a := range found {
		for _, r := range a.Records {
			if batch, ok := exchange.BatchOf(r); ok {
				passed[batch] = r
			}
		}
	}
	for i := range records {
		batch, _ := exchange.BatchOf(records[i])
		if r, ok := passed[batch]; ok && records[i].Status.OnTheWay() {
			records[i].Status, records[i].AsOf = r.Status, r.AsOf
			records[i].Received, records[i].Delivered, records[i].Acknowledged = r.Received, r.Delivered, r.Acknowledged
			if records[i].Fault == "" {
				records[i].Fault, records[i].Code, records[i].Delayed = r.Fault, r.Code, r.Delayed
			}
		}
	}
}

// RecordHere tells another node, or this one, what this node has on record of exchanges,
// as far as the principal may see it in whose name it asks. That it was asked is recorded.
func (s *Server) RecordHere(ctx context.Context, from bus.NodeID, q mesh.RecordQuery) (mesh.RecordAnswer, error) {
	if _, err := s.sees(from, q.By); err != nil {
		return mesh.RecordAnswer{}, s.refused(ctx, from, q.By, q.Request, err)
	}
	if len(q.Batches) > mostRecords {
		return mesh.RecordAnswer{}, tooMany("batches", mostRecords)
	}
	return s.record(ctx, q)
}

// record tells what this node has on record of exchanges to who may see it.
func (s *Server) record(ctx context.Context, q mesh.RecordQuery) (a mesh.RecordAnswer, err error) {
	var watched func(bus.USCC) bool
	err = s.state.View(func(tx *state.Tx) (err error) {
		watched, err = exchange.Watched(tx, q.By)
		return err
	})
	if err != nil {
		return a, err
	}
	about := "how far batches came"
	if q.Search != nil {
		about = inOneLine(q.Search)
	}
	if err := s.inspected(ctx, q.By, q.Request, "exchanges: "+about); err != nil {
		return a, err
	}
	if q.Search == nil {
		a.Records, err = s.exchange.Passed(q.Batches, watched)
		return a, err
	}
	q.Search.Limit = min(q.Search.Limit, mostRecords)
	a.Records, a.Through, a.More, err = s.exchange.Exchanges(ctx, *q.Search, watched)
	return a, err
}
