package api_test

import (
	"context"
	"testing"

	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
)

// refusing is a layer of Guangzhou that has its departments not apply for reference.
func refusing() bus.Layer {
	rule := `package gxbus.division.d440100

deny contains {"code": "no-reference", "zh": "不得以工作参考为用途申请", "en": "do not apply for reference"} if {
	input.action == "apply"
	"440100" in input.consumer.divisions
	input.purpose == "reference"
	not input.grant
}
`
	test := `package gxbus.division.d440100_test

import data.gxbus.division.d440100 as layer

test_it_refuses if count(layer.deny) == 1 with input as {"action": "apply", "purpose": "reference", "consumer": {"divisions": ["440100"]}}
`
	return bus.Layer{ID: cityLayer, Modules: map[string]string{"a.rego": rule, "a_test.rego": test}}
}

// A layer is asked when an application is submitted, once for each purpose. What it
// denies is not submitted, and stands on record with its reason.
func TestALayerRefusesAnApplication(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	w.filed("before")
	w.Enact(refusing())
	asked := content(sample.TianheServices)
	asked.Purposes = append(asked.Purposes, bus.PurposeReference)
	a, err := w.as(applicant).Put(ctx, bus.Application{ID: "refused", Content: asked})
	check(t, err)
	_, err = w.as(applicant).Submit(ctx, a)
	p := problem(t, err)
	if p.Code != bus.CodeDenied || p.DecisionID == "" || len(p.Defects) != 1 || p.Defects[0].Field != string(cityLayer)+":no-reference" {
		t.Errorf("denied: %+v", p)
	}
	if a, err = w.as(applicant).Read(ctx, a.ID); err != nil || a.State != bus.ApplicationDraft {
		t.Errorf("after it: %+v, %v", a, err)
	}
	w.filed("after")

	var decided []string
	for _, leaf := range w.leaves() {
		if leaf.Kind != audit.KindDecision || leaf.Decision.Action != "apply" {
			continue
		}
		entry := leaf.Detail + " for " + string(leaf.Purpose)
		if !leaf.Decision.Allow {
			entry += " denied"
		}
		decided = append(decided, entry)
		if leaf.Principal.Account != applicant || leaf.Consumer != sample.TianheServices.ID || leaf.Resource != registration || !leaf.Decision.Allow && leaf.DecisionID != p.DecisionID {
			t.Errorf("leaf %+v", leaf)
		}
	}
	want := []string{"application before for verification", "application refused for verification", "application refused for reference denied", "application after for verification"}
	if asJSON(t, decided) != asJSON(t, want) {
		t.Errorf("decided %q, want %q", decided, want)
	}
}
