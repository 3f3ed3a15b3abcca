package server

import (
	"cmp"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/gxbus/gxbus/node/mesh"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/event"
	"github.com/gxbus/gxbus/pkg/exchange"
)

const (
	askTimeout = 2 * time.Second // how long one node is waited for when all are asked
	absent     = "absent"        // suffrage of a node that the raft group does not have yet
)

// ID returns the cluster's id.
func (s *Server) ID() string { return s.self.Cluster }

// Accept takes a directory entry that another node forwards. One in the name of
// somebody for whom that node does not vouch is on record here too: there it may
// not be (threat S31).
func (s *Server) Accept(ctx context.Context, from bus.NodeID, entry []byte) (state.Result, error) {
	result, err := s.directory.Accept(ctx, from, entry)
	if code := bus.CodeOf(err); code == bus.CodeWrongNode {
		refusal := audit.Record{Kind: audit.KindRefused, Principal: bus.Principal{Node: from}, Code: code, Detail: "entry in the name of a principal of another node"}
		err = errors.Join(err, s.exchange.Refused(ctx, refusal))
	}
	return result, err
}

// tells refuses a node that may not know something, by a rule, and puts that on record.
func (s *Server) tells(ctx context.Context, from bus.NodeID, what string, rule func(*state.Tx) error) error {
	if from == s.self.Node {
		return nil
	}
	err := s.state.View(rule)
	if err == nil {
		return nil
	}
	return errors.Join(err, s.exchange.Refused(ctx, audit.Record{Kind: audit.KindRefused, Principal: bus.Principal{Node: from}, Code: bus.CodeOf(err), Detail: what}))
}

// ReadIndex answers the leader's read index to another node.
func (s *Server) ReadIndex(ctx context.Context) (bus.Revision, error) {
	return s.directory.ReadIndex(ctx)
}

// Receive takes a batch of events from another node.
func (s *Server) Receive(ctx context.Context, from bus.NodeID, batch exchange.Batch) error {
	return s.exchange.Receive(ctx, from, batch)
}

// Recall takes batches back that another node has sent.
func (s *Server) Recall(ctx context.Context, from bus.NodeID, back exchange.Recall) (received uint64, err error) {
	return s.exchange.Recall(ctx, from, back)
}

// Receipts takes what another node signed of subscriptions to what is provided here.
func (s *Server) Receipts(ctx context.Context, from bus.NodeID, signed []string) error {
	return s.exchange.TakeReceipts(ctx, from, signed)
}

// Answer answers a query that another node asks.
func (s *Server) Answer(ctx context.Context, from bus.NodeID, query event.Event, recorded exchange.Recorded) (*exchange.Reply, error) {
	return s.exchange.Answer(ctx, from, query, recorded)
}

// Describe tells of this node.
func (s *Server) Describe() (mesh.Status, error) {
	applied, _ := s.directory.Applied()
	r, g := s.peers.Relaying(), s.fence.Generation()
	status := mesh.Status{
		AppliedIndex: applied, Version: s.version, Time: s.now().UTC(), Generation: g.Number, Lineage: g.Lineage,
		Relaying: client.Relaying{Streams: r.Streams, Total: r.Total, Refused: r.Refused, Bytes: r.Bytes},
	}
	for id, silent := range s.group.Silences() {
		if status.Silent == nil {
			status.Silent = map[bus.NodeID]float64{}
		}
		status.Silent[id] = silent.Seconds()
	}
	var err error
	if status.Witness, err = s.witnessed(); err != nil {
		return status, err
	}
	for _, l := range s.policy.Status() {
		status.Layers = append(status.Layers, client.LayerState{ID: l.Layer, Revision: l.Revision, Digest: l.Digest, Problem: l.Error})
	}
	return status, nil
}

// CatchUp waits until this node's replica shows what the leader shows now. Where
// the leader cannot be asked in time it returns all the same: what follows is
// then decided on the replica as it is, and policy knows its age.
func (s *Server) CatchUp(ctx context.Context) {
	leader := s.group.Leader()
	if leader == "" || leader == s.self.Node {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	head, err := s.mesh.Status(ctx, leader)
	if err == nil {
		err = s.directory.Wait(ctx, head.AppliedIndex)
	}
	if err != nil {
		s.logger.Debug("catch up with the leader", "leader", leader, "error", err)
	}
}

// everyNode asks all nodes at once, this one by here, and returns the answers
// of those that gave one in time.
func everyNode[A any](ctx context.Context, s *Server, nodes []bus.NodeID, here func() (A, error), there func(context.Context, bus.NodeID) (A, error)) map[bus.NodeID]A {
	return askAll(ctx, nodes, func(ctx context.Context, id bus.NodeID) (A, error) {
		if id == s.self.Node {
			return here()
		}
		a, err := there(ctx, id)
		if err != nil {
			s.logger.Debug("node did not answer", "node", id, "error", err)
		}
		return a, err
	})
}

// askAll asks nodes at once and returns the answers of those that gave one in time.
func askAll[A any](ctx context.Context, nodes []bus.NodeID, ask func(context.Context, bus.NodeID) (A, error)) map[bus.NodeID]A {
	return askWithin(ctx, askTimeout, nodes, ask)
}

func askWithin[A any](ctx context.Context, patience time.Duration, nodes []bus.NodeID, ask func(context.Context, bus.NodeID) (A, error)) map[bus.NodeID]A {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	var mu sync.Mutex
	var asked sync.WaitGroup
	answers := map[bus.NodeID]A{}
	for _, id := range nodes {
		asked.Go(func() {
			if a, err := ask(ctx, id); err == nil {
				mu.Lock()
				defer mu.Unlock()
				answers[id] = a
			}
		})
	}
	asked.Wait()
	return answers
}

// Status shows the bus: who is a member, who leads, how far each has come.
func (s *Server) Status(ctx context.Context, withHash bool) (client.Status, error) {
	out := client.Status{Cluster: s.self.Cluster, Node: s.self.Node, Leader: s.group.Leader(), Term: s.group.Term()}
	age, err := s.directory.Age()
	if err != nil {
		return out, err
	}
	out.AgeSeconds = age.Seconds()
	err = s.state.View(func(tx *state.Tx) error {
		out.Epoch, out.Suspended = tx.Epoch(), tx.Suspended()
		return nil
	})
	if err != nil {
		return out, err
	}
	members, err := s.members()
	if err != nil {
		return out, err
	}
	ids := make([]bus.NodeID, len(members))
	for i, m := range members {
		ids[i] = m.ID
	}
	answers := everyNode(ctx, s, ids, s.Describe, s.mesh.Status)
	out.AppliedIndex = answers[s.self.Node].AppliedIndex
	inForce, err := s.layersInForce()
	if err != nil {
		return out, err
	}
	lead, led := answers[out.Leader]
	head := lead.AppliedIndex
	for i := range members {
		m := &members[i]
		if led && m.Suffrage != absent {
			silent := time.Duration(lead.Silent[m.ID] * float64(time.Second))
			m.LastHeard, m.Silent = s.now().Add(-silent).UTC().Truncate(time.Second), silent >= silentLonger
		}
		a, ok := answers[m.ID]
		m.Leader, m.Reachable = m.ID == out.Leader, ok
		m.AppliedIndex, m.Version, m.Layers, m.Relaying, m.Witness = a.AppliedIndex, a.Version, a.Layers, a.Relaying, a.Witness
		if ok {
			m.Layers = standing(a.Layers, inForce, answers[s.self.Node].Layers)
		}
		if ok && head > a.AppliedIndex {
			m.Lag = uint64(head - a.AppliedIndex)
		}
	}
	out.Members = members
	if !withHash {
		return out, nil
	}
	out.StateHash, out.AppliedIndex, err = s.stateHash()
	return out, err
}

func (s *Server) stateHash() (string, bus.Revision, error) {
	snapshot, err := s.state.Snapshot()
	if err != nil {
		return "", 0, err
	}
	defer snapshot.Close()
	hash, err := snapshot.Hash()
	return hex.EncodeToString(hash), snapshot.Index(), err
}

// members joins the directory's nodes with the raft group's servers.
func (s *Server) members() ([]client.Member, error) {
	servers, err := s.group.Members()
	if err != nil {
		return nil, err
	}
	suffrage := map[bus.NodeID]string{}
	for _, m := range servers {
		suffrage[m.ID] = "non-voter"
		if m.Voter {
			suffrage[m.ID] = "voter"
		}
	}
	var members []client.Member
	err = s.state.View(func(tx *state.Tx) error {
		for n := range tx.Nodes() {
			d, _ := tx.Division(n.Division)
			members = append(members, client.Member{
				ID: n.ID, Division: n.Division, DivisionName: d.Name, Level: d.Level,
				Suffrage: cmp.Or(suffrage[n.ID], absent), APIAddress: n.APIAddress, PeerAddress: n.PeerAddress, Relayed: n.Relayed(),
				Voter: n.Voter, Draining: n.Draining, CA: n.CA, Serves: tx.Serves(n.ID), Joined: n.Joined, Expires: n.Expires,
			})
		}
		return nil
	})
	slices.SortFunc(members, func(a, b client.Member) int {
		return cmp.Or(cmp.Compare(a.Division, b.Division), cmp.Compare(a.ID, b.ID))
	})
	return members, err
}

func (s *Server) nodes() (nodes []bus.NodeID, err error) {
	err = s.state.View(func(tx *state.Tx) error {
		for n := range tx.Nodes() {
			nodes = append(nodes, n.ID)
		}
		return nil
	})
	return nodes, err
}

// ask asks all nodes for what they recorded.
func (s *Server) ask(ctx context.Context, nodes []bus.NodeID, q mesh.TraceQuery) map[bus.NodeID]mesh.TraceAnswer {
	return everyNode(ctx, s, nodes,
		func() (mesh.TraceAnswer, error) { return s.TraceHere(ctx, s.self.Node, q) },
		func(ctx context.Context, id bus.NodeID) (mesh.TraceAnswer, error) { return s.mesh.Trace(ctx, id, q) })
}

// Watermark tells what a watermark that this node set stands for: the decision, and
// the steps of the batch, or of the query, that was answered on it, on all nodes.
func (s *Server) Watermark(ctx context.Context, by bus.Principal, request, mark string) (client.Trace, error) {
	leaf, first, err := s.exchange.Watermark(mark)
	if err != nil {
		return client.Trace{}, err
	}
	nodes, err := s.nodes()
	if err != nil {
		return client.Trace{}, err
	}
	trace := client.Trace{Resource: string(first.Resource)}
	if leaf.Record.Correlation != "" {
		trace.Steps, trace.Silent, err = s.queried(ctx, nodes, mesh.EvidenceQuery{By: by, Request: request}, leaf.Record)
		return trace, err
	}
	found := s.ask(ctx, nodes, mesh.TraceQuery{Event: first, By: by, Request: request})
	for _, id := range nodes {
		a, ok := found[id]
		if !ok {
			trace.Silent = append(trace.Silent, id)
		}
		for _, step := range a.Steps {
			var r audit.Record
			if json.Unmarshal(step.Record, &r) == nil && r.Subscription == leaf.Record.Subscription {
				trace.Steps = append(trace.Steps, step)
			}
		}
	}
	return trace, inOrder(trace.Steps)
}

// inOrder sorts steps by time, then node, then place in its log.
func inOrder(steps []client.TraceStep) error {
	at := make(map[string]time.Time, len(steps))
	key := func(s client.TraceStep) string { return fmt.Sprint(s.Node, s.Leaf) }
	for _, step := range steps {
		var r audit.Record
		if err := json.Unmarshal(step.Record, &r); err != nil {
			return fmt.Errorf("trace of node %s, leaf %d: %w", step.Node, step.Leaf, err)
		}
		at[key(step)] = r.At
	}
	slices.SortStableFunc(steps, func(a, b client.TraceStep) int {
		return cmp.Or(at[key(a)].Compare(at[key(b)]), cmp.Compare(a.Node, b.Node), cmp.Compare(a.Leaf, b.Leaf))
	})
	return nil
}
