package server_test

import (
	"context"
	"slices"
	"testing"

	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// proves asks for the proof of an event and checks it with the keys alone: every step
// from publishing to acknowledgement stands on the log of the node that took it.
func (s *story) proves(t *testing.T, event string) {
	t.Helper()
	ctx := context.Background()
	auditor := s.Client("auditor")
	nodes, err := auditor.Nodes(ctx)
	check(t, err)
	var keys []string
	for _, n := range nodes {
		keys = append(keys, n.EvidenceKey)
	}
	made, err := auditor.AuditProof(ctx, event)
	check(t, err)
	proven, err := audit.CheckProof([]byte(made.File), keys...)
	check(t, err)
	var way []audit.Kind
	for _, step := range proven.Steps {
		way = append(way, step.Record.Kind)
		if len(step.Witnesses) == 0 || step.Witnesses[0].Witness == step.Node {
			t.Errorf("leaf %d of %s is witnessed by %v", step.Leaf, step.Node, step.Witnesses)
		}
	}
	for _, kind := range []audit.Kind{audit.KindAccepted, audit.KindDecision, audit.KindForwarded, audit.KindReceived, audit.KindDelivered, audit.KindAcknowledged} {
		if !slices.Contains(way, kind) {
			t.Errorf("nothing proves that it was %s: %v", kind, way)
		}
	}
	if proven.Event != event || len(proven.Digest) != 64 || len(proven.Grants) != 1 || len(proven.Silent) != 0 {
		t.Errorf("%+v", proven)
	}
	if _, err := auditor.AuditProof(ctx, "absent"); !client.IsCode(err, bus.CodeNotFound) {
		t.Errorf("a proof of nothing: %v", err)
	}
}
