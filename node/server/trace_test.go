package server_test

import (
	"context"
	"encoding/json"
	"slices"
	"testing"

	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// timeline reads all pages of a trace.
func timeline(t *testing.T, c *client.Client, q client.TraceQuery) (steps []audit.Record, silent []bus.NodeID) {
	t.Helper()
	for page, err := range c.AuditTimeline(context.Background(), q) {
		check(t, err)
		for _, step := range page.Steps {
			var r audit.Record
			check(t, json.Unmarshal(step.Record, &r))
			if r.Node != step.Node {
				t.Errorf("a leaf of %s told as one of %s", r.Node, step.Node)
			}
			steps = append(steps, r)
		}
		silent = page.Silent
	}
	return steps, silent
}

// oneTimeline traces queries that went from tianhe to shenzhen, for case 办件-1.
func oneTimeline(t *testing.T, s *story) {
	byCase := client.TraceQuery{Case: "办件-1"}
	all, silent := timeline(t, s.Client("auditor"), byCase)
	if len(silent) > 0 || !slices.IsSortedFunc(all, func(a, b audit.Record) int { return a.At.Compare(b.At) }) {
		t.Errorf("silent %v, or not in the order of time", silent)
	}
	for _, node := range []bus.NodeID{"tianhe", "shenzhen"} {
		for _, kind := range []audit.Kind{audit.KindDecision, audit.KindAsked, audit.KindAnswered} {
			if !slices.ContainsFunc(all, func(r audit.Record) bool {
				return r.Node == node && r.Kind == kind && r.Case == "办件-1" && r.Basis == "示例办法第一条" && r.Operator == "op-7"
			}) {
				t.Errorf("nothing was %s at %s", kind, node)
			}
		}
	}
	byCase.Limit = 3
	if paged, _ := timeline(t, s.Client("auditor"), byCase); len(paged) != len(all) {
		t.Errorf("%d steps in pages, %d in one", len(paged), len(all))
	}
	own, _ := timeline(t, s.consumer, client.TraceQuery{Case: "办件-1"})
	if len(own) != len(all) || slices.ContainsFunc(own, func(r audit.Record) bool { return r.Grounds != nil }) {
		t.Errorf("the consumer sees %d of %d steps of its case, or what layers saw", len(own), len(all))
	}
	stranger := s.at("guangzhou").Client(s.bearers[sample.GuangzhouHealth.ID])
	for name, q := range map[string]client.TraceQuery{
		"case": {Case: "办件-1"}, "grant": {Grant: "grant-1"}, "matter": {Matter: "440106001000"}, "department": {Department: sample.TianheServices.ID},
	} {
		if theirs, _ := timeline(t, stranger, q); len(theirs) != 0 {
			t.Errorf("by %s a stranger sees %d steps of another's", name, len(theirs))
		}
		if found, _ := timeline(t, s.Client("auditor"), q); len(found) == 0 {
			t.Errorf("by %s nothing is found", name)
		}
	}
	// S31: a county's node cannot speak for an administrator.
	ctx := context.Background()
	county := s.ClientAt(s.Nodes["tianhe"], "auditor")
	if _, err := county.AuditTrace(ctx, "any"); !client.IsCode(err, bus.CodeWrongNode) {
		t.Errorf("an auditor at a county's node: %v", err)
	}
	s.Nodes["nanshan"].Stop()
	if found, silent := timeline(t, s.Client("auditor"), client.TraceQuery{Case: "办件-1"}); !slices.Equal(silent, []bus.NodeID{"nanshan"}) || len(found) != len(all) {
		t.Errorf("%d steps, silent %v, while nanshan is away", len(found), silent)
	}
	s.Nodes["nanshan"].Start()
}
