// Package evidence verifies a running node's evidence log as an auditor does:
// from outside, trusting nothing that the log says of itself. The log and its
// proofs are package audit.
package evidence

import (
	"context"
	"io"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// VerifyNode fetches the evidence log of the node that c speaks to and verifies
// it here, with the key and the checkpoint that the directory holds of it.
func VerifyNode(ctx context.Context, c *client.Client) (audit.Report, error) {
	status, err := c.Status(ctx, false)
	if err != nil {
		return audit.Report{}, err
	}
	key, err := evidenceKey(ctx, c, status.Node)
	if err != nil {
		return audit.Report{}, err
	}
	// The checkpoints first: the log that is fetched then must extend them.
	checkpoints, err := c.Checkpoints(ctx)
	if err != nil {
		return audit.Report{}, err
	}
	var known []bus.Checkpoint
	for _, checkpoint := range checkpoints {
		if checkpoint.Node == status.Node {
			known = append(known, checkpoint)
		}
	}
	export, err := c.AuditExport(ctx)
	if err != nil {
		return audit.Report{}, err
	}
	defer export.Close()
	return audit.VerifyExport(io.Reader(export), known, key)
}

func evidenceKey(ctx context.Context, c *client.Client, id bus.NodeID) (string, error) {
	nodes, err := c.Nodes(ctx)
	if err != nil {
		return "", err
	}
	for _, n := range nodes {
		if n.ID == id {
			return n.EvidenceKey, nil
		}
	}
	return "", bus.NotFound("node", string(id))
}
