package api

import (
	"context"
	"net/http"
	"time"

	"github.com/danielgtaylor/huma/v2"

	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// Archive is the node's older evidence.
type Archive interface {
	Segments() ([]client.Segment, error)
	PruneEvidence(ctx context.Context, by bus.Principal, request string, before time.Time) ([]client.Segment, error)
}

// addSegments registers the sealed segments of the node's evidence.
func (a *API) addSegments(h huma.API, op func(id, path, summary string) huma.Operation) {
	listed := func(segments []client.Segment, err error) (*answer[list[client.Segment]], error) {
		out := &answer[list[client.Segment]]{Body: list[client.Segment]{Items: []client.Segment{}}}
		out.Body.Items = append(out.Body.Items, segments...)
		return out, err
	}
	all := op("list-segments", "/segments", "List the sealed segments of this node's evidence, and which are missing or damaged")
	handle(a, h, all, func(_ context.Context, p bus.Principal, _ *struct{}) (*answer[list[client.Segment]], error) {
		if err := only(bus.RoleAuditor, p); err != nil {
			return nil, err
		}
		return listed(a.Cluster.Segments())
	})
	prune := op("prune-segments", "/segments/prune", "Delete segments that are past their retention")
	prune.Method = http.MethodPost
	prune.Description = "Those whose last leaf was recorded before a time, which is past evidence_days; on record. What is left of the log proves what it proved."
	handle(a, h, describes[client.Pruning](a, h, prune), func(ctx context.Context, p bus.Principal, in *Sent[client.Pruning]) (*answer[list[client.Segment]], error) {
		if err := only(bus.RoleAuditor, p); err != nil {
			return nil, err
		}
		pruning, err := in.decode()
		if err != nil {
			return nil, err
		}
		return listed(a.Cluster.PruneEvidence(ctx, p, requestOf(ctx), pruning.Before))
	})
}
