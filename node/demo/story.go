package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	cloudevent "github.com/cloudevents/sdk-go/v2/event"
	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/policy"
)

const (
	narrowedEvents = 50
	lateEvents     = 100
	failoverEvents = 20
)

type chapter struct {
	name  string
	title bus.Text
	do    func(context.Context) (bus.Text, error)
}

func (s *story) steps() []chapter {
	return []chapter{
		{"start", bus.Text{ZH: "启动五个节点", EN: "start five nodes"}, s.startNodes},
		{"load", bus.Text{ZH: "登记样例部门", EN: "enter the sample departments"}, s.loadSamples},
		{"catalogue", bus.Text{ZH: "编制、审核、发布目录", EN: "the catalogue passes review"}, s.catalogue},
		{"province-layer", bus.Text{ZH: "省级策略生效", EN: "the province's layer decides"}, s.provinceLayer},
		{"application", bus.Text{ZH: "申请与答复", EN: "departments apply and are answered"}, s.applications},
		{"exchange", bus.Text{ZH: "跨市跨层级交换", EN: "events cross the levels, masked"}, s.exchange},
		{"query", bus.Text{ZH: "跨市跨层级查询", EN: "a query crosses the levels, masked"}, s.query},
		{"deny", bus.Text{ZH: "未授权部门被拒绝", EN: "no grant, no data"}, s.deny},
		{"city-layer", bus.Text{ZH: "市级策略收窄", EN: "the city's layer narrows"}, s.cityLayer},
		{"revoke", bus.Text{ZH: "中途撤销授权", EN: "the grant is revoked mid-stream"}, s.revoke},
		{"failover", bus.Text{ZH: "主节点进程被强制终止", EN: "the leader's process is killed"}, s.failover},
		{"recover", bus.Text{ZH: "节点恢复", EN: "the killed node comes back"}, s.recover},
		{"agencies", bus.Text{ZH: "两个业务系统备好待用", EN: "two systems are ready to be tried"}, s.agencies},
		{"evidence", bus.Text{ZH: "验证全部存证", EN: "the evidence of all nodes verifies"}, s.verify},
	}
}

func (s *story) startNodes(ctx context.Context) (told bus.Text, err error) {
	if err := s.fleet.Start(ctx); err != nil {
		return told, err
	}
	if err := s.signIn(ctx); err != nil {
		return told, err
	}
	return bus.Text{
		ZH: "1 省 2 市 2 区，3 个表决节点；三员一次性口令已更换",
		EN: "1 province, 2 cities, 2 counties; 3 voters; the administrators' one-time passwords are replaced",
	}, nil
}

func (s *story) loadSamples(ctx context.Context) (told bus.Text, err error) {
	admin := s.as("sysadmin")
	for _, d := range sample.Departments() {
		if _, err := admin.Departments().Put(ctx, d); err != nil {
			return told, err
		}
		credential, err := admin.Systems().Put(ctx, sample.SystemOf(d))
		if err != nil {
			return told, err
		}
		s.bearers[d.ID] = credential.Bearer
	}
	return bus.Text{
		ZH: fmt.Sprintf("%d 个部门及其业务系统，已同步到所有节点", len(sample.Departments())),
		EN: fmt.Sprintf("%d departments with a system each, replicated to every node", len(sample.Departments())),
	}, nil
}

// catalogue has the sample directory compiled, submitted and approved.
func (s *story) catalogue(ctx context.Context) (told bus.Text, err error) {
	lacking := sample.EnterpriseRegistration()
	lacking.Abstract, lacking.UpdateCycle = "", ""
	provider, err := s.system("shenzhen", sample.ShenzhenMarket)
	if err != nil {
		return told, err
	}
	draft, err := provider.Drafts().Put(ctx, bus.Draft{Resource: lacking})
	if err != nil {
		return told, err
	}
	_, err = provider.Drafts().Submit(ctx, bus.DraftRef{ID: draft.ID, Revision: draft.Revision})
	p, ok := errors.AsType[*client.Problem](err)
	if !ok || p.Code != bus.CodeIncomplete {
		return told, fmt.Errorf("an incomplete entry should be refused: %w", errOr(err))
	}
	missing := len(p.Defects)
	all := sample.Resources()
	if err := s.fleet.Publish(ctx, all...); err != nil {
		return told, err
	}
	s.report.Resources = len(all)
	return bus.Text{
		ZH: fmt.Sprintf("不完整的条目退回并一次列出 %d 项缺漏；%d 个资源经编制、提交，由省数据主管部门审核发布", missing, len(all)),
		EN: fmt.Sprintf("an incomplete entry is refused with all %d things it lacks; %d resources are compiled, submitted and approved by the province's data authority", missing, len(all)),
	}, nil
}

func (s *story) push(ctx context.Context, layer bus.Layer) (bus.Layer, error) {
	put, err := s.fleet.Enact(ctx, layer)
	if err != nil {
		return put, err
	}
	return put, fleet.Until(ctx, "every node to run the layer", func(ctx context.Context) error { return s.runs(ctx, put) })
}

// runs returns nil when every node runs a layer's revision.
func (s *story) runs(ctx context.Context, layer bus.Layer) error {
	status, err := s.as("sysadmin").Status(ctx, false)
	if err != nil {
		return err
	}
	for _, m := range status.Members {
		if !slices.ContainsFunc(m.Layers, func(l client.LayerState) bool {
			return l.ID == layer.ID && l.Revision == layer.Revision && l.Problem == ""
		}) {
			return fmt.Errorf("node %s does not run %s yet", m.ID, layer.ID)
		}
	}
	return nil
}

// sampleLayer finds a layer among those that ship as samples.
func sampleLayer(id bus.LayerID) (bus.Layer, error) {
	layers, err := policy.Samples()
	if err != nil {
		return bus.Layer{}, err
	}
	for _, l := range layers {
		if l.ID == id {
			return l, nil
		}
	}
	return bus.Layer{}, bus.NotFound("layer", string(id))
}

// provinceLayer shows a request that the base policy allows and the province's
// layer does not.
func (s *story) provinceLayer(ctx context.Context) (told bus.Text, err error) {
	resource := sample.EnterpriseRegistration()
	if _, err := s.as("secadmin").Grants().Put(ctx, sample.Grant("grant-reference", resource, sample.ProvinceCivil)); err != nil {
		return told, err
	}
	consumer, err := s.system("guangdong", sample.ProvinceCivil)
	if err != nil {
		return told, err
	}
	wanted := bus.Subscription{ID: "civil-reference", Resource: resource.ID, Grant: "grant-reference", Purpose: bus.PurposeReference}
	before, err := consumer.Subscriptions().Put(ctx, wanted)
	if err != nil {
		return told, fmt.Errorf("the base policy should allow this: %w", err)
	}
	if err := consumer.Subscriptions().Delete(ctx, before.ID, before.Revision); err != nil {
		return told, err
	}
	layer, err := sampleLayer("division/440000")
	if err != nil {
		return told, err
	}
	if _, err := s.push(ctx, layer); err != nil {
		return told, err
	}
	wanted.ID = "civil-reference-2"
	_, err = consumer.Subscriptions().Put(ctx, wanted)
	reason, err := s.expectDenied(err, "division/440000")
	if err != nil {
		return told, err
	}
	return bus.Text{
		ZH: "工作参考用途，基础策略允许，省级策略生效后拒绝：" + reason.ZH,
		EN: "purpose reference: allowed by the base policy, denied once the province's layer is in force: " + reason.EN,
	}, nil
}

// expectDenied wants err to be a denial by a layer, and returns its reason.
func (s *story) expectDenied(err error, layer bus.LayerID) (bus.Text, error) {
	p, ok := errors.AsType[*client.Problem](err)
	if !ok || p.Code != bus.CodeDenied {
		return bus.Text{}, fmt.Errorf("want a denial by %s, got: %w", layer, errOr(err))
	}
	for _, d := range p.Defects {
		if strings.HasPrefix(d.Field, string(layer)+":") {
			s.report.Denied++
			return bus.Text{ZH: d.Field + " " + d.Problem.ZH, EN: d.Field + " " + d.Problem.EN}, nil
		}
	}
	return bus.Text{}, fmt.Errorf("denied, but not by %s: %w", layer, err)
}

func errOr(err error) error {
	if err == nil {
		return errors.New("it was allowed")
	}
	return err
}

func (s *story) exchange(ctx context.Context) (told bus.Text, err error) {
	resource := sample.EnterpriseRegistration()
	subscriptions := []struct {
		at bus.NodeID
		by bus.Department
		s  bus.Subscription
	}{
		{"tianhe", sample.TianheServices, bus.Subscription{ID: "tianhe-registrations", Resource: resource.ID, Grant: "grant-tianhe", Purpose: bus.PurposeAdministrativeBasis}},
		{"guangzhou", sample.GuangzhouHealth, bus.Subscription{ID: "health-registrations", Resource: resource.ID, Grant: "grant-health", Purpose: bus.PurposeVerification}},
	}
	for _, sub := range subscriptions {
		consumer, err := s.system(sub.at, sub.by)
		if err != nil {
			return told, err
		}
		if _, err := consumer.Subscriptions().Put(ctx, sub.s); err != nil {
			return told, err
		}
	}
	if err := s.publish(ctx, s.Events); err != nil {
		return told, err
	}
	s.report.Published += s.Events
	events, err := s.receive(ctx, "tianhe", sample.TianheServices, "tianhe-registrations", s.Events)
	s.report.Delivered += len(events)
	if err != nil {
		return told, err
	}
	if err := s.checkMasks(events); err != nil {
		return told, err
	}
	return bus.Text{
		ZH: fmt.Sprintf("深圳发布 %d 条，天河收到 %d 条，各一次、有序；%s", s.Events, len(events), s.masks()),
		EN: fmt.Sprintf("Shenzhen published %d, Tianhe received %d, once each and in order; %s", s.Events, len(events), s.masks()),
	}, nil
}

func (s *story) publish(ctx context.Context, count int) error {
	provider, err := s.system("shenzhen", sample.ShenzhenMarket)
	if err != nil {
		return err
	}
	events := make([]cloudevent.Event, count)
	for i := range events {
		events[i] = sample.Event(s.registration(), s.sent+i)
	}
	s.sent += count
	_, err = provider.Publish(ctx, "enterprise-registration", events...)
	return err
}

// receive pulls and acknowledges until want events have come, and then once
// more to see that there are no others.
func (s *story) receive(ctx context.Context, at bus.NodeID, by bus.Department, id bus.SubscriptionID, want int) ([]cloudevent.Event, error) {
	consumer, err := s.system(at, by)
	if err != nil {
		return nil, err
	}
	var got []cloudevent.Event
	err = fleet.Until(ctx, fmt.Sprintf("%d events", want), func(ctx context.Context) error {
		events, last, err := consumer.Pull(ctx, id, 1000)
		if err != nil {
			return err
		}
		got = append(got, events...)
		if len(events) > 0 {
			if err := consumer.Ack(ctx, id, last); err != nil {
				return err
			}
		}
		if len(got) < want {
			return fmt.Errorf("%d so far", len(got))
		}
		return nil
	})
	if err != nil {
		return got, err
	}
	return got, inSequence(got, want)
}

func inSequence(events []cloudevent.Event, want int) error {
	if len(events) != want {
		return fmt.Errorf("%d events came, %d were expected", len(events), want)
	}
	for i := 1; i < len(events); i++ {
		if events[i].ID() <= events[i-1].ID() {
			return fmt.Errorf("%s came after %s", events[i].ID(), events[i-1].ID())
		}
	}
	return nil
}

// checkMasks compares what was received with what was published.
func (s *story) checkMasks(events []cloudevent.Event) error {
	for i, e := range events {
		var got map[string]any
		if err := json.Unmarshal(e.Data(), &got); err != nil {
			return err
		}
		if err := s.checkMasked(got, sample.Event(s.registration(), i)); err != nil {
			return fmt.Errorf("event %s: %w", e.ID(), err)
		}
	}
	return nil
}

// checkMasked compares a row that was received with what its event says.
func (s *story) checkMasked(got map[string]any, original cloudevent.Event) error {
	var sent map[string]any
	if err := json.Unmarshal(original.Data(), &sent); err != nil {
		return err
	}
	for _, item := range sample.EnterpriseRegistration().Items {
		before, after := fmt.Sprint(sent[string(item.ID)]), fmt.Sprint(got[string(item.ID)])
		switch item.Semantic {
		case bus.SemanticNone, bus.SemanticUSCC:
			if before != after {
				return fmt.Errorf("%s was changed from %s to %s", item.ID, before, after)
			}
		default:
			if before == after || !strings.Contains(after, "*") {
				return fmt.Errorf("%s arrived unmasked", item.ID)
			}
			s.report.Masked[item.ID] = methodOf(item.Semantic)
		}
	}
	if _, leaked := got["internal_remark"]; leaked {
		return errors.New("an item outside the directory arrived")
	}
	return nil
}

// methodOf names the default mask of a semantic.
func methodOf(semantic bus.Semantic) string {
	switch semantic {
	case bus.SemanticIDNumber:
		return "keep 6+4"
	case bus.SemanticPhone:
		return "keep 3+4"
	case bus.SemanticName:
		return "surname"
	case bus.SemanticAddress:
		return "county"
	default:
		return "keep 0+4"
	}
}

func (s *story) masks() string {
	var parts []string
	for item, method := range s.report.Masked {
		parts = append(parts, string(item)+" "+method)
	}
	slices.Sort(parts)
	return strings.Join(parts, ", ")
}

func (s *story) deny(ctx context.Context) (told bus.Text, err error) {
	consumer, err := s.system("tianhe", sample.TianheHousing)
	if err != nil {
		return told, err
	}
	_, err = consumer.Subscriptions().Put(ctx, bus.Subscription{ID: "housing-registrations", Resource: "enterprise-registration", Purpose: bus.PurposeAdministrativeBasis})
	reason, err := s.expectDenied(err, bus.BaseLayer)
	if err != nil {
		return told, err
	}
	return bus.Text{ZH: sample.TianheHousing.Name + "：" + reason.ZH, EN: "a second Tianhe department: " + reason.EN}, nil
}

func (s *story) cityLayer(ctx context.Context) (told bus.Text, err error) {
	layer, err := sampleLayer("division/440100")
	if err != nil {
		return told, err
	}
	if _, err := s.push(ctx, layer); err != nil {
		return told, err
	}
	if err := s.publish(ctx, narrowedEvents); err != nil {
		return told, err
	}
	s.report.Published += narrowedEvents
	events, err := s.receive(ctx, "tianhe", sample.TianheServices, "tianhe-registrations", narrowedEvents)
	s.report.Delivered += len(events)
	if err != nil {
		return told, err
	}
	for _, e := range events {
		var data map[string]any
		if err := json.Unmarshal(e.Data(), &data); err != nil {
			return told, err
		}
		if _, there := data["registered_address"]; there {
			return told, fmt.Errorf("event %s still has the registered address", e.ID())
		}
	}
	return bus.Text{
		ZH: fmt.Sprintf("广州市策略不再下发住所；新发布的 %d 条均不含该项", narrowedEvents),
		EN: fmt.Sprintf("Guangzhou does without the registered address; none of the next %d events has it", narrowedEvents),
	}, nil
}

func (s *story) revoke(ctx context.Context) (told bus.Text, err error) {
	if _, err := s.as("secadmin").Grants().Revoke(ctx, "grant-tianhe", "样例：业务已结束 / sample: the matter is closed"); err != nil {
		return told, err
	}
	status, err := s.as("sysadmin").Status(ctx, false)
	if err != nil {
		return told, err
	}
	index := status.AppliedIndex
	if err := fleet.Until(ctx, "the revocation to reach every node", func(ctx context.Context) error { return s.applied(ctx, index) }); err != nil {
		return told, err
	}
	if err := s.publish(ctx, lateEvents); err != nil {
		return told, err
	}
	s.report.PublishedAfterRevocation = lateEvents
	// The other subscriber's copy shows that these events went their way; then
	// the forwarding decision for Tianhe has been taken too, and is on record.
	all := s.Events + narrowedEvents + lateEvents
	if _, err := s.receive(ctx, "guangzhou", sample.GuangzhouHealth, "health-registrations", all); err != nil {
		return told, err
	}
	if err := fleet.Until(ctx, "the denial to be recorded", s.withheld); err != nil {
		return told, err
	}
	consumer, err := s.system("tianhe", sample.TianheServices)
	if err != nil {
		return told, err
	}
	late, _, err := consumer.Pull(ctx, "tianhe-registrations", 1000)
	s.report.DeliveredAfterRevocation = len(late)
	if err != nil && !client.IsCode(err, bus.CodeDenied) {
		return told, err
	}
	if len(late) > 0 {
		return told, fmt.Errorf("%d events arrived after the revocation", len(late))
	}
	s.report.Denied++
	return bus.Text{
		ZH: fmt.Sprintf("撤销后又发布 %d 条：天河收到 0 条，仍有授权的部门照常收到", lateEvents),
		EN: fmt.Sprintf("%d more were published after it: none reached Tianhe, all reached the department that still has a grant", lateEvents),
	}, nil
}

// applied returns nil when every node has applied a directory index.
func (s *story) applied(ctx context.Context, index bus.Revision) error {
	status, err := s.as("sysadmin").Status(ctx, false)
	if err != nil {
		return err
	}
	for _, m := range status.Members {
		if m.AppliedIndex < index {
			return fmt.Errorf("node %s is at index %d of %d", m.ID, m.AppliedIndex, index)
		}
	}
	return nil
}

// withheld returns nil when the trace of the last event shows that it was not
// forwarded to Tianhe.
func (s *story) withheld(ctx context.Context) error {
	auditor := s.as("auditor")
	trace, err := auditor.AuditTrace(ctx, sample.Event(s.registration(), s.sent-1).ID())
	if err != nil {
		return err
	}
	for _, step := range trace.Steps {
		var record struct{ Kind, Subscription string }
		if err := json.Unmarshal(step.Record, &record); err != nil {
			return err
		}
		if record.Kind == "withheld" && record.Subscription == "tianhe-registrations" {
			return nil
		}
	}
	return errors.New("no record yet")
}
