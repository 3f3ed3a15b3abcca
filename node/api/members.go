package api

import (
	"context"
	"net/http"

	"github.com/danielgtaylor/huma/v2"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/directory/command"
	"github.com/gxbus/gxbus/pkg/directory/state"
)

// Members is what the API asks of the group that orders the directory's writes.
type Members interface {
	// Foresee says what a step would make of the quorum.
	Foresee(ctx context.Context, step bus.Step, id bus.NodeID) (bus.Outlook, error)
	// Settled waits a few seconds until the group has a node where the directory
	// means it to be, and reports whether it has.
	Settled(ctx context.Context, id bus.NodeID) (bool, error)
	// Lead hands the lead over, to any voter where id is empty.
	Lead(ctx context.Context, by bus.Principal, id bus.NodeID) error
}

// addMembers registers what system administrators do with nodes.
func (a *API) addMembers(h huma.API) {
	type step struct {
		ByID
		Step bus.Step `path:"step" enum:"promote,demote,drain,resume,remove"`
		Sent[client.NodeChange]
	}
	op := func(id, method, path, summary, description string) huma.Operation {
		return huma.Operation{OperationID: id, Method: method, Path: "/api/v1" + path, Summary: summary, Description: description, Tags: []string{"nodes"}}
	}
	change := op("change-node", http.MethodPost, "/nodes/{id}/{step}", "Change a node's place in the bus",
		"The directory is changed first; the group that orders its writes follows as soon as that is safe.")
	handle(a, h, describes[client.NodeChange](a, h, change), func(ctx context.Context, p bus.Principal, in *step) (*answer[client.NodeChanged], error) {
		if err := only(bus.RoleSystemAdministrator, p); err != nil {
			return nil, err
		}
		asked, err := in.decode()
		if err != nil {
			return nil, err
		}
		changed, err := a.changeNode(ctx, p, bus.NodeID(in.ID), in.Step, asked)
		return &answer[client.NodeChanged]{Body: changed}, err
	})
	lead := op("transfer-leadership", http.MethodPost, "/leadership", "Hand the directory's lead over", "")
	handle(a, h, describes[client.Transfer](a, h, lead), func(ctx context.Context, p bus.Principal, in *Sent[client.Transfer]) (*struct{}, error) {
		if err := only(bus.RoleSystemAdministrator, p); err != nil {
			return nil, err
		}
		asked, err := in.decode()
		if err != nil {
			return nil, err
		}
		if err := a.Members.Lead(ctx, p, asked.To); err != nil {
			return nil, err
		}
		return nil, a.record(ctx, p, audit.KindAdministered, "", "leadership.transfer "+string(asked.To))
	})
	type assign struct {
		ByID
		Sent[client.Assignment]
	}
	serve := op("assign-division", http.MethodPost, "/nodes/{id}/divisions", "Make a node that of one more division", "")
	handle(a, h, describes[client.Assignment](a, h, serve), func(ctx context.Context, p bus.Principal, in *assign) (*struct{}, error) {
		asked, err := in.decode()
		if err != nil {
			return nil, err
		}
		_, err = a.write(ctx, p, command.DivisionAssign, 0, command.Assign{Division: asked.Division, Node: bus.NodeID(in.ID)}, string(asked.Division)+" to "+in.ID)
		return nil, err
	})
}

// changeNode takes a step, or says what it would do.
func (a *API) changeNode(ctx context.Context, p bus.Principal, id bus.NodeID, step bus.Step, in client.NodeChange) (client.NodeChanged, error) {
	var out client.NodeChanged
	node, bound, err := a.node(id)
	if err != nil {
		return out, err
	}
	if out.Outlook, err = a.Members.Foresee(ctx, step, id); err != nil {
		return out, err
	}
	if in.DryRun {
		if step == bus.StepRemove {
			out.Outlook.Problems = append(out.Outlook.Problems, bound...)
			out.Outlook.Forcible = out.Outlook.Forcible && len(bound) == 0
		}
		return out, nil
	}
	if step == bus.StepRemove && len(bound) > 0 {
		return out, bus.E(bus.CodeInUse, bound...)
	}
	if err := out.Outlook.Refusal(in.Force); err != nil {
		return out, err
	}
	if step == bus.StepRemove {
		out.Done, err = a.removeNode(ctx, p, node)
		return out, err
	}
	if err := a.place(ctx, p, node, step); err != nil {
		return out, err
	}
	if !out.Outlook.Committable() || len(out.Outlook.Problems) > 0 {
		return out, nil // it will be carried out once it can be
	}
	out.Done, err = a.Members.Settled(ctx, id)
	return out, err
}

// node reads a node, and what binds it to the bus.
func (a *API) node(id bus.NodeID) (node bus.Node, bound []bus.Defect, err error) {
	err = a.Directory.View(func(tx *state.Tx) error {
		var ok bool
		if node, ok = tx.Node(id); !ok {
			return bus.NotFound("node", string(id))
		}
		bound = tx.Bound(id)
		return nil
	})
	return node, bound, err
}

// place writes what a node is meant to be after a step, unless it is that already.
func (a *API) place(ctx context.Context, p bus.Principal, node bus.Node, step bus.Step) error {
	want := command.Place{Node: node.ID, Voter: node.Voter, Draining: node.Draining}
	switch step {
	case bus.StepPromote:
		want.Voter = true
	case bus.StepDemote:
		want.Voter = false
	case bus.StepDrain:
		want.Draining = true
	case bus.StepResume:
		want.Draining = false
	}
	if want.Voter == node.Voter && want.Draining == node.Draining {
		return nil
	}
	_, err := a.write(ctx, p, command.NodePlace, node.Revision, want, string(step)+" "+string(node.ID))
	return err
}

// removeNode takes a node's vote, waits until it is gone, and then removes the
// node: to remove one that does not vote never touches the quorum.
func (a *API) removeNode(ctx context.Context, p bus.Principal, node bus.Node) (bool, error) {
	if node.Voter {
		if err := a.place(ctx, p, node, bus.StepDemote); err != nil {
			return false, err
		}
		done, err := a.Members.Settled(ctx, node.ID)
		if err == nil && !done {
			err = bus.E(bus.CodeUnavailable, bus.Defect{
				Field: "node", Problem: bus.Text{ZH: "节点的表决权尚未收回", EN: "the node's vote has not been given up yet"}, Allowed: "remove it again in a moment",
			})
		}
		if err != nil {
			return false, err
		}
		if node, _, err = a.node(node.ID); err != nil {
			return false, err
		}
	}
	if _, err := a.write(ctx, p, command.NodeRemove, node.Revision, command.Key{ID: string(node.ID)}, string(node.ID)); err != nil {
		return false, err
	}
	return a.Members.Settled(ctx, node.ID)
}
