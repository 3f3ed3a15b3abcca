package server

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"slices"
	"time"

	"github.com/gxbus/gxbus/node/mesh"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/exchange"
)

const (
	evidenceTimeout = 5 * time.Second // how long one node is waited for: it may look for a second
	evidenceBytes   = 4 << 20         // of the records in one node's answer, about
	traceLimit      = 1000            // steps of a page, where nothing is said
)

// Trace tells what all nodes recorded of an event, or of what q is for, as far as by
// may see it: each node judges that for itself. A node that did not answer is named.
func (s *Server) Trace(ctx context.Context, by bus.Principal, request string, q client.TraceQuery, page string) (client.Trace, error) {
	at, err := readPlace(page)
	if err != nil {
		return client.Trace{}, err
	}
	limit := math.MaxInt // an event has few
	ask := mesh.EvidenceQuery{By: by, Request: request}
	if q.Event == "" {
		limit = cmp.Or(q.Limit, traceLimit)
		ask.Search = &audit.Search{Grant: q.Grant, Case: q.Case, Matter: q.Matter, Department: q.Department, From: q.From, To: q.To, Limit: limit}
		if err := bus.Invalid(ask.Search.Check()); err != nil {
			return client.Trace{}, err
		}
	}
	if _, err := s.sees(s.self.Node, by); err != nil {
		return client.Trace{}, err // else all others would refuse, and seem silent
	}
	trace := client.Trace{Event: q.Event, Steps: []client.TraceStep{}}
	nodes, err := s.nodes()
	if err != nil {
		return trace, err
	}
	if q.Event != "" {
		if ask.Occurrences, nodes, err = s.locate(ctx, by, request, q.Event); err != nil {
			return trace, err
		}
	}
	line, err := s.timeline(ctx, nodes, ask, at, limit)
	if err != nil {
		return trace, err
	}
	trace.Steps, trace.Silent = line.merge(), line.place.Silent
	if q.Event != "" && len(trace.Steps) == 0 && len(trace.Silent) == 0 {
		return trace, bus.NotFound("event", q.Event)
	}
	if line.more {
		trace.Next = line.place.String()
	}
	return trace, nil
}

// timeline asks nodes for what they recorded beyond at.
func (s *Server) timeline(ctx context.Context, nodes []bus.NodeID, ask mesh.EvidenceQuery, at place, limit int) (*timeline[client.TraceStep], error) {
	nodes = slices.DeleteFunc(slices.Clone(nodes), func(id bus.NodeID) bool { return slices.Contains(at.Silent, id) })
	found := askWithin(ctx, evidenceTimeout, nodes, func(ctx context.Context, id bus.NodeID) (mesh.EvidenceAnswer, error) {
		q := at.question(ask, id)
		if id == s.self.Node {
			return s.EvidenceHere(ctx, id, q)
		}
		a, err := s.mesh.Evidence(ctx, id, q)
		if err != nil {
			s.logger.Debug("node did not tell of its evidence", "node", id, "error", err)
		}
		return a, err
	})
	line := &timeline[client.TraceStep]{place: at, limit: limit}
	for _, id := range nodes {
		a, ok := found[id]
		if !ok {
			line.place.Silent = append(line.place.Silent, id)
			continue
		}
		steps, err := toldBy(id, a.Steps)
		if err != nil {
			return nil, err
		}
		line.add(source[client.TraceStep]{id, steps, a.Through, a.More})
	}
	return line, nil
}

// apart is how far the steps of one query may lie apart, by the clocks of two nodes: none
// takes as long as a minute.
const apart = 10 * time.Minute

// queried tells all that nodes recorded of a query, of which one step is given.
func (s *Server) queried(ctx context.Context, nodes []bus.NodeID, ask mesh.EvidenceQuery, step audit.Record) (steps []client.TraceStep, silent []bus.NodeID, err error) {
	ask.Search = &audit.Search{
		Correlation: step.Correlation, Grant: step.Grant, Case: step.Case, Department: step.Consumer,
		From: step.At.Add(-apart), To: step.At.Add(apart), Limit: traceLimit,
	}
	at := place{After: map[bus.NodeID]int64{}}
	for {
		line, err := s.timeline(ctx, nodes, ask, at, traceLimit)
		if err != nil {
			return nil, nil, err
		}
		steps, at = append(steps, line.merge()...), line.place
		if !line.more {
			return steps, at.Silent, nil
		}
	}
}

// EvidenceHere tells another node, or this one, what this node recorded, as far as the
// principal may see it in whose name it asks. That it was asked is recorded.
func (s *Server) EvidenceHere(ctx context.Context, from bus.NodeID, q mesh.EvidenceQuery) (a mesh.EvidenceAnswer, err error) {
	sees, err := s.sees(from, q.By)
	if err != nil {
		return a, s.refused(ctx, from, q.By, q.Request, err)
	}
	about := inOneLine(q.Search)
	if q.Search == nil {
		about = inOneLine(q.Occurrences)
	}
	if err := few(q.Occurrences); err != nil {
		return a, err
	}
	if err := s.inspected(ctx, q.By, q.Request, "trace of "+about); err != nil {
		return a, err
	}
	size := 0
	tell := func(leaf audit.Leaf) error {
		step, err := s.step(leaf, q.By)
		size += len(step.Record)
		a.Steps = append(a.Steps, step)
		return err
	}
	if q.Search == nil {
		return a, s.occurred(q.Occurrences, sees, tell)
	}
	limit := min(q.Search.Limit, traceLimit)
	q.Search.Limit = limit
	var failed error
	a.Through, a.More, err = s.exchange.Find(ctx, *q.Search, func(leaf audit.Leaf) bool {
		if sees(leaf.Record) {
			failed = errors.Join(failed, tell(leaf))
		}
		return len(a.Steps) == limit || size >= evidenceBytes
	})
	return a, errors.Join(err, failed)
}

// occurred tells the leaves about events, each once.
func (s *Server) occurred(events []exchange.Occurrence, sees func(audit.Record) bool, tell func(audit.Leaf) error) error {
	var all []audit.Leaf
	for _, at := range events {
		leaves, err := s.exchange.Steps(at)
		if err != nil {
			return err
		}
		all = append(all, leaves...)
	}
	slices.SortFunc(all, func(a, b audit.Leaf) int { return cmp.Compare(a.Index, b.Index) })
	all = slices.CompactFunc(all, func(a, b audit.Leaf) bool { return a.Index == b.Index })
	for _, leaf := range all {
		if !sees(leaf.Record) {
			continue
		}
		if err := tell(leaf); err != nil {
			return err
		}
	}
	return nil
}

// step is a leaf as it is told to a principal. What a layer saw is for who writes
// policies.
func (s *Server) step(leaf audit.Leaf, to bus.Principal) (client.TraceStep, error) {
	if to.Role != bus.RoleAuditor {
		leaf.Record.Grounds = nil
	}
	data, err := json.Marshal(leaf.Record)
	return client.TraceStep{Node: s.self.Node, Leaf: leaf.Index, Record: data}, err
}

// refused puts on record that a node asked in a name that it may not ask in.
func (s *Server) refused(ctx context.Context, from bus.NodeID, by bus.Principal, request string, err error) error {
	return errors.Join(err, s.exchange.Refused(ctx, audit.Record{
		Kind: audit.KindRefused, Principal: bus.Principal{Node: from}, Request: request, Code: bus.CodeOf(err), Detail: "evidence in the name of " + by.String(),
	}))
}

// inspected puts on record that somebody looks into the evidence, before anything of it
// is told.
func (s *Server) inspected(ctx context.Context, by bus.Principal, request, what string) error {
	return s.exchange.Record(ctx, audit.Record{Kind: audit.KindInspected, Principal: by, Request: request, Detail: what})
}

// mostEvents is how many events one question between nodes may be about: a CloudEvents
// id is one event of each source at most.
const mostEvents = 1000

func few(events []exchange.Occurrence) error {
	if len(events) <= mostEvents {
		return nil
	}
	return tooMany("occurrences", mostEvents)
}

func tooMany(field string, most int) error {
	return bus.E(bus.CodeInvalid, bus.Defect{Field: field, Problem: bus.Text{ZH: "过多", EN: "too many"}, Allowed: fmt.Sprintf("at most %d", most)})
}

// LocateHere tells a node where this one keeps an event, as far as the principal in
// whose name it asks has to do with it: one who may see a step of it, or whose
// department, or one of those that it watches, provides or subscribes to the resource.
func (s *Server) LocateHere(ctx context.Context, from bus.NodeID, q mesh.LocateQuery) (a mesh.LocateAnswer, err error) {
	sees, err := s.sees(from, q.By)
	if err != nil {
		return a, s.refused(ctx, from, q.By, q.Request, err)
	}
	found, err := s.exchange.Occurrences(q.Event)
	if err != nil {
		return a, err
	}
	for _, at := range found {
		concerned, err := s.concerned(sees, at)
		if err != nil {
			return a, err
		}
		if concerned {
			a.Occurrences = append(a.Occurrences, at)
		}
	}
	return a, nil
}

// concerned reports whether who sees so may know that there is an event.
func (s *Server) concerned(sees func(audit.Record) bool, at exchange.Occurrence) (concerned bool, err error) {
	err = s.state.View(func(tx *state.Tx) error {
		concerned = sees(audit.Record{Provider: tx.Provider(at.Resource)})
		for sub := range tx.Subscriptions() {
			concerned = concerned || sub.Resource == at.Resource && sees(audit.Record{Consumer: sub.Consumer})
		}
		return nil
	})
	if err != nil || concerned {
		return concerned, err
	}
	leaves, err := s.exchange.Steps(at)
	return slices.ContainsFunc(leaves, func(leaf audit.Leaf) bool { return sees(leaf.Record) }), err
}

// TraceHere tells the node that serves an event's provider what this one recorded of
// it for that provider; another node, what the principal may see in whose name it asks.
func (s *Server) TraceHere(ctx context.Context, from bus.NodeID, q mesh.TraceQuery) (a mesh.TraceAnswer, err error) {
	sees, err := s.follows(from, q)
	if err != nil {
		return a, s.refused(ctx, from, q.By, q.Request, err)
	}
	return a, s.occurred([]exchange.Occurrence{q.Event}, sees, func(leaf audit.Leaf) error {
		step, err := s.step(leaf, q.By)
		a.Steps = append(a.Steps, step)
		return err
	})
}

// follows says which leaves about an event a node may be told of. A provider may see
// how far its events have come, to each of its subscribers, and its node asks for it.
// Whoever asks at this very node has been let in by it.
func (s *Server) follows(from bus.NodeID, q mesh.TraceQuery) (sees func(audit.Record) bool, err error) {
	err = s.state.View(func(tx *state.Tx) error {
		provider := tx.Provider(q.Event.Resource)
		switch {
		case provider != "" && tx.Vouch(from, bus.Principal{Department: provider}) == nil:
			sees = func(r audit.Record) bool { return r.Provider == provider }
			return nil
		case from != s.self.Node:
			if err := tx.Speaks(from, q.By); err != nil {
				return err
			}
		}
		sees, err = exchange.Sees(tx, q.By)
		return err
	})
	return sees, err
}

// sees says which leaves a principal may be told of through a node: one for whom that
// node does not vouch, or who is not what it says he is, is told of none (threat S31).
func (s *Server) sees(through bus.NodeID, by bus.Principal) (sees func(audit.Record) bool, err error) {
	err = s.state.View(func(tx *state.Tx) error {
		if err := tx.Speaks(through, by); err != nil {
			return err
		}
		sees, err = exchange.Sees(tx, by)
		return err
	})
	return sees, err
}

// inOneLine says what a question is about.
func inOneLine(question any) string {
	const most = 400 // bytes; what is longer was asked to be
	about, err := json.Marshal(question)
	if err != nil || len(about) > most { // never an error, of these
		return "much"
	}
	return string(about)
}

// question is what to ask a node.
func (p place) question(q mesh.EvidenceQuery, id bus.NodeID) mesh.EvidenceQuery {
	if q.Search == nil {
		return q
	}
	s := *q.Search
	s.After = p.after(id)
	q.Search = &s
	return q
}

// toldBy are the steps that a node told, each with its time.
func toldBy(id bus.NodeID, steps []client.TraceStep) ([]told[client.TraceStep], error) {
	all := make([]told[client.TraceStep], len(steps))
	for i, step := range steps {
		var when struct {
			At time.Time `json:"at"`
		}
		if err := json.Unmarshal(step.Record, &when); err != nil {
			return nil, fmt.Errorf("evidence of node %s, leaf %d: %w", id, step.Leaf, err)
		}
		step.Node = id // whatever it says of itself
		all[i] = told[client.TraceStep]{step, step.Leaf, when.At}
	}
	return all, nil
}
