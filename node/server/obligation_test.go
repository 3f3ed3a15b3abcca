package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/gxbus/gxbus/node/nodetest"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// enact has every node run a layer.
func (s *story) enact(t *testing.T, l bus.Layer) {
	t.Helper()
	secadmin := s.Client("secadmin")
	s.Enact(l)
	nodetest.Eventually(t, "every node runs "+string(l.ID), func() error {
		status, err := secadmin.Status(context.Background(), false)
		for _, m := range status.Members {
			if len(m.Layers) != 2 {
				return fmt.Errorf("%s runs %v", m.ID, m.Layers)
			}
		}
		return err
	})
}

const obliging = `package gxbus.division.d440100

masks := {"legal_representative_id": {"method": "pseudonym"}, "established": {"method": "year"}, "phone": {"method": "verify"}}

rows contains {"item": "registered_capital", "equals": ["100000", "200000", "300000", "400000"]} if input.action != "query"

limits contains {"limit": 3, "per": "day", "key": "system"} if input.action == "deliver"

watermark := true
`

const obligingTest = `package gxbus.division.d440100_test

import data.gxbus.division.d440100 as city

test_a_mark if city.watermark
`

// What a layer obliges to reaches the consumer through two nodes, over HTTP.
func TestObligationsOverTheRunningBus(t *testing.T) {
	s, _ := bound(t, nodetest.Options{})
	s.enact(t, bus.Layer{ID: bus.DivisionLayer("440100"), Modules: map[string]string{"a.rego": obliging, "a_test.rego": obligingTest}})
	s.subscribe(t)
	s.publish(t, 0, 10) // of which four meet the condition
	got := s.receive(t, 3)
	if len(got) != 3 {
		t.Fatalf("%d events came, of three a day", len(got))
	}
	for i, e := range got {
		var data map[string]any
		check(t, json.Unmarshal(e.Data(), &data))
		id, _ := data["legal_representative_id"].(string)
		if e.ID() != fmt.Sprintf("registration-%06d", i) || !strings.HasPrefix(id, "p:") || data["established"] != "2026" || data["phone"] != true {
			t.Errorf("event %s: %v", e.ID(), data)
		}
	}
	_, _, err := s.consumer.Pull(context.Background(), "sub-1", 10)
	if problem, ok := errors.AsType[*client.Problem](err); !ok || problem.Status != 429 || problem.Code != bus.CodeRateLimited || problem.DecisionID == "" {
		t.Errorf("the fourth: %v", err)
	}

	mark, _ := got[0].Extensions()["gxbuswatermark"].(string)
	auditor := s.ClientAt(s.at("shenzhen"), "auditor")
	if steps := marked(t, auditor, mark); !steps["tianhe"][audit.KindDelivered] || !steps["shenzhen"][audit.KindForwarded] {
		t.Errorf("steps of events: %v", steps)
	}
	for range 2 { // each with a mark of its own
		answer, err := s.consumer.Query(context.Background(), s.resource.ID, inquiry("list"))
		check(t, err)
		if want := `[{"uscc":"x","enterprise_name":"样例企业","phone":true}]`; string(answer.Data) != want {
			t.Errorf("answered %s", answer.Data)
		}
		steps := marked(t, auditor, answer.Watermark)
		for _, node := range []bus.NodeID{"tianhe", "shenzhen"} {
			if got := slices.Sorted(maps.Keys(steps[node])); !slices.Equal(got, []audit.Kind{audit.KindAnswered, audit.KindAsked, audit.KindDecision}) {
				t.Errorf("steps of a query at %s: %v", node, got)
			}
		}
	}
	if _, err := auditor.AuditWatermark(context.Background(), "aaaaaaaaaaaaaaaaaaaaaaaa"); !client.IsCode(err, bus.CodeNotFound) {
		t.Errorf("a made-up mark: %v", err)
	}
}

// marked gives the steps that a watermark leads to, by node; one of them is the decision
// that set it, and no kind of step is there twice at one node of a query.
func marked(t *testing.T, auditor *client.Client, mark string) map[bus.NodeID]map[audit.Kind]bool {
	t.Helper()
	trace, err := auditor.AuditWatermark(context.Background(), mark)
	check(t, err)
	steps, set := map[bus.NodeID]map[audit.Kind]bool{}, 0
	for _, step := range trace.Steps {
		var r audit.Record
		check(t, json.Unmarshal(step.Record, &r))
		if steps[step.Node] == nil {
			steps[step.Node] = map[audit.Kind]bool{}
		}
		if r.Correlation != "" && steps[step.Node][r.Kind] {
			t.Errorf("%s has a second step %s", step.Node, r.Kind)
		}
		steps[step.Node][r.Kind] = true
		if r.Watermark == mark {
			set++
			if r.Decision == nil || r.Grant != "grant-1" || r.Principal.System != sample.SystemOf(sample.TianheServices).ID {
				t.Errorf("the decision: %+v", r)
			}
		}
	}
	if set != 1 {
		t.Errorf("%d decisions set the mark %q", set, mark)
	}
	return steps
}
