package consensus

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/hashicorp/raft"
)

// Member is a server of the group.
type Member struct {
	ID    bus.NodeID
	Voter bool
}

// Members lists the servers of the latest configuration.
func (g *Group) Members() ([]Member, error) {
	future := g.raft.GetConfiguration()
	if err := future.Error(); err != nil {
		return nil, fmt.Errorf("read membership: %w", err)
	}
	var members []Member
	for _, s := range future.Configuration().Servers {
		members = append(members, Member{bus.NodeID(s.ID), s.Suffrage == raft.Voter})
	}
	return members, nil
}

// AddNonvoter admits a node that receives the log and does not vote; on the
// leader only. A member stays what it is.
func (g *Group) AddNonvoter(ctx context.Context, id bus.NodeID) error {
	members, err := g.Members()
	if err != nil {
		return err
	}
	for _, m := range members {
		if m.ID == id {
			return nil
		}
	}
	return g.wait(ctx, g.raft.AddNonvoter(raft.ServerID(id), raft.ServerAddress(id), 0, patience(ctx)))
}

// Promote makes a member a voter; on the leader only.
func (g *Group) Promote(ctx context.Context, id bus.NodeID) error {
	return g.wait(ctx, g.raft.AddVoter(raft.ServerID(id), raft.ServerAddress(id), 0, patience(ctx)))
}

// Demote takes a member's vote; it goes on receiving the log. On the leader only,
// and not of the leader: see TransferLeadership.
func (g *Group) Demote(ctx context.Context, id bus.NodeID) error {
	return g.wait(ctx, g.raft.DemoteVoter(raft.ServerID(id), 0, patience(ctx)))
}

// Remove takes a member out of the group; on the leader only, and not the leader.
func (g *Group) Remove(ctx context.Context, id bus.NodeID) error {
	return g.wait(ctx, g.raft.RemoveServer(raft.ServerID(id), 0, patience(ctx)))
}

// TransferLeadership hands the lead over to a voter, to the one that is furthest
// on where id is empty; on the leader only.
func (g *Group) TransferLeadership(ctx context.Context, id bus.NodeID) error {
	if id == "" {
		return g.wait(ctx, g.raft.LeadershipTransfer())
	}
	return g.wait(ctx, g.raft.LeadershipTransferToServer(raft.ServerID(id), raft.ServerAddress(id)))
}

// Term is the present term, as far as this node knows.
func (g *Group) Term() uint64 { return g.raft.CurrentTerm() }

// Silences gives the members that do not answer this leader's heartbeats, and
// for how long they have not: at most since this node leads. Empty where it does
// not lead.
func (g *Group) Silences() map[bus.NodeID]time.Duration {
	if g.raft.State() != raft.Leader {
		return nil
	}
	return g.contacts.silences()
}

// contacts follows what raft observes of its heartbeats.
type contacts struct {
	raft     *raft.Raft
	observer *raft.Observer
	channel  chan raft.Observation
	done     sync.WaitGroup

	mu   sync.Mutex
	last map[bus.NodeID]time.Time // of those whose heartbeats fail
}

func watchContacts(r *raft.Raft) *contacts {
	c := &contacts{raft: r, channel: make(chan raft.Observation, 64), last: map[bus.NodeID]time.Time{}}
	// Blocking: a heartbeat that resumed and was not seen would leave a member
	// silent for ever. Whoever sends waits for a map entry at most.
	c.observer = raft.NewObserver(c.channel, true, func(o *raft.Observation) bool {
		switch o.Data.(type) {
		case raft.FailedHeartbeatObservation, raft.ResumedHeartbeatObservation, raft.PeerObservation, raft.RaftState:
			return true
		}
		return false
	})
	c.done.Go(func() {
		for o := range c.channel {
			c.see(o.Data)
		}
	})
	r.RegisterObserver(c.observer)
	return c
}

func (c *contacts) see(observed any) {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch o := observed.(type) {
	case raft.FailedHeartbeatObservation:
		c.last[bus.NodeID(o.PeerID)] = o.LastContact
	case raft.ResumedHeartbeatObservation:
		delete(c.last, bus.NodeID(o.PeerID))
	case raft.PeerObservation:
		if o.Removed {
			delete(c.last, bus.NodeID(o.Peer.ID))
		}
	case raft.RaftState: // another term of leadership begins anew
		clear(c.last)
	}
}

func (c *contacts) silences() map[bus.NodeID]time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	silent := make(map[bus.NodeID]time.Duration, len(c.last))
	for id, at := range c.last {
		silent[id] = time.Since(at)
	}
	return silent
}

// close stops following; raft is shut down by now and observes nothing more.
func (c *contacts) close() {
	c.raft.DeregisterObserver(c.observer)
	close(c.channel)
	c.done.Wait()
}
