package server

import (
	"context"
	"fmt"
	"time"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/exchange"
)

// surveyTimeout is how long a node is waited for that may be declared lost: one
// that is only slow must not be.
const surveyTimeout = 10 * time.Second

// Handover gives another node what is here of a department that moves to it.
func (s *Server) Handover(ctx context.Context, from bus.NodeID, ask exchange.Handover) (exchange.Parcel, error) {
	return s.exchange.Handover(ctx, from, ask)
}

// SurveyHere says what this node keeps for a department, to nodes through which
// administrators move it.
func (s *Server) SurveyHere(ctx context.Context, from bus.NodeID, id bus.USCC) (exchange.Survey, error) {
	voter := func(tx *state.Tx) error { return tx.Votes(from) }
	if err := s.tells(ctx, from, "survey of a department", voter); err != nil {
		return exchange.Survey{}, err
	}
	return s.exchange.Survey(id)
}

// Survey says what a node keeps for a department; CodeUnavailable where it does
// not answer, CodeWrongNode where it does not tell this one.
func (s *Server) Survey(ctx context.Context, at bus.NodeID, id bus.USCC) (exchange.Survey, error) {
	if at == s.self.Node {
		return s.exchange.Survey(id)
	}
	ctx, cancel := context.WithTimeout(ctx, surveyTimeout)
	defer cancel()
	return s.mesh.Survey(ctx, at, id)
}

// arrived writes the entry that ends a move to this node. The same again is
// answered as the first time.
func (s *Server) arrived(ctx context.Context, id bus.USCC, epoch bus.Revision) error {
	entry, err := command.New(command.DepartmentMoved, bus.Principal{Node: s.self.Node}, fmt.Sprintf("moved-%s-%d", id, epoch), 0, command.Moved{Department: id, Epoch: epoch})
	if err != nil {
		return err
	}
	_, err = s.directory.Write(ctx, entry)
	return err
}
