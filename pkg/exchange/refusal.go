package exchange

import (
	"context"
	"fmt"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
)

// refusalRate is how many refusals of one node in a second are on record one by one,
// and twice as many at once.
const refusalRate = 20

// pace refuses the queries of a system that floods: its own node, which bounds requests,
// may be what floods (threats S15, S58). They are counted, and told of together.
func (x *Exchange) pace(ctx context.Context, from bus.NodeID, query audit.Record) error {
	if from == x.Self { // where they are bounded as requests
		return nil
	}
	wait, tell := x.queries.Take(query.Principal.System, 1)
	if tell > 0 {
		if err := x.Record(context.WithoutCancel(ctx), audit.Record{
			Kind: audit.KindRefused, Principal: query.Principal, Code: bus.CodeRateLimited, Detail: fmt.Sprintf("queries refused: %d", tell),
		}); err != nil {
			return err
		}
	}
	if wait == 0 {
		return nil
	}
	return bus.E(bus.CodeRateLimited, bus.Defect{
		Problem: bus.Text{ZH: "本系统查询过于频繁", EN: "too many queries of this system"},
		Allowed: fmt.Sprintf("%d a second, twice as many at once", x.QueryRate),
	}).After(wait)
}

// Refused puts on record that something was refused. Of another node that is refused
// without end the rest is counted, and told of together: it would fill the disk with
// what it may not do (threats S54, S58).
func (x *Exchange) Refused(ctx context.Context, record audit.Record) error {
	node := record.Principal.Node
	if node == "" || node == x.Self {
		return x.Record(ctx, record)
	}
	var records []audit.Record
	over, tell := x.refusals.Take(node, 1)
	if tell > 0 {
		records = append(records, audit.Record{
			Kind: audit.KindRefused, Principal: bus.Principal{Node: node}, Code: bus.CodeRateLimited, Detail: fmt.Sprintf("refusals of node %s beyond those on record: %d", node, tell),
		})
	}
	if over == 0 {
		records = append(records, record)
	}
	if len(records) == 0 {
		return nil
	}
	return x.Record(ctx, records...)
}
