package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/gxbus/gxbus/node/nodetest"
	"github.com/gxbus/gxbus/node/sample"
	"github.com/gxbus/gxbus/pkg/audit"
	"github.com/gxbus/gxbus/pkg/bus"
	"github.com/gxbus/gxbus/pkg/client"
)

// publish has the provider publish an event of its resource.
func (w *world) publish(id string) {
	w.t.Helper()
	e := fmt.Sprintf(`{"specversion":"1.0","id":%q,"source":%q,"type":"t","data":{"phone":"19900000000"}}`, id, sample.SystemOf(sample.ShenzhenMarket).Source())
	got := w.ask(request{method: "POST", path: events, who: provider, header: map[string]string{"Content-Type": "application/cloudevents+json"}, body: text(e)})
	if got.status != 202 {
		w.t.Fatalf("publish: %d %s", got.status, got.body)
	}
}

// pulled waits until the consumer has been handed out n events, and acknowledges
// them.
func (w *world) pulled(n int) {
	w.t.Helper()
	c := w.First.Client(w.bearers[consumer])
	nodetest.Eventually(w.t, "events are handed out", func() error {
		found, last, err := c.Pull(context.Background(), "sub-1", 100)
		check(w.t, err)
		if len(found) > 0 {
			n -= len(found)
			check(w.t, c.Ack(context.Background(), "sub-1", last))
		}
		if n > 0 {
			return fmt.Errorf("%d are missing", n)
		}
		return nil
	})
}

// Art. 26: an open correction never blocks a call; nor does an overdue one.
func TestAnOpenCorrectionBlocksNoExchange(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	c := w.doubt()
	w.publish("during-1")
	w.pulled(1)
	provide := w.First.Client(w.bearers[provider])
	c, err := provide.Corrections().Step(ctx, c, client.CorrectionStep{Step: bus.CorrectionConfirm, Text: "样例"})
	check(t, err)
	w.publish("during-2")
	w.pulled(1)
	w.clock.advance(20 * 24 * time.Hour) // the grant is good for longer
	w.publish("during-3")
	w.pulled(1)
	c, err = provide.Corrections().Read(ctx, c.ID)
	check(t, err)
	if c.Deadline == nil || !c.Deadline.Overdue {
		t.Errorf("after twenty days it is due %+v", c.Deadline)
	}
	tasks, err := provide.Tasks(ctx)
	check(t, err)
	if len(tasks) != 1 || tasks[0].ID != "correction/"+string(c.ID) || !tasks[0].Deadline.Overdue || tasks[0].Command == "" {
		t.Errorf("the provider's tasks are %+v", tasks)
	}
	c, err = provide.Corrections().Step(ctx, c, client.CorrectionStep{Step: bus.CorrectionCorrect, Text: "样例"})
	check(t, err)
	w.clock.advance(30 * 24 * time.Hour)
	if c, err = provide.Corrections().Read(ctx, c.ID); err != nil || !c.Deadline.Overdue || c.Rounds()[0].Answered == nil {
		t.Errorf("fed back late it shows %+v: %v", c.Deadline, err) // both times stay, and that it was late
	}
}

func TestUseRecordsForTheProviderAndTheAuthorityAbove(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	for i := range 3 {
		w.publish(fmt.Sprint("use-", i))
		w.pulled(1)
	}
	uses := func(who string, q client.Inspection) (found []bus.UseRecord) {
		t.Helper()
		for page, err := range w.First.Client(w.bearers[who]).Uses(ctx, registration, q) {
			check(t, err)
			found = append(found, page.Items...)
		}
		return found
	}
	want := map[string]int{}
	for _, leaf := range w.leaves() {
		if leaf.Resource == registration && (leaf.Kind == audit.KindDelivered || leaf.Kind == audit.KindForwarded) {
			want[string(leaf.Kind)] += leaf.Events
		}
	}
	for _, who := range []string{provider, operator, reviewer, auditor} {
		got := map[string]int{}
		for _, u := range uses(who, client.Inspection{}) {
			if u.Consumer != sample.TianheServices.ID || u.Purpose != bus.PurposeAdministrativeBasis || u.Grant != "grant-1" || !u.Allowed {
				t.Errorf("%s sees %+v", who, u)
			}
			if u.Step != "decision" {
				got[u.Step] += u.Events
			}
		}
		if got["delivered"] < 3 || got["forwarded"] != 3 || fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s counts %v, the evidence %v", who, got, want)
		}
	}
	if found := uses(provider, client.Inspection{Grant: "grant-9"}); len(found) > 0 {
		t.Errorf("under another grant: %+v", found)
	}
	if found := uses(provider, client.Inspection{To: w.clock.Now().Add(-time.Hour)}); len(found) > 0 {
		t.Errorf("before anything was used: %+v", found)
	}
	if found := uses(provider, client.Inspection{From: w.clock.Now().Add(-time.Minute)}); len(found) < 9 {
		t.Errorf("since a minute ago: %d records", len(found))
	}
	all := uses(provider, client.Inspection{})
	paged := 0
	for after := int64(-1); ; {
		got := w.ask(request{method: "GET", path: fmt.Sprintf("/api/v1/resources/%s/uses?limit=2&after=%d", registration, after), who: provider})
		var page client.UsePage
		check(t, json.Unmarshal([]byte(got.body), &page))
		if len(page.Items) > 2 {
			t.Fatalf("a page of 2 has %d", len(page.Items))
		}
		paged += len(page.Items)
		if page.Next == nil {
			break
		}
		after = *page.Next
	}
	if paged != len(all) {
		t.Errorf("page by page there are %d records, at once %d", paged, len(all))
	}
	inspected := 0
	for _, leaf := range w.leaves() {
		if leaf.Kind == audit.KindInspected && leaf.Resource == registration && leaf.Principal.String() != "" {
			inspected++
		}
	}
	if inspected < 5 {
		t.Errorf("%d leaves about the inspections", inspected)
	}
}

// An authority inspects below itself, not beside.
func TestAnAuthorityInspectsItsSubtreeOnly(t *testing.T) {
	w := newWorld(t)
	ctx := context.Background()
	beside := bus.Department{ID: sample.USCC("440100", 777), Name: "样例主管部门", Division: "440100"}
	admin := w.First.Client(w.bearers[sysadmin])
	_, err := admin.Departments().Put(ctx, beside)
	check(t, err)
	d, err := admin.Divisions().Read(ctx, "440100")
	check(t, err)
	d.Authority = beside.ID
	_, err = admin.Divisions().Put(ctx, d)
	check(t, err)
	w.bearers["beside"] = w.AddAccount(bus.Account{Name: "beside", Role: bus.RoleReviewer, Department: beside.ID})
	path := "/api/v1/resources/" + string(registration) + "/uses"
	if got := w.ask(request{method: "GET", path: path, who: "beside"}); got.status != 403 { // the provider is in Shenzhen
		t.Errorf("the authority of another city is answered %d", got.status)
	}
	if got := w.ask(request{method: "GET", path: path, who: reviewer}); got.status != 200 {
		t.Errorf("the province's is answered %d: %s", got.status, got.body)
	}
}

// A node looks at what is due when it starts, and then every minute. Started again
// it tells nothing twice.
func TestRemindersComeAsCloudEvents(t *testing.T) {
	w := newWorld(t)
	c := w.doubt()
	w.clock.advance(40 * 24 * time.Hour)
	ask := func(who, query string) ([]told, reply) {
		got := w.ask(request{method: "GET", path: "/api/v1/reminders?wait=0" + query, who: who})
		var events []told
		if got.status == 200 {
			check(t, json.Unmarshal([]byte(got.body), &events))
		}
		return events, got
	}
	var found []told
	var got reply
	restart := func() {
		t.Helper()
		w.First.Stop()
		w.First.Start()
		nodetest.Eventually(t, "the provider is reminded", func() error {
			if found, got = ask(provider, "&from=0"); len(found) == 0 {
				return fmt.Errorf("it is told nothing: %d %s", got.status, got.body)
			}
			return nil
		})
	}
	restart()
	restart()
	if len(found) != 1 || found[0].Type != "cn.gxbus.task.overdue" || found[0].Subject != "correction/"+string(c.ID) ||
		!strings.HasPrefix(found[0].ID, found[0].Subject+"@") || !strings.HasSuffix(found[0].Source, "/tasks") {
		t.Fatalf("the provider is told %+v: %s", found, got.body)
	}
	last := got.header.Get(client.HeaderLast)
	if again, _ := ask(provider, "&from="+last); len(again) > 0 {
		t.Errorf("after %s it is told %+v", last, again)
	}
	if newest, _ := ask(provider, ""); len(newest) > 0 {
		t.Errorf("from now on: %+v", newest)
	}
	for _, who := range []string{consumer, stranger} {
		if found, _ := ask(who, "&from=0"); len(found) > 0 {
			t.Errorf("%s is told %+v", who, found)
		}
	}
	for r, err := range w.First.Client(w.bearers[provider]).WatchTasks(context.Background(), 0) {
		check(t, err)
		if r.ID != found[0].ID || !r.Overdue || r.Task.Department != sample.ShenzhenMarket.ID {
			t.Errorf("the stream tells %+v", r)
		}
		break
	}
}
