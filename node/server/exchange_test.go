package server_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	cloudevent "github.com/cloudevents/sdk-go/v2/event"
	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/nodetest"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// story is a province with one provider and one consumer that has a grant.
type story struct {
	*nodetest.Cluster
	provider, consumer *client.Client
	bearers            map[bus.USCC]string // of each sample department's system
	resource           bus.Resource
	system             bus.System // the provider's
}

func tell(t *testing.T, specs ...fleet.Spec) *story {
	t.Helper()
	return tellWith(t, nodetest.Options{}, specs...)
}

func tellWith(t *testing.T, o nodetest.Options, specs ...fleet.Spec) *story {
	t.Helper()
	ctx := context.Background()
	s := &story{Cluster: nodetest.StartWith(t, o, specs...), resource: sample.EnterpriseRegistration(), system: sample.SystemOf(sample.ShenzhenMarket)}
	admin := s.Client("sysadmin")
	s.bearers = map[bus.USCC]string{}
	for _, d := range sample.Departments() {
		_, err := admin.Departments().Put(ctx, d)
		check(t, err)
		credential, err := admin.Systems().Put(ctx, sample.SystemOf(d))
		check(t, err)
		s.bearers[d.ID] = credential.Bearer
	}
	s.Publish(s.resource)
	s.provider = s.at("shenzhen").Client(s.bearers[sample.ShenzhenMarket.ID])
	s.consumer = s.at("tianhe").Client(s.bearers[sample.TianheServices.ID])
	return s
}

// at returns a node, or the first where the cluster has no such node.
func (s *story) at(id bus.NodeID) *nodetest.Node {
	if n, ok := s.Nodes[id]; ok {
		return n
	}
	return s.First
}

func (s *story) grant(t *testing.T) bus.Grant {
	t.Helper()
	g, err := s.Client("secadmin").Grants().Put(context.Background(), sample.Grant("grant-1", s.resource, sample.TianheServices))
	check(t, err)
	return g
}

func (s *story) subscribe(t *testing.T) bus.Subscription {
	t.Helper()
	sub, err := s.consumer.Subscriptions().Put(context.Background(), bus.Subscription{
		ID: "sub-1", Resource: s.resource.ID, Grant: "grant-1", Purpose: bus.PurposeAdministrativeBasis,
	})
	check(t, err)
	return sub
}

func (s *story) publish(t *testing.T, from, count int) {
	t.Helper()
	var events []cloudevent.Event
	for n := range count {
		events = append(events, sample.Event(s.system, from+n))
	}
	_, err := s.provider.Publish(context.Background(), s.resource.ID, events...)
	check(t, err)
}

// receive pulls and acknowledges until want events have come.
func (s *story) receive(t *testing.T, want int) []cloudevent.Event {
	t.Helper()
	ctx := context.Background()
	var got []cloudevent.Event
	nodetest.Eventually(t, fmt.Sprintf("%d events arrive", want), func() error {
		events, last, err := s.consumer.Pull(ctx, "sub-1", 1000)
		if err != nil {
			return err
		}
		got = append(got, events...)
		if len(events) > 0 {
			check(t, s.consumer.Ack(ctx, "sub-1", last))
		}
		if len(got) < want {
			return fmt.Errorf("%d so far", len(got))
		}
		return nil
	})
	return got
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func TestAnEventCrossesThreeLevelsMaskedInOrderOnce(t *testing.T) {
	s := tell(t, fleet.Province()...)
	s.grant(t)
	s.subscribe(t)
	s.publish(t, 0, 300)
	got := s.receive(t, 300)
	if len(got) != 300 {
		t.Fatalf("received %d events, published 300", len(got))
	}
	for i, e := range got {
		if want := fmt.Sprintf("registration-%06d", i); e.ID() != want {
			t.Fatalf("event %d is %s, want %s", i, e.ID(), want)
		}
	}
	var data map[string]any
	check(t, json.Unmarshal(got[7].Data(), &data))
	for item, want := range map[string]string{
		"legal_representative_id": "440300********", "phone": "199****0007", "legal_representative": "样**",
		"registered_address": "广东省深圳市南山区****", "enterprise_name": "样例企业000007有限公司",
	} {
		if value, _ := data[item].(string); !strings.HasPrefix(value, want) {
			t.Errorf("%s = %q, want %q…", item, value, want)
		}
	}
	if _, leaked := data["internal_remark"]; leaked {
		t.Error("what is not in the directory was handed out")
	}
	s.proves(t, got[7].ID())
	s.answersByReceipt(t, got[7].ID())
}

// answersByReceipt asks the provider's node, which cannot ask the consumer's, what
// became of an event: it says what that signed last, and of when that is.
func (s *story) answersByReceipt(t *testing.T, event string) {
	t.Helper()
	alone, cancel := context.WithCancel(context.Background())
	cancel()
	by := bus.Principal{System: s.system.ID, Department: sample.ShenzhenMarket.ID}
	began := time.Now()
	nodetest.Eventually(t, "a receipt arrives", func() error {
		found, err := s.Nodes["shenzhen"].Server.Deliveries(alone, by, event, "")
		if err != nil {
			return err
		}
		d := found[0].Deliveries[0]
		if d.AsOf.IsZero() {
			return fmt.Errorf("%+v", d)
		}
		if !d.Silent || d.State != bus.DeliveryAcknowledged || d.AsOf.Before(began.Add(-time.Minute)) || d.AsOf.After(time.Now()) {
			t.Errorf("%+v", d)
		}
		return nil
	})
}

func TestWithoutAGrantASubscriptionIsDeniedWithLayerAndReason(t *testing.T) {
	s := tell(t, fleet.Province()[0])
	_, err := s.consumer.Subscriptions().Put(context.Background(), bus.Subscription{
		ID: "sub-1", Resource: s.resource.ID, Purpose: bus.PurposeAdministrativeBasis,
	})
	if !client.IsCode(err, bus.CodeDenied) || !strings.Contains(fmt.Sprint(err), "base:grant-missing") {
		t.Fatalf("want denied-by-policy with base:grant-missing, got %v", err)
	}
}
