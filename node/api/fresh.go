package api

import (
	"context"
	"strconv"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// freshness is what a caller can ask of any read.
var freshness = []*huma.Param{
	{
		Name: client.QueryMinIndex, In: "query", Schema: &huma.Schema{Type: huma.TypeInteger, Minimum: new(float64)},
		Description: "directory index that the answer shows at least; waited for up to 10 seconds, then 503",
	},
	{
		Name: client.QueryConsistent, In: "query", Schema: &huma.Schema{Type: huma.TypeBoolean},
		Description: "true: the answer shows every write that was acknowledged anywhere before the request (linearizable); 503 without a leader",
	},
}

// freshOnly lets a read begin once this node's replica is as fresh as it asks.
func (a *API) freshOnly(ctx huma.Context, next func(huma.Context)) {
	if err := a.freshen(ctx.Context(), ctx.Query(client.QueryMinIndex), ctx.Query(client.QueryConsistent)); err != nil {
		r, w := humago.Unwrap(ctx)
		applied, _ := a.Directory.Applied()
		w.Header().Set(client.HeaderIndex, strconv.FormatUint(uint64(applied), 10))
		a.writeProblem(w, r, err)
		return
	}
	next(ctx)
}

func (a *API) freshen(ctx context.Context, minIndex, consistent string) error {
	var defects []bus.Defect
	index, err := strconv.ParseUint(minIndex, 10, 64)
	if err != nil && minIndex != "" {
		defects = append(defects, notAn(client.QueryMinIndex))
	}
	switch consistent {
	case "", "true", "false":
	default:
		defects = append(defects, bus.Defect{
			Field: client.QueryConsistent, Problem: bus.Text{ZH: "参数不符合要求", EN: "not a boolean"}, Allowed: "true, false",
		})
	}
	if err := bus.Invalid(defects); err != nil {
		return err
	}
	if consistent == "true" {
		if err := a.Directory.Consistent(ctx); err != nil {
			return err
		}
	}
	if index == 0 {
		return nil
	}
	return a.Directory.Reach(ctx, bus.Revision(index))
}

func notAn(field string) bus.Defect {
	return bus.Defect{Field: field, Problem: bus.Text{ZH: "不是目录位置", EN: "not a directory index"}, Allowed: "a whole number, as of " + client.HeaderIndex}
}
