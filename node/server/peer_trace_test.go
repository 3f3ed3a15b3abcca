package server_test

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/mesh"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/exchange"
)

// S27, S31: of an event a node is told what its provider may see, by the node that
// serves the provider, and what those may see in whose name it asks, whom it serves and
// who are what they say they are. Whoever holds the key of a county's node learns no
// more, whatever it combines.
func TestS27ANodeIsToldOfEventsWhatThoseItServesMaySee(t *testing.T) {
	s := tell(t, fleet.Province()...)
	ctx := context.Background()
	s.grant(t)
	s.subscribe(t)
	s.publish(t, 1, 1)
	id := s.receive(t, 1)[0].ID()
	at := exchange.Occurrence{Resource: s.resource.ID, Sequence: 1}
	consumer := s.Nodes["tianhe"].Server
	reads := func(from bus.NodeID, by bus.Principal) (records []audit.Record, err error) {
		a, err := consumer.TraceHere(ctx, from, mesh.TraceQuery{Event: at, By: by})
		for _, step := range a.Steps {
			var r audit.Record
			check(t, json.Unmarshal(step.Record, &r))
			records = append(records, r)
		}
		return records, err
	}
	steps, err := reads("shenzhen", bus.Principal{})
	if err != nil || len(steps) == 0 {
		t.Fatalf("the provider's node is told of %d steps, %v", len(steps), err)
	}
	for _, r := range steps {
		if r.Provider != sample.ShenzhenMarket.ID || r.Grounds != nil {
			t.Errorf("it is told of %+v", r)
		}
	}
	auditor := bus.Principal{Account: "auditor", Role: bus.RoleAuditor}
	if all, err := reads("guangdong", auditor); err != nil || len(all) < len(steps) {
		t.Errorf("an auditor at a node that votes is told of %d steps, %v", len(all), err)
	}

	tax, health := sample.SystemOf(sample.NanshanTax), sample.SystemOf(sample.GuangzhouHealth)
	for name, c := range map[string]struct {
		from bus.NodeID
		by   bus.Principal
		want bus.Code
	}{
		"nobody":                                {"nanshan", bus.Principal{}, bus.CodeForbidden},
		"itself":                                {"nanshan", bus.Principal{Node: "nanshan"}, bus.CodeForbidden},
		"an auditor, whom it cannot let in":     {"nanshan", auditor, bus.CodeWrongNode},
		"an auditor of a department it serves":  {"nanshan", bus.Principal{Account: "auditor", Role: bus.RoleAuditor, Department: sample.NanshanTax.ID}, bus.CodeForbidden},
		"a system that says it audits":          {"nanshan", bus.Principal{System: tax.ID, Role: bus.RoleAuditor, Department: sample.NanshanTax.ID}, bus.CodeForbidden},
		"an account that nobody has":            {"nanshan", bus.Principal{Account: "nobody", Role: bus.RoleOperator, Department: sample.NanshanTax.ID}, bus.CodeForbidden},
		"another's system, as its own":          {"nanshan", bus.Principal{System: health.ID, Department: sample.NanshanTax.ID}, bus.CodeForbidden},
		"the provider's system, at another":     {"nanshan", bus.Principal{System: s.system.ID, Department: sample.ShenzhenMarket.ID}, bus.CodeWrongNode},
		"a system that has nothing to do there": {"nanshan", bus.Principal{System: tax.ID, Department: sample.NanshanTax.ID}, ""},
	} {
		if got, err := reads(c.from, c.by); bus.CodeOf(err) != c.want || len(got) > 0 {
			t.Errorf("%s: told of %d steps, %v, want %q", name, len(got), err, c.want)
		}
		search := mesh.EvidenceQuery{By: c.by, Search: &audit.Search{Department: sample.ShenzhenMarket.ID, After: -1, Limit: 10}}
		if a, err := consumer.EvidenceHere(ctx, c.from, search); bus.CodeOf(err) != c.want || len(a.Steps) > 0 {
			t.Errorf("%s: evidence of %d steps, %v, want %q", name, len(a.Steps), err, c.want)
		}
		record := mesh.RecordQuery{By: c.by, Search: &exchange.Search{Search: audit.Search{After: -1, Limit: 10}}}
		if a, err := consumer.RecordHere(ctx, c.from, record); bus.CodeOf(err) != c.want || len(a.Records) > 0 {
			t.Errorf("%s: the record of %d exchanges, %v, want %q", name, len(a.Records), err, c.want)
		}
		record = mesh.RecordQuery{By: c.by, Batches: []exchange.BatchID{{Resource: at.Resource, Subscription: "sub-1", Last: at.Sequence}}}
		if a, err := consumer.RecordHere(ctx, c.from, record); bus.CodeOf(err) != c.want || len(a.Records) > 0 {
			t.Errorf("%s: how far %d batches came, %v, want %q", name, len(a.Records), err, c.want)
		}
		if a, err := s.Nodes["shenzhen"].Server.LocateHere(ctx, c.from, mesh.LocateQuery{By: c.by, Event: id}); bus.CodeOf(err) != c.want || len(a.Occurrences) > 0 {
			t.Errorf("%s: located at %v, %v, want %q", name, a.Occurrences, err, c.want)
		}
		if c.want == "" {
			c.want = bus.CodeForbidden // it may look, and have nothing proved
		}
		if a, err := consumer.ProveHere(ctx, c.from, mesh.ProofQuery{By: c.by, Occurrences: []exchange.Occurrence{at}}); bus.CodeOf(err) != c.want || a.Log != nil {
			t.Errorf("%s: proved %t, %v, want %q", name, a.Log != nil, err, c.want)
		}
	}
	own := bus.Principal{System: sample.SystemOf(sample.TianheServices).ID, Department: sample.TianheServices.ID}
	for from, by := range map[bus.NodeID]bus.Principal{"tianhe": own, "guangdong": auditor, "shenzhen": {System: s.system.ID, Department: sample.ShenzhenMarket.ID}} {
		a, err := s.Nodes["shenzhen"].Server.LocateHere(ctx, from, mesh.LocateQuery{By: by, Event: id})
		if err != nil || len(a.Occurrences) != 1 || a.Occurrences[0] != at {
			t.Errorf("%s, who has to do with it: located at %v, %v", by, a.Occurrences, err)
		}
	}
	if _, err := consumer.ProveHere(ctx, "guangdong", mesh.ProofQuery{By: auditor, Occurrences: make([]exchange.Occurrence, 1001)}); bus.CodeOf(err) != bus.CodeInvalid {
		t.Errorf("more events than there may be: %v", err)
	}
	refused := 0
	for _, r := range leavesOf(t, s.ClientAt(s.Nodes["tianhe"], "auditor")) {
		if r.Kind == audit.KindRefused && r.Principal.Node == "nanshan" {
			refused++
		}
	}
	if refused < 8*5 {
		t.Errorf("%d refusals on record", refused)
	}
}
