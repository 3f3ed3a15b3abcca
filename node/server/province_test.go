package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/nodetest"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// One province of five nodes, through a day's work. The parts build on each
// other; each leaves the province able to go on.
func TestAProvinceAtWork(t *testing.T) {
	s := tell(t, fleet.Province()...)
	for _, part := range []struct {
		name string
		run  func(*story, *testing.T)
	}{
		{"a write through any node is shown there at once", writesThroughAnyNode},
		{"all nodes hold the same state at the same index", sameStateEverywhere},
		{"a grant is usable at once at every node", usableAtOnce},
		{"a trace shows every step across nodes", traced},
		{"a node restarts while the others go on", oneRestarts},
		{"a county without a node is its city's tenant", tenantCounty},
		{"a city's layer narrows, a province's denies", layersChangeOutcomes},
		{"S37 nothing is delivered after a revocation", revocationStops},
	} {
		if !t.Run(part.name, func(t *testing.T) { part.run(s, t) }) {
			return
		}
	}
}

// An administrator writes through a node that votes, a department through its own
// (threat S31); each reads there what it wrote.
func writesThroughAnyNode(s *story, t *testing.T) {
	ctx := context.Background()
	for i, spec := range fleet.Province() {
		api := s.ClientAt(s.Nodes[spec.ID], "sysadmin")
		d, err := api.Departments().Put(ctx, bus.Department{ID: sample.USCC(spec.Division, 500+i), Name: "经由 " + string(spec.ID), Division: spec.Division})
		if !spec.Voter {
			if !client.IsCode(err, bus.CodeWrongNode) {
				t.Errorf("an administrator at %s, which does not vote: %v", spec.ID, err)
			}
			continue
		}
		check(t, err)
		read, err := api.Departments().Read(ctx, d.ID)
		check(t, err)
		if read != d || d.Revision == 0 {
			t.Errorf("written at %s: %+v, read there: %+v", spec.ID, d, read)
		}
	}
	own := s.resource
	own.ID, own.Codes, own.Provider = "own", []bus.ResourceCode{"3010010001/000777"}, sample.TianheServices.ID
	draft, err := s.consumer.Drafts().Put(ctx, bus.Draft{Resource: own})
	check(t, err)
	if read, err := s.consumer.Drafts().Read(ctx, own.ID); err != nil || read.Revision != draft.Revision {
		t.Errorf("a department wrote %d and reads %d: %v", draft.Revision, read.Revision, err)
	}
	elsewhere := s.Nodes["nanshan"].Client(s.bearers[sample.TianheServices.ID])
	if _, err := elsewhere.Drafts().Put(ctx, draft); !client.IsCode(err, bus.CodeWrongNode) {
		t.Errorf("a department at another's node: %v", err)
	}
	check(t, s.consumer.Drafts().Delete(ctx, own.ID, draft.Revision))
}

func sameStateEverywhere(s *story, t *testing.T) {
	clients := map[bus.NodeID]*client.Client{}
	for id, n := range s.Nodes {
		clients[id] = s.ClientAt(n, "auditor")
	}
	nodetest.Eventually(t, "five nodes are seen at one index", func() error {
		hashes := map[bus.Revision][]string{}
		for id, api := range clients {
			status, err := api.Status(context.Background(), true)
			if err != nil {
				return err
			}
			hashes[status.AppliedIndex] = append(hashes[status.AppliedIndex], status.StateHash)
			if first := hashes[status.AppliedIndex][0]; first != status.StateHash || first == "" {
				t.Fatalf("at index %d node %s has state %q, another %q", status.AppliedIndex, id, status.StateHash, first)
			}
		}
		if len(hashes) > 1 {
			return fmt.Errorf("at %d indexes", len(hashes))
		}
		return nil
	})
}

func usableAtOnce(s *story, t *testing.T) {
	ctx := context.Background()
	secadmin := s.Client("secadmin")
	for n := range 5 {
		id := fmt.Sprint("fresh-", n)
		_, err := secadmin.Grants().Put(ctx, sample.Grant(bus.GrantID(id), s.resource, sample.TianheServices))
		check(t, err)
		sub, err := s.consumer.Subscriptions().Put(ctx, bus.Subscription{
			ID: bus.SubscriptionID(id), Resource: s.resource.ID, Grant: bus.GrantID(id), Purpose: bus.PurposeVerification,
		})
		check(t, err)
		check(t, s.consumer.Subscriptions().Delete(ctx, sub.ID, sub.Revision))
	}
	_, err := secadmin.Grants().Put(ctx, sample.Grant("grant-1", s.resource, sample.TianheServices))
	check(t, err)
	s.subscribe(t)
}

func traced(s *story, t *testing.T) {
	s.publish(t, 0, 10)
	s.receive(t, 10)
	steps := s.steps(t, "registration-000003")
	for _, want := range []struct {
		node bus.NodeID
		kind audit.Kind
	}{
		{"shenzhen", audit.KindDecision}, {"shenzhen", audit.KindAccepted}, {"shenzhen", audit.KindForwarded},
		{"tianhe", audit.KindReceived}, {"tianhe", audit.KindDecision}, {"tianhe", audit.KindDelivered}, {"tianhe", audit.KindAcknowledged},
	} {
		if !slices.ContainsFunc(steps, func(r audit.Record) bool { return r.Node == want.node && r.Kind == want.kind }) {
			t.Errorf("the trace does not show %s at %s", want.kind, want.node)
		}
	}
	if !slices.IsSortedFunc(steps, func(a, b audit.Record) int { return a.At.Compare(b.At) }) {
		t.Error("the steps are not in the order of time")
	}
	if _, err := s.ClientAt(s.Nodes["guangzhou"], "auditor").AuditTrace(context.Background(), "no-such-event"); !client.IsCode(err, bus.CodeNotFound) {
		t.Errorf("trace of an unknown event: %v", err)
	}
}

// steps traces an event from a node that has no part in it.
func (s *story) steps(t *testing.T, event string) []audit.Record {
	t.Helper()
	trace, err := s.ClientAt(s.Nodes["guangzhou"], "auditor").AuditTrace(context.Background(), event)
	check(t, err)
	steps := make([]audit.Record, len(trace.Steps))
	for i, step := range trace.Steps {
		check(t, json.Unmarshal(step.Record, &steps[i]))
	}
	return steps
}

func oneRestarts(s *story, t *testing.T) {
	ctx := context.Background()
	s.Nodes["tianhe"].Stop()
	s.publish(t, 100, 5)
	s.Nodes["guangzhou"].Stop() // a voter: two of three are left
	_, err := s.Client("sysadmin").Departments().Put(ctx, bus.Department{ID: sample.USCC("440300", 600), Name: "两票足够", Division: "440300"})
	check(t, err)
	s.Nodes["guangzhou"].Start()
	s.Nodes["tianhe"].Start()
	if got := s.receive(t, 5); len(got) != 5 || got[0].ID() != "registration-000100" {
		t.Errorf("after the restart %d events came, the first %v", len(got), got[0].ID())
	}
	sameStateEverywhere(s, t)
}

func tenantCounty(s *story, t *testing.T) {
	ctx := context.Background()
	tenant := s.Nodes["guangzhou"].Client(s.bearers[sample.YuexiuServices.ID])
	_, err := s.Client("secadmin").Grants().Put(ctx, sample.Grant("grant-yuexiu", s.resource, sample.YuexiuServices))
	check(t, err)
	wanted := bus.Subscription{ID: "sub-yuexiu", Resource: s.resource.ID, Grant: "grant-yuexiu", Purpose: bus.PurposeVerification}
	elsewhere := s.Nodes["tianhe"].Client(s.bearers[sample.YuexiuServices.ID])
	if _, err := elsewhere.Subscriptions().Put(ctx, wanted); !client.IsCode(err, bus.CodeWrongNode) {
		t.Errorf("subscribing at another county's node: %v", err)
	}
	_, err = tenant.Subscriptions().Put(ctx, wanted)
	check(t, err)
	s.publish(t, 200, 3)
	nodetest.Eventually(t, "the tenant pulls", func() error {
		events, last, err := tenant.Pull(ctx, "sub-yuexiu", 10)
		if err != nil || len(events) < 3 {
			return errors.Join(err, fmt.Errorf("%d events", len(events)))
		}
		return tenant.Ack(ctx, "sub-yuexiu", last)
	})
	s.receive(t, 3)
	own := sample.EnterpriseRegistration()
	own.ID, own.Codes, own.Provider = "yuexiu", []bus.ResourceCode{"3010010001/000901"}, sample.YuexiuServices.ID
	s.Publish(own)
	nodetest.Eventually(t, "the tenant's node knows the resource", func() error {
		_, err := tenant.Resources().Read(ctx, own.ID)
		return err
	})
	e := sample.Event(sample.SystemOf(sample.YuexiuServices), 1)
	if _, err := elsewhere.Publish(ctx, own.ID, e); !client.IsCode(err, bus.CodeWrongNode) && !client.IsCode(err, bus.CodeNotFound) {
		t.Errorf("publishing at another county's node: %v", err)
	}
	_, err = tenant.Publish(ctx, own.ID, e)
	check(t, err)
}

func layersChangeOutcomes(s *story, t *testing.T) {
	ctx := context.Background()
	secadmin := s.Client("secadmin")
	reference := bus.Subscription{ID: "sub-reference", Resource: s.resource.ID, Grant: "grant-1", Purpose: bus.PurposeReference}
	before, err := s.consumer.Subscriptions().Put(ctx, reference)
	check(t, err)
	check(t, s.consumer.Subscriptions().Delete(ctx, before.ID, before.Revision))
	for _, division := range []bus.DivisionCode{"440000", "440100"} {
		s.Enact(nodetest.SampleLayer(t, division))
	}
	nodetest.Eventually(t, "every node runs both layers", func() error {
		status, err := secadmin.Status(ctx, false)
		for _, m := range status.Members {
			if len(m.Layers) != 3 {
				return fmt.Errorf("%s runs %v", m.ID, m.Layers)
			}
		}
		return err
	})
	reference.ID = "sub-reference-2"
	_, err = s.consumer.Subscriptions().Put(ctx, reference)
	problem, ok := errors.AsType[*client.Problem](err)
	if !ok || problem.Code != bus.CodeDenied || problem.DecisionID == "" ||
		!slices.ContainsFunc(problem.Defects, func(d bus.Defect) bool { return d.Field == "division/440000:province-no-reference-on-personal" }) {
		t.Errorf("under the province's layer: %v", err)
	}
	s.publish(t, 300, 1)
	var data map[string]any
	check(t, json.Unmarshal(s.receive(t, 1)[0].Data(), &data))
	if _, there := data["registered_address"]; there || data["enterprise_name"] == nil {
		t.Errorf("under the city's layer: %v", data)
	}
}

func revocationStops(s *story, t *testing.T) {
	ctx := context.Background()
	s.publish(t, 400, 50) // queued: nobody pulls
	nodetest.Eventually(t, "they wait in the consumer's inbox", func() error {
		events, _, err := s.consumer.Pull(ctx, "sub-1", 100)
		if err != nil || len(events) != 50 {
			return errors.Join(err, fmt.Errorf("%d events", len(events)))
		}
		return nil
	})
	_, err := s.Client("secadmin").Grants().Revoke(ctx, "grant-1", "超范围使用")
	check(t, err)
	revoked := time.Now()
	atProvider := s.ClientAt(s.Nodes["shenzhen"], "auditor")
	nodetest.Eventually(t, "the provider's node has applied it", func() error {
		g, err := atProvider.Grants().Read(ctx, "grant-1")
		if err == nil && g.Revoked == "" {
			err = errors.New("not yet")
		}
		return err
	})
	s.publish(t, 500, 5)
	nodetest.Eventually(t, "the consumer's node has applied it", func() error {
		events, _, err := s.consumer.Pull(ctx, "sub-1", 100)
		if !client.IsCode(err, bus.CodeDenied) {
			return fmt.Errorf("%d events, %w", len(events), err)
		}
		return nil
	})
	nodetest.Eventually(t, "the queued ones are withheld", func() error {
		for id, node := range map[string]bus.NodeID{"registration-000449": "tianhe", "registration-000500": "shenzhen"} {
			steps := s.steps(t, id)
			if !slices.ContainsFunc(steps, func(r audit.Record) bool {
				return r.Kind == audit.KindWithheld && r.Subscription == "sub-1" && r.Node == node
			}) {
				return fmt.Errorf("%s: not withheld at %s yet", id, node)
			}
		}
		return nil
	})
	events, _, err := s.consumer.Pull(ctx, "sub-1", 100)
	if err != nil && !client.IsCode(err, bus.CodeDenied) || len(events) > 0 {
		t.Errorf("after the revocation: %d events, %v", len(events), err)
	}
	applied := time.Time{} // at the consumer's node: its first denial
	for _, step := range s.steps(t, "registration-000449") {
		if step.Subscription != "sub-1" {
			continue
		}
		if step.Kind == audit.KindWithheld && step.Node == "tianhe" {
			applied = step.At
		}
		if step.Kind == audit.KindDelivered && step.At.After(revoked) && !applied.IsZero() {
			t.Errorf("delivered at %v, withheld at %v", step.At, applied)
		}
	}
}
