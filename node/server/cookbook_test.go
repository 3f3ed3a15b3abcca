package server_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	cloudevent "github.com/cloudevents/sdk-go/v2/event"
	"github.com/gxbus/gxbus/node/fleet"
	"github.com/gxbus/gxbus/node/nodetest"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/binding"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
	"github.com/gxbus/gxbus/pkg/policy"
)

// Each recipe of the cookbook is put in force by two security administrators and
// shown at a consumer: three nodes, real sockets, events and answers from Shenzhen
// and from the province to Tianhe. They share the nodes; each takes its layer away again.
func TestTheCookbookOnTheBus(t *testing.T) {
	k := openKitchen(t)
	shown := map[string]func(*kitchen, *testing.T){
		"case-quota":              needsACase,
		"credit-approval":         needsTwoConsents,
		"district-rows":           leavesDistrictRows,
		"embargo":                 waitsForPublication,
		"event-types":             keepsKindsOfEvents,
		"hidden-register":         hides,
		"incident-blackout":       waitsOutAnIncident,
		"item-grades":             gradesBySystem,
		"item-purposes":           itemsByPurpose,
		"matter-whitelist":        needsAListedMatter,
		"minors":                  protectsChildren,
		"named-systems":           namesSystems,
		"network-boundary":        keepsToItsNetwork,
		"new-consumer-rate":       slowsNewConsumers,
		"office-hours":            keepsOfficeHours,
		"pseudonymous-statistics": countsWithoutNames,
		"return-flow":             flowsBack,
		"verification-only":       verifiesOnly,
		"watermark":               marks,
	}
	recipes, err := policy.Cookbook()
	check(t, err)
	last := func(r policy.Recipe) int { return strings.Count("office-hours", r.Name) } // it moves the clock by a day
	slices.SortStableFunc(recipes, func(a, b policy.Recipe) int { return last(a) - last(b) })
	for _, r := range recipes {
		t.Run(r.Name, func(t *testing.T) {
			if shown[r.Name] == nil {
				t.Fatal("is not shown on the bus")
			}
			k.T, k.recipe, k.served = t, r, 0
			k.secadmin = k.Client("secadmin") // sessions do not outlast what the clock is moved by
			shown[r.Name](k, t)
			k.clear()
		})
	}
	t.Run("without a recipe", func(t *testing.T) {
		k.T = t
		keepsToTheRangeOfAGrant(k)
	})
}

// kitchen is where recipes are tried.
type kitchen struct {
	*testing.T // of the recipe
	*nodetest.Cluster
	clock     *clock
	secadmin  *client.Client
	bearers   map[bus.USCC]string
	recipe    policy.Recipe
	resources int
	served    bus.Revision // of the recipe's layer
}

func openKitchen(t *testing.T) *kitchen {
	t.Helper()
	ctx := context.Background()
	// Wednesday morning in office hours, not long ago: certificates are dated by it.
	at := time.Now().UTC().Truncate(24 * time.Hour).Add(150 * time.Minute)
	for at.Weekday() != time.Wednesday || at.After(time.Now()) {
		at = at.AddDate(0, 0, -1)
	}
	k := &kitchen{T: t, clock: &clock{at: at}, bearers: map[bus.USCC]string{}}
	all := fleet.Province()
	k.Cluster = nodetest.StartWith(t, nodetest.Options{Now: k.clock.Now}, all[0], all[2], all[3])
	admin := k.Client("sysadmin")
	for _, d := range sample.Departments() {
		_, err := admin.Departments().Put(ctx, d)
		check(t, err)
		credential, err := admin.Systems().Put(ctx, sample.SystemOf(d))
		check(t, err)
		k.bearers[d.ID] = credential.Bearer
	}
	k.secadmin = k.Client("secadmin")
	return k
}

// of is a client of a department's system at its node.
func (k *kitchen) of(d bus.Department) *client.Client {
	node, ok := map[bus.DivisionCode]bus.NodeID{"440300": "shenzhen", "440106": "tianhe"}[d.Division]
	if !ok {
		node = "guangdong"
	}
	return k.Nodes[node].Client(k.bearers[d.ID])
}

// serve puts the recipe in force, with texts of it replaced, and waits for every
// node to decide by it.
func (k *kitchen) serve(replaced ...string) {
	k.Helper()
	layer := k.recipe.Layer
	layer.Modules = maps.Clone(layer.Modules)
	for file, text := range layer.Modules {
		layer.Modules[file] = strings.NewReplacer(replaced...).Replace(text)
	}
	k.served = k.Enact(layer).Revision
	k.waitLayer(k.served)
}

// clear takes the recipe's layer away.
func (k *kitchen) clear() {
	k.Helper()
	if k.served != 0 {
		k.secadmin = k.Client("secadmin")
		k.Enact(bus.Layer{ID: k.recipe.Layer.ID})
		k.waitLayer(0)
		k.served = 0
	}
}

func (k *kitchen) waitLayer(revision bus.Revision) {
	k.Helper()
	nodetest.Eventually(k, "every node decides by the layer", func() error {
		status, err := k.secadmin.Status(context.Background(), false)
		if err != nil {
			return err
		}
		for _, m := range status.Members {
			var runs bus.Revision
			for _, l := range m.Layers {
				if l.ID == k.recipe.Layer.ID {
					runs = l.Revision
				}
			}
			if runs != revision {
				return fmt.Errorf("%s runs revision %d, not %d", m.ID, runs, revision)
			}
		}
		return nil
	})
}

// offer publishes a conditional resource of a department with the given items.
func (k *kitchen) offer(id bus.ResourceID, provider bus.Department, items ...bus.Item) bus.Resource {
	k.Helper()
	k.resources++
	r := sample.EnterpriseRegistration()
	r.ID, r.Provider, r.Items, r.Name = id, provider.ID, items, "样例 "+string(id)
	r.Codes = []bus.ResourceCode{bus.ResourceCode(fmt.Sprintf("3010010001/0009%02d", k.resources))}
	return r
}

func (k *kitchen) publish(r bus.Resource) {
	k.Helper()
	k.Publish(r)
	for _, n := range []bus.NodeID{"shenzhen", "tianhe"} {
		reader := k.Nodes[n].Client(k.bearers[sample.ProvinceData.ID])
		nodetest.Eventually(k, "the resource is known at "+string(n), func() error {
			_, err := reader.Resources().Read(context.Background(), r.ID)
			return err
		})
	}
}

// wish is a subscription that a department asks for, under a grant of all items.
type wish struct {
	by      bus.Department
	grant   bus.GrantID // "": the resource's id and the department's division
	begins  time.Time   // of the grant; zero: a month ago
	purpose bus.Purpose // "": verification
	matter  string
	about   bus.DivisionCode // the range of the grant; "": all
}

// granted is the grant that a wish is for, with what is not said in the wish filled in;
// it is given where there is none.
func (k *kitchen) granted(r bus.Resource, w *wish) bus.Grant {
	k.Helper()
	ctx := context.Background()
	if w.by.ID == "" {
		w.by = sample.TianheServices
	}
	if w.purpose == "" {
		w.purpose = bus.PurposeVerification
	}
	if w.grant == "" {
		w.grant = bus.GrantID(w.id(r))
	}
	g := sample.Grant(w.grant, r, w.by)
	g.Division = w.about
	if !w.begins.IsZero() {
		g.NotBefore = w.begins
	}
	given, err := k.secadmin.Grants().Read(ctx, g.ID)
	if client.IsCode(err, bus.CodeNotFound) {
		given, err = k.secadmin.Grants().Put(ctx, g)
	}
	check(k.T, err)
	return given
}

func (w wish) id(r bus.Resource) string {
	return string(r.ID) + "-" + strings.ToLower(string(w.by.ID[8:16]))
}

func (k *kitchen) subscribe(r bus.Resource, w wish) (bus.Subscription, error) {
	k.Helper()
	g := k.granted(r, &w)
	sub := bus.Subscription{ID: bus.SubscriptionID(w.id(r)), Resource: r.ID, Grant: g.ID, Purpose: w.purpose, Matter: w.matter}
	return k.of(w.by).Subscriptions().Put(context.Background(), sub)
}

// bind binds a resource to a service that answers rows.
func (k *kitchen) bind(r bus.Resource, rows ...map[string]any) {
	k.Helper()
	body, err := json.Marshal(rows)
	check(k.T, err)
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write(body)
	}))
	k.Cleanup(service.Close)
	_, err = k.of(provider(r)).PutBinding(context.Background(), binding.Binding{Resource: r.ID, HTTP: &binding.HTTP{URL: service.URL}})
	check(k.T, err)
}

// ask asks for what a resource has for one case.
func (k *kitchen) ask(r bus.Resource, w wish, number string) (rows []map[string]any, err error) {
	k.Helper()
	ctx, g := context.Background(), k.granted(r, &w)
	nodetest.Eventually(k, "every node knows of the grant", func() error {
		status, err := k.secadmin.Status(ctx, false)
		for _, m := range status.Members {
			if m.AppliedIndex < g.Revision {
				return fmt.Errorf("%s is at index %d", m.ID, m.AppliedIndex)
			}
		}
		return err
	})
	answer, err := k.of(w.by).Query(ctx, r.ID, client.Query{Grant: g.ID, Purpose: w.purpose, Matter: "440106001000", Case: number})
	if err != nil {
		return nil, err
	}
	err = json.Unmarshal(answer.Data, &rows)
	return rows, err
}

// answered wants a query answered with so many rows.
func (k *kitchen) answered(r bus.Resource, w wish, number string, n int) []map[string]any {
	k.Helper()
	rows, err := k.ask(r, w, number)
	if check(k.T, err); len(rows) != n {
		k.Fatalf("answered with %d rows, want %d", len(rows), n)
	}
	return rows
}

func (k *kitchen) subscribed(r bus.Resource, w wish) bus.Subscription {
	k.Helper()
	sub, err := k.subscribe(r, w)
	check(k.T, err)
	return sub
}

// refused wants a subscription denied by the recipe's layer with a code.
func (k *kitchen) refused(r bus.Resource, w wish, code string) {
	k.Helper()
	_, err := k.subscribe(r, w)
	k.denied(err, code)
}

// denied wants an error that is a denial by the recipe's layer with a code.
func (k *kitchen) denied(err error, code string) {
	k.Helper()
	problem, ok := errors.AsType[*client.Problem](err)
	field := string(k.recipe.Layer.ID) + ":" + code
	if !ok || problem.Code != bus.CodeDenied || !slices.ContainsFunc(problem.Defects, func(d bus.Defect) bool { return d.Field == field }) {
		k.Errorf("%v; want denied by %s", err, field)
	}
}

// send publishes one event for each set of data; the names of the events begin
// with the resource's.
func (k *kitchen) send(r bus.Resource, data ...any) {
	k.Helper()
	k.sendKinds(r, slices.Repeat([]string{"cn.gov.sample.recipe.v1"}, len(data)), data...)
}

// sendKinds is send with the type of each event.
func (k *kitchen) sendKinds(r bus.Resource, kinds []string, data ...any) {
	k.Helper()
	provider := provider(r)
	var events []cloudevent.Event
	for i, kind := range kinds {
		e := cloudevent.New()
		e.SetID(fmt.Sprintf("%s-%d-%d", r.ID, k.clock.Now().Unix(), i))
		e.SetSource(sample.SystemOf(provider).Source())
		e.SetType(kind)
		check(k.T, e.SetData(cloudevent.ApplicationJSON, data[i]))
		events = append(events, e)
	}
	k.clock.advance(time.Second)
	_, err := k.of(provider).Publish(context.Background(), r.ID, events...)
	check(k.T, err)
}

func provider(r bus.Resource) bus.Department {
	if r.Provider == sample.ProvinceCivil.ID {
		return sample.ProvinceCivil
	}
	return sample.ShenzhenMarket
}

// got pulls until n events have come, and acknowledges them.
func (k *kitchen) got(sub bus.Subscription, n int) []cloudevent.Event {
	k.Helper()
	ctx, api := context.Background(), k.puller(sub)
	var got []cloudevent.Event
	nodetest.Eventually(k, fmt.Sprintf("%d events of %s arrive", n, sub.ID), func() error {
		events, last, err := api.Pull(ctx, sub.ID, 1000)
		if err != nil {
			return err
		}
		if len(events) > 0 {
			got = append(got, events...)
			check(k.T, api.Ack(ctx, sub.ID, last))
		}
		if len(got) < n {
			return fmt.Errorf("%d so far", len(got))
		}
		return nil
	})
	if len(got) != n {
		k.Errorf("%d events of %s, want %d", len(got), sub.ID, n)
	}
	return got
}

func (k *kitchen) puller(sub bus.Subscription) *client.Client {
	for _, d := range sample.Departments() {
		if d.ID == sub.Consumer {
			return k.of(d)
		}
	}
	k.Fatalf("subscription %s is of %s, who is unknown", sub.ID, sub.Consumer)
	return nil
}

// first is the data of the first of n events to come.
func (k *kitchen) first(sub bus.Subscription, n int) map[string]any {
	k.Helper()
	var data map[string]any
	check(k.T, json.Unmarshal(k.got(sub, n)[0].Data(), &data))
	return data
}

// held waits until the resource's first event is held for a reason of the recipe's,
// and wants nothing handed out.
func (k *kitchen) held(sub bus.Subscription, code string) {
	k.Helper()
	auditor := k.Client("auditor")
	nodetest.Eventually(k, "the provider's node holds", func() error {
		trace, err := auditor.AuditTrace(context.Background(), fmt.Sprintf("%s-%d-0", sub.Resource, k.clock.Now().Unix()-1))
		if err != nil {
			return err
		}
		for _, step := range trace.Steps {
			var r audit.Record
			check(k.T, json.Unmarshal(step.Record, &r))
			if r.Decision != nil && slices.ContainsFunc(r.Decision.Reasons, func(r bus.Reason) bool {
				return r.Layer == k.recipe.Layer.ID && r.Code == code && r.Hold
			}) {
				return nil
			}
		}
		return fmt.Errorf("none of %d steps holds for %s", len(trace.Steps), code)
	})
	events, _, err := k.puller(sub).Pull(context.Background(), sub.ID, 10)
	if err != nil && !client.IsCode(err, bus.CodeHeld) || len(events) > 0 {
		k.Errorf("while it is held: %d events, %v", len(events), err)
	}
}

// want compares items of data.
func (k *kitchen) want(data map[string]any, items map[string]any) {
	k.Helper()
	for id, want := range items {
		have, there := data[id]
		text, isText := have.(string)
		prefix, isPrefix := want.(string)
		switch {
		case want == absent:
			if there {
				k.Errorf("%s = %v, want it left out", id, have)
			}
		case isText && isPrefix && strings.HasSuffix(prefix, "…"):
			if !strings.HasPrefix(text, strings.TrimSuffix(prefix, "…")) {
				k.Errorf("%s = %v, want %v", id, have, want)
			}
		case !there || have != want:
			k.Errorf("%s = %v, want %v", id, have, want)
		}
	}
}

const absent = "(absent)"
