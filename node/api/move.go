package api

import (
	"context"
	"fmt"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
	"github.com/gxbus/gxbus/pkg/exchange"
)

// Surveyor asks a node what it keeps for a department.
type Surveyor interface {
	Survey(ctx context.Context, at bus.NodeID, id bus.USCC) (exchange.Survey, error)
}

func (a *API) addMoves(h huma.API) {
	op := func(id, method, summary, description string) huma.Operation {
		return huma.Operation{
			OperationID: id, Method: method, Path: "/api/v1/departments/{id}/move", Tags: []string{"departments"},
			Summary: summary, Description: description,
		}
	}
	show := op("show-move", http.MethodGet, "Show what a move of a department would take along, or how far it has come", "")
	handle(a, h, show, func(ctx context.Context, p bus.Principal, in *ByID) (*answer[client.DepartmentMove], error) {
		if !administrator(p) {
			return nil, bus.E(bus.CodeForbidden)
		}
		return a.moveOf(ctx, bus.USCC(in.ID))
	})
	type begin struct {
		ByID
		Sent[client.MoveRequest]
	}
	start := op("move-department", http.MethodPost, "Move a department to another node",
		"Answers once the move has begun. The department's steps are then answered 503 department-moving until the new node serves it; nothing of them is lost.")
	handle(a, h, describes[client.MoveRequest](a, h, start), func(ctx context.Context, p bus.Principal, in *begin) (*answer[client.DepartmentMove], error) {
		request, err := in.decode()
		if err != nil {
			return nil, err
		}
		return a.beginMove(ctx, p, bus.USCC(in.ID), request)
	})
	abort := op("abort-move", http.MethodDelete, "Abort the move of a department", "The department goes on at the node where it was.")
	handle(a, h, abort, func(ctx context.Context, p bus.Principal, in *ByID) (*answer[client.DepartmentMove], error) {
		if _, err := a.write(ctx, p, command.DepartmentAbort, 0, command.Key{ID: in.ID}, in.ID); err != nil {
			return nil, err
		}
		return a.moveOf(ctx, bus.USCC(in.ID))
	})
}

// beginMove asks the directory for a move once both nodes can do their parts:
// the old one has to hand over, unless it is to be abandoned, and then it must
// not be there.
func (a *API) beginMove(ctx context.Context, p bus.Principal, id bus.USCC, in client.MoveRequest) (*answer[client.DepartmentMove], error) {
	if err := only(bus.RoleSystemAdministrator, p); err != nil {
		return nil, err
	}
	var home bus.NodeID
	var known bool
	var lost client.MoveTally
	_, err := a.read(func(tx *state.Tx) error {
		d, ok := tx.Department(id)
		if !ok {
			return bus.NotFound("department", string(id))
		}
		home, _ = tx.Home(d)
		_, known = tx.Node(in.To)
		lost = tallyOf(tx, id)
		return nil
	})
	if err != nil {
		return nil, err
	}
	if home != "" && home != in.To && known { // else the directory refuses, and says why
		if err := a.reachable(ctx, id, home, in, lost); err != nil {
			return nil, err
		}
	}
	if _, err := a.write(ctx, p, command.DepartmentMove, 0, command.Move{Department: id, To: in.To, Abandon: in.Abandon}, fmt.Sprintf("%s to %s, abandon %t", id, in.To, in.Abandon)); err != nil {
		return nil, err
	}
	return a.moveOf(ctx, id)
}

func (a *API) reachable(ctx context.Context, id bus.USCC, home bus.NodeID, in client.MoveRequest, lost client.MoveTally) error {
	_, fromErr := a.Surveyor.Survey(ctx, home, id)
	_, toErr := a.Surveyor.Survey(ctx, in.To, id)
	for _, err := range []error{fromErr, toErr} { // a node that refuses is not lost
		if bus.CodeOf(err) == bus.CodeWrongNode {
			return err
		}
	}
	var defects []bus.Defect
	if fromErr == nil && in.Abandon {
		return bus.E(bus.CodeInvalid, bus.Defect{
			Field:   "abandon",
			Problem: bus.Text{ZH: "节点 " + string(home) + " 有应答，放弃其数据没有必要", EN: "node " + string(home) + " answers: there is no need to abandon what it has"},
			Allowed: "a move without abandon",
		})
	}
	if fromErr != nil && !in.Abandon {
		defects = append(defects, bus.Defect{
			Field: "from",
			Problem: bus.Text{
				ZH: fmt.Sprintf("节点 %s 无应答。若放弃其数据，将丢失：%d 项资源尚未转发给 %d 个订阅的事件、%d 个收件箱中的事件、推送地址和挂接、以及对已发布事件的查重", home, lost.Resources, lost.Subscriptions, lost.Inboxes),
				EN: fmt.Sprintf("node %s does not answer. Abandoning what it has would lose the events of %d resources not yet forwarded to %d subscriptions, the events waiting in %d inboxes, sinks and bindings, and the memory of what was published before", home, lost.Resources, lost.Subscriptions, lost.Inboxes),
			},
			Allowed: "bring the node back, or abandon it: gxbus department move --abandon",
		})
	}
	if toErr != nil {
		defects = append(defects, bus.Defect{
			Field: "to", Problem: bus.Text{ZH: "节点 " + string(in.To) + " 无应答", EN: "node " + string(in.To) + " does not answer"}, Allowed: "a node that runs",
		})
	}
	if len(defects) == 0 {
		return nil
	}
	return bus.E(bus.CodeUnavailable, defects...)
}

// tallyOf counts what the directory knows of a department.
func tallyOf(tx *state.Tx, id bus.USCC) (t client.MoveTally) {
	provided := map[bus.ResourceID]bool{}
	for r := range tx.Resources() {
		if r.Provider == id {
			provided[r.ID] = true
			t.Resources++
		}
	}
	for s := range tx.Subscriptions() {
		if provided[s.Resource] {
			t.Subscriptions++
		}
		if s.Consumer == id {
			t.Inboxes++
		}
	}
	return t
}

// moveOf tells where a department is and how far its move has come, as far as
// the nodes answer.
func (a *API) moveOf(ctx context.Context, id bus.USCC) (*answer[client.DepartmentMove], error) {
	out := &answer[client.DepartmentMove]{Body: client.DepartmentMove{Department: id}}
	m := &out.Body
	var err error
	out.Stamp, err = a.read(func(tx *state.Tx) error {
		d, ok := tx.Department(id)
		if !ok {
			return bus.NotFound("department", string(id))
		}
		m.Home, _ = tx.Home(d)
		m.Epoch, m.Move, m.Total = d.Epoch, d.Move, tallyOf(tx, id)
		return nil
	})
	if err != nil || m.Home == "" {
		return out, err
	}
	if here, err := a.Surveyor.Survey(ctx, m.Home, id); bus.CodeOf(err) == bus.CodeWrongNode {
		return nil, err
	} else if err != nil {
		m.Silent = append(m.Silent, m.Home)
	} else {
		m.State, m.Total = here.State, client.MoveTally(here.Tally)
	}
	if m.Move == nil {
		return out, nil
	}
	if there, err := a.Surveyor.Survey(ctx, m.Move.To, id); bus.CodeOf(err) == bus.CodeWrongNode {
		return nil, err
	} else if err != nil {
		m.Silent = append(m.Silent, m.Move.To)
	} else if there.Epoch == m.Move.Epoch {
		m.Arrival, m.Done = there.State, there.Done
	}
	return out, nil
}
