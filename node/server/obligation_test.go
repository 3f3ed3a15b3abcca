package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/gxbus/gxbus/node/fleet"
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

rows contains {"item": "registered_capital", "equals": ["100000", "200000", "300000", "400000"]}

limits contains {"limit": 3, "per": "day", "key": "system"} if input.action == "deliver"

watermark := true
`

const obligingTest = `package gxbus.division.d440100_test

import data.gxbus.division.d440100 as city

test_a_mark if city.watermark
`

// What a layer obliges to reaches the consumer through two nodes, over HTTP.
func TestObligationsOverTheRunningBus(t *testing.T) {
	s := tell(t, fleet.Province()...)
	s.grant(t)
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
	trace, err := auditor.AuditWatermark(context.Background(), mark)
	check(t, err)
	kinds := map[audit.Kind]audit.Record{}
	for _, step := range trace.Steps {
		var r audit.Record
		check(t, json.Unmarshal(step.Record, &r))
		if r.Kind != audit.KindDecision || r.Watermark == mark {
			kinds[r.Kind] = r
		}
	}
	if r := kinds[audit.KindDecision]; r.Grant != "grant-1" || r.Principal.System != sample.SystemOf(sample.TianheServices).ID {
		t.Errorf("the decision: %+v", r)
	}
	if kinds[audit.KindForwarded].At.IsZero() || kinds[audit.KindDelivered].At.IsZero() {
		t.Errorf("steps: %v", kinds)
	}
	if _, err := auditor.AuditWatermark(context.Background(), "aaaaaaaaaaaaaaaaaaaaaaaa"); !client.IsCode(err, bus.CodeNotFound) {
		t.Errorf("a made-up mark: %v", err)
	}
}
