package client

import (
	"context"
	"net/http"

	"github.com/gxbus/gxbus/pkg/bus"
)

// Move says what a move of a department would take along, or how far it has
// come.
func (c *Client) Move(ctx context.Context, id bus.USCC) (DepartmentMove, error) {
	return do[DepartmentMove](ctx, c, call{method: http.MethodGet, path: moveOf(id)})
}

// BeginMove begins to move a department to another node. It goes on by itself;
// Move tells how far it is. CodeUnavailable means that a node it needs does not
// answer.
func (c *Client) BeginMove(ctx context.Context, id bus.USCC, in MoveRequest) (DepartmentMove, error) {
	return post[DepartmentMove](ctx, c, call{path: moveOf(id)}, in)
}

// AbortMove aborts a move: the department stays where it is.
func (c *Client) AbortMove(ctx context.Context, id bus.USCC) (DepartmentMove, error) {
	return do[DepartmentMove](ctx, c, call{method: http.MethodDelete, path: moveOf(id)})
}

func moveOf(id bus.USCC) []string { return []string{"departments", string(id), "move"} }
