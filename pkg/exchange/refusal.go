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
