package server

import (
	"context"
	"time"

	"github.com/gxbus/gxbus/node/mesh"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/consensus"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

// The directory says what place each node is meant to have. Whoever leads makes
// the raft group so, a step at a time, and only steps that can be committed: what
// a crash leaves half done, the next leader finishes.

const (
	placePause   = time.Second // between two looks of the leader at the group
	settleTime   = 10 * time.Second
	settlePause  = 50 * time.Millisecond
	silentLonger = time.Minute // a node that has not answered for so long is reported
)

// placeMembers keeps the raft group as the directory means it to be, and tells of
// silent nodes, while this node leads.
func (s *Server) placeMembers(ctx context.Context) {
	var seen bus.Revision
	silent := silences{}
	for {
		_, changed := s.directory.Applied()
		if s.group.Leader() != s.self.Node {
			silent = silences{}
		} else {
			if err := s.placeAll(ctx); err != nil {
				s.logger.Warn("place a node in the directory group", "error", err)
			}
			s.reportSilence(silent)
		}
		if !s.membersChanged(ctx, changed, &seen) {
			return
		}
	}
}

// placeAll takes steps for as long as there are any and this node leads.
func (s *Server) placeAll(ctx context.Context) error {
	for s.group.Leader() == s.self.Node {
		if done, err := s.placeOne(ctx); done || err != nil {
			return err
		}
	}
	return nil
}

// membersChanged returns once the directory's nodes have changed or a moment has
// passed; false means that ctx ended.
func (s *Server) membersChanged(ctx context.Context, changed <-chan struct{}, seen *bus.Revision) bool {
	timer := time.NewTimer(placePause)
	defer timer.Stop()
	for {
		select {
		case <-timer.C:
			return true
		case <-ctx.Done():
			return false
		case <-changed:
		}
		_, changed = s.directory.Applied()
		var now bus.Revision
		_ = s.state.View(func(tx *state.Tx) error { // a damaged replica shows elsewhere
			now = tx.Revision(state.Nodes)
			return nil
		})
		if now != *seen {
			*seen = now
			return true
		}
	}
}

// move is one step towards what the directory means.
type move struct {
	node bus.NodeID
	to   string // member, voter, non-voter, none
}

// placeOne takes the first step that is due and can be committed; done means that
// there is none.
func (s *Server) placeOne(ctx context.Context) (done bool, err error) {
	members, err := s.group.Members()
	if err != nil {
		return false, err
	}
	moves, err := s.moves(members)
	if err != nil || len(moves) == 0 {
		return true, err
	}
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	var standings []bus.Standing // asked for only where a vote is at stake
	for _, m := range moves {
		step, vote := map[string]bus.Step{"voter": bus.StepPromote, "non-voter": bus.StepDemote, "none": bus.StepRemove}[m.to]
		if vote && standings == nil {
			standings = s.standings(ctx, members)
		}
		if vote && !canBe(bus.Foresee(standings, step, m.node)) {
			continue // later, perhaps
		}
		s.logger.Info("placing a node in the directory group", "node", m.node, "as", m.to)
		return false, s.take(ctx, m)
	}
	return true, nil
}

// canBe reports whether a step can be committed now. A node that is to vote must
// have caught up: before, it would only weaken the quorum.
func canBe(o bus.Outlook) bool {
	return o.Committable() && (o.Step != bus.StepPromote || len(o.Problems) == 0)
}

// moves lists what differs between the raft group and the directory.
func (s *Server) moves(members []consensus.Member) (moves []move, err error) {
	votes := map[bus.NodeID]bool{}
	for _, m := range members {
		votes[m.ID] = m.Voter
	}
	err = s.state.View(func(tx *state.Tx) error {
		for _, m := range members {
			if tx.Removed(m.ID) {
				moves = append(moves, move{m.ID, "none"})
			}
		}
		for n := range tx.Nodes() {
			switch voter, member := votes[n.ID]; {
			case !member:
				moves = append(moves, move{n.ID, "member"})
			case n.Votes() && !voter:
				moves = append(moves, move{n.ID, "voter"})
			case !n.Votes() && voter:
				moves = append(moves, move{n.ID, "non-voter"})
			}
		}
		return nil
	})
	return moves, err
}

// take carries out one step. The leader does not take its own vote: it hands the
// lead over, and its successor does.
func (s *Server) take(ctx context.Context, m move) error {
	switch {
	case m.to == "member":
		return s.group.AddNonvoter(ctx, m.node)
	case m.to == "voter":
		return s.group.Promote(ctx, m.node)
	case m.node == s.self.Node:
		return s.group.TransferLeadership(ctx, "")
	case m.to == "non-voter":
		return s.group.Demote(ctx, m.node)
	default:
		return s.group.Remove(ctx, m.node)
	}
}

// standings asks every member how it stands.
func (s *Server) standings(ctx context.Context, members []consensus.Member) []bus.Standing {
	ids := make([]bus.NodeID, len(members))
	for i, m := range members {
		ids[i] = m.ID
	}
	head, _ := s.directory.Applied()
	answers := everyNode(ctx, s, ids, s.Describe, s.mesh.Status)
	standings := make([]bus.Standing, len(members))
	for i, m := range members {
		a, live := answers[m.ID]
		standings[i] = bus.Standing{Node: m.ID, Voter: m.Voter, Live: live}
		if a.AppliedIndex < head {
			standings[i].Lag = uint64(head - a.AppliedIndex)
		}
	}
	return standings
}

// Foresee asks the leader what a step would make of the quorum.
func (s *Server) Foresee(ctx context.Context, step bus.Step, id bus.NodeID) (bus.Outlook, error) {
	return s.askLeader(ctx, mesh.Membership{Node: id, Step: step})
}

// Lead hands the lead over to a voter, to any where id is empty, in the name of a
// system administrator.
func (s *Server) Lead(ctx context.Context, by bus.Principal, id bus.NodeID) error {
	before := s.group.Leader()
	if _, err := s.askLeader(ctx, mesh.Membership{Node: id, Step: mesh.StepLead, By: by}); err != nil {
		return err
	}
	return s.until(ctx, func() bool {
		now := s.group.Leader()
		return now != "" && (now == id || id == "" && now != before)
	})
}

// askLeader puts a question of membership to the leader; while there is none it
// waits for one.
func (s *Server) askLeader(ctx context.Context, m mesh.Membership) (o bus.Outlook, err error) {
	waited := s.until(ctx, func() bool {
		switch leader := s.group.Leader(); leader {
		case "":
			err = bus.E(bus.CodeNoLeader)
		case s.self.Node:
			o, err = s.Member(ctx, s.self.Node, m)
		default:
			o, err = s.mesh.Member(ctx, leader, m)
		}
		return bus.CodeOf(err).Kind() != bus.KindUnavailable
	})
	if waited != nil && err == nil {
		err = waited
	}
	return o, err
}

// Member answers, on the leader, what a step would make of the quorum, or hands
// the lead over at the word of the node from.
func (s *Server) Member(ctx context.Context, from bus.NodeID, m mesh.Membership) (bus.Outlook, error) {
	if s.group.Leader() != s.self.Node {
		return bus.Outlook{}, bus.E(bus.CodeNoLeader)
	}
	members, err := s.group.Members()
	if err != nil {
		return bus.Outlook{}, err
	}
	if m.Step != mesh.StepLead {
		return bus.Foresee(s.standings(ctx, members), m.Step, m.Node), nil
	}
	return bus.Outlook{}, s.handOver(ctx, from, m, members)
}

func (s *Server) handOver(ctx context.Context, from bus.NodeID, m mesh.Membership, members []consensus.Member) error {
	if err := s.administrator(from, m.By); err != nil || m.Node == s.self.Node {
		return err
	}
	heir := m.Node == "" && len(members) > 1
	for _, member := range members {
		heir = heir || member.Voter && member.ID == m.Node
	}
	if !heir {
		return bus.E(bus.CodeInvalid, bus.Defect{
			Field: "node", Problem: bus.Text{ZH: "不是其他表决节点：" + string(m.Node), EN: "not another voter: " + string(m.Node)}, Allowed: "a voter, see gxbus node list",
		})
	}
	if err := s.group.TransferLeadership(ctx, m.Node); err != nil {
		return bus.E(bus.CodeUnavailable, bus.Defect{
			Field: "node", Problem: bus.Text{ZH: "未能移交主节点", EN: "the lead was not taken over"}, Allowed: "a voter that answers and has caught up",
		}).Because(err)
	}
	return nil
}

// administrator refuses whoever is no system administrator, or is not one that the
// node from vouches for. What a leader does without a directory entry no planner
// checks.
func (s *Server) administrator(from bus.NodeID, p bus.Principal) error {
	return s.state.View(func(tx *state.Tx) error {
		if err := tx.Vouch(from, p); err != nil && from != s.self.Node {
			return err
		}
		if a, ok := tx.Account(p.Account); !ok || a.Role != bus.RoleSystemAdministrator || p.Role != a.Role {
			return bus.E(bus.CodeForbidden)
		}
		return nil
	})
}

// Settled waits until the raft group has a node where the directory means it to
// be, and reports whether it has; false: it is under way and goes on by itself.
func (s *Server) Settled(ctx context.Context, id bus.NodeID) (bool, error) {
	var failed error
	err := s.until(ctx, func() bool {
		members, err := s.group.Members()
		if err != nil {
			failed = err
			return true
		}
		moves, err := s.moves(members)
		failed = err
		for _, m := range moves {
			if m.node == id {
				return err != nil
			}
		}
		return true
	})
	return err == nil, failed
}

// until waits, a few seconds at most, for a condition.
func (s *Server) until(ctx context.Context, condition func() bool) error {
	ctx, cancel := context.WithTimeout(ctx, settleTime)
	defer cancel()
	for !condition() {
		if !pause(ctx, settlePause) {
			return bus.E(bus.CodeUnavailable, bus.Defect{Problem: bus.Text{ZH: "尚未完成，仍在进行", EN: "not done yet; it is under way"}})
		}
	}
	return nil
}

// silences are the nodes that were reported as silent.
type silences map[bus.NodeID]bool

// update says who has fallen silent and who is back, given for how long each
// member has not answered.
func (s silences) update(now map[bus.NodeID]time.Duration) (fell, back []bus.NodeID) {
	for id, d := range now {
		if d >= silentLonger && !s[id] {
			s[id] = true
			fell = append(fell, id)
		}
	}
	for id := range s {
		if now[id] < silentLonger {
			delete(s, id)
			back = append(back, id)
		}
	}
	return fell, back
}

func (s *Server) reportSilence(reported silences) {
	now := map[bus.NodeID]time.Duration{}
	members, err := s.group.Members()
	if err != nil {
		return // raft is shutting down
	}
	all := s.group.Silences()
	for _, m := range members {
		now[m.ID] = all[m.ID]
	}
	fell, back := reported.update(now)
	for _, id := range fell {
		s.logger.Warn("node is silent", "node", id, "for", now[id].Round(time.Second))
	}
	for _, id := range back {
		if _, member := now[id]; member {
			s.logger.Info("node answers again", "node", id)
		}
	}
}
